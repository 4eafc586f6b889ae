package sim

import (
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Namespace is what the model knows of a namespace. One exists as soon as a pod
// was created in it.
type Namespace struct {
	// Terminating refuses evictions, as a namespace does that is being deleted.
	Terminating bool
	// Webhook is called for every eviction in the namespace; nil for none.
	Webhook *Webhook
}

// Webhook is an admission webhook for pods/eviction.
type Webhook struct {
	// Takes is how long it takes to answer, or until the API server gives up.
	Takes time.Duration
	// Error is nil if the webhook admits; see WebhookDenied, WebhookFailed.
	Error error
}

// Namespace returns a namespace for change. It exists from then on.
func (c *Cluster) Namespace(name string) *Namespace {
	if c.namespaces[name] == nil {
		c.namespaces[name] = &Namespace{}
	}
	return c.namespaces[name]
}

// Webhook is the webhook that an eviction in the namespace is shown to, or nil.
// The caller waits for as long as it takes, answers with its Error if it has
// one, and calls Evict otherwise.
func (c *Cluster) Webhook(namespace string) *Webhook {
	if n := c.namespaces[namespace]; n != nil && !n.Terminating {
		return n.Webhook
	}
	return nil
}

// admit is the admission of an eviction by its namespace.
func (c *Cluster) admit(key Key) error {
	n := c.namespaces[key.Namespace]
	if n == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, key.Namespace)
	}
	if !n.Terminating {
		return nil
	}
	err := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, key.Name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", key.Namespace))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{
		Type: corev1.NamespaceTerminatingCause, Message: fmt.Sprintf("namespace %s is being terminated", key.Namespace), Field: "metadata.namespace",
	}}
	return err
}

// WebhookFailed is the answer for a webhook that could not be called and whose
// failurePolicy is Fail.
func WebhookFailed(name string) error {
	return apierrors.NewInternalError(fmt.Errorf("failed calling webhook %q: failed to call webhook: context deadline exceeded", name))
}

// WebhookDenied is the answer for a webhook that denies. A retryAfter of 0 sends
// no Retry-After.
func WebhookDenied(name, message string, code int32, retryAfter time.Duration) error {
	err := statusError(max(code, http.StatusBadRequest), metav1.StatusReasonUnknown, fmt.Sprintf("admission webhook %q denied the request: %s", name, message))
	if retryAfter > 0 {
		err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(retryAfter / time.Second)}
	}
	return err
}
