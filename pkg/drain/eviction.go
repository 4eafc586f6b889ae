package drain

import (
	"context"
	"encoding/json"
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	policyv1beta1 "k8s.io/api/policy/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/pkg/plan"
)

// EvictionVersion finds out which version of Eviction the server takes at
// pods/eviction: policy/v1, or policy/v1beta1 before Kubernetes 1.22. An error
// says nothing about what the server can do: it has to be asked again.
func EvictionVersion(ctx context.Context, client discovery.ServerResourcesInterfaceWithContext) (string, error) {
	list, err := client.ServerResourcesForGroupVersionWithContext(ctx, "v1")
	if err != nil {
		return "", fmt.Errorf("asking the API server which versions of Eviction it accepts: %w", err)
	}
	for _, r := range list.APIResources {
		if r.Name != "pods/eviction" || r.Kind != "Eviction" || r.Group != policyv1.GroupName {
			continue
		}
		if r.Version == "v1" || r.Version == "v1beta1" {
			return r.Version, nil
		}
	}
	return "", fmt.Errorf("the API server offers no pods/eviction of policy/v1 or policy/v1beta1: " +
		"pods are never deleted instead, because that would bypass their budgets")
}

// NewEvictFunc sends evictions of the version through the client of the core
// API group. It never retries: by default, client-go silently repeats a POST
// that is answered with Retry-After up to ten times.
func NewEvictFunc(core rest.Interface, version string) EvictFunc { return post(core, version, false) }

// NewDryRunFunc is NewEvictFunc for evictions that the API server only judges.
func NewDryRunFunc(core rest.Interface, version string) EvictFunc { return post(core, version, true) }

func post(core rest.Interface, version string, dryRun bool) EvictFunc {
	return func(ctx context.Context, pod *plan.Pod, gracePeriod *int64) (int, error) {
		body, err := json.Marshal(evictionOf(pod, gracePeriod, version))
		if err != nil {
			return 0, fmt.Errorf("writing the eviction of %s: %w", pod.Key(), err)
		}
		code := 0
		request := core.Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("eviction").
			SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).MaxRetries(0)
		if dryRun {
			request.Param("dryRun", metav1.DryRunAll)
		}
		err = request.Do(ctx).StatusCode(&code).Error()
		return code, err
	}
}

// NewDeleteFunc deletes pods through the client of the core API group. It never
// retries. The UID is a precondition, and without a grace period nothing is
// sent: the API server would remove the pod while its containers run.
func NewDeleteFunc(core rest.Interface) DeleteFunc {
	return func(ctx context.Context, pod *plan.Pod, gracePeriod int64) (int, error) {
		if pod.UID == "" || gracePeriod < 1 {
			return 0, fmt.Errorf("deleting %s, UID %q, with a grace period of %d s: expected a UID and at least 1 s", pod.Key(), pod.UID, gracePeriod)
		}
		body, err := json.Marshal(&metav1.DeleteOptions{
			TypeMeta:           metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
			GracePeriodSeconds: &gracePeriod, Preconditions: &metav1.Preconditions{UID: &pod.UID},
		})
		if err != nil {
			return 0, fmt.Errorf("writing the deletion of %s: %w", pod.Key(), err)
		}
		code := 0
		err = core.Delete().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).
			SetHeader("Content-Type", runtime.ContentTypeJSON).
			Body(body).MaxRetries(0).Do(ctx).StatusCode(&code).Error()
		return code, err
	}
}

func evictionOf(pod *plan.Pod, gracePeriod *int64, version string) runtime.Object {
	meta := metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}
	options := &metav1.DeleteOptions{
		GracePeriodSeconds: gracePeriod,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
	}
	kind := metav1.TypeMeta{APIVersion: policyv1.GroupName + "/" + version, Kind: "Eviction"}
	if version == "v1beta1" {
		return &policyv1beta1.Eviction{TypeMeta: kind, ObjectMeta: meta, DeleteOptions: options}
	}
	return &policyv1.Eviction{TypeMeta: kind, ObjectMeta: meta, DeleteOptions: options}
}
