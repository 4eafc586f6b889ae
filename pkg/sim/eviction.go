package sim

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// maxDisrupted is the number of unsettled disruptions above which a budget
	// admits no eviction.
	maxDisrupted = 2000
	// unsyncedSeconds is the Retry-After for a budget that has not been observed.
	unsyncedSeconds = 10
	// conflictRetries is how long the handler repeats the deletion of a pod
	// whose budgets do not count before it answers with the conflict.
	conflictRetries = 10 * time.Second
	violates        = "Cannot evict pod as it would violate the pod's disruption budget."
)

// Answer is what the eviction handler answers.
type Answer struct {
	// Error is nil for 201 Created, and otherwise an *errors.StatusError of
	// apimachinery.
	Error error
	// Takes is how much longer the client waits for the handler.
	Takes time.Duration
}

// Evict is the handler of pods/eviction, after webhooks: see Webhook for those.
// Its checks come in the API server's order; in particular, a budget is charged
// before the preconditions are compared.
func (c *Cluster) Evict(key Key, o metav1.DeleteOptions, dryRun bool) Answer {
	if err := c.admit(key); err != nil {
		return Answer{Error: err}
	}
	pod := c.Pod(key)
	if pod == nil {
		return Answer{Error: apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, key.Name)}
	}
	if pod.Status.Phase == corev1.PodPending || finished(pod) || pod.DeletionTimestamp != nil {
		err := c.disrupt(pod, o, dryRun)
		if apierrors.IsConflict(err) && o.Preconditions.ResourceVersion == nil {
			return Answer{Error: err, Takes: conflictRetries}
		}
		return Answer{Error: err}
	}
	switch budgets := c.budgetsOf(pod); {
	case len(budgets) > 1:
		return Answer{Error: statusError(http.StatusInternalServerError, "",
			"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")}
	case len(budgets) == 1 && !bypasses(pod, budgets[0]):
		if err := c.spend(pod, budgets[0], dryRun); err != nil {
			return Answer{Error: err}
		}
	}
	return Answer{Error: c.disrupt(pod, o, dryRun)}
}

// bypasses is true for a pod that is not Ready and whose eviction does not
// charge its budget.
func bypasses(pod *corev1.Pod, budget *policyv1.PodDisruptionBudget) bool {
	policy := budget.Spec.UnhealthyPodEvictionPolicy
	s := &budget.Status
	return !podReady(pod) && (policy != nil && *policy == policyv1.AlwaysAllow ||
		s.CurrentHealthy >= s.DesiredHealthy && s.DesiredHealthy > 0)
}

// spend charges the budget with one disruption for the pod, or returns why it
// cannot.
func (c *Cluster) spend(pod *corev1.Pod, was *policyv1.PodDisruptionBudget, dryRun bool) error {
	s := &was.Status
	switch {
	case s.ObservedGeneration < was.Generation:
		err := tooManyRequests(fmt.Sprintf("The disruption budget %s is still being processed by the server.", was.Name))
		err.ErrStatus.Details.RetryAfterSeconds = unsyncedSeconds
		return err
	case s.DisruptionsAllowed < 0:
		return budgetForbidden(was, "pdb disruptions allowed is negative", "pdb disruptions allowed is negative")
	case len(s.DisruptedPods) > maxDisrupted:
		return budgetForbidden(was, "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
			"too many pending evictions not confirmed by PDB controller")
	case s.DisruptionsAllowed == 0:
		return tooManyRequests(exhausted(was))
	case dryRun:
		return nil
	}
	budget := was.DeepCopy()
	budget.Status.DisruptionsAllowed--
	if budget.Status.DisruptionsAllowed == 0 {
		setAllowedByNumber(budget, c.now)
	}
	if budget.Status.DisruptedPods == nil {
		budget.Status.DisruptedPods = map[string]metav1.Time{}
	}
	budget.Status.DisruptedPods[pod.Name] = metav1.NewTime(c.now)
	c.Put(Budgets, budget)
	return nil
}

// exhausted is the cause that a budget without disruptions is reported with.
func exhausted(budget *policyv1.PodDisruptionBudget) string {
	s := &budget.Status
	condition := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
	denies := condition != nil && condition.Status == metav1.ConditionFalse
	none := fmt.Sprintf("The disruption budget %s does not allow evicting pods currently", budget.Name)
	switch {
	case denies && condition.Reason == policyv1.SyncFailedReason:
		return fmt.Sprintf("%s because it failed sync: %s", none, condition.Message)
	case s.CurrentHealthy <= s.DesiredHealthy:
		return fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", budget.Name, s.DesiredHealthy, s.CurrentHealthy)
	case denies && condition.Message != "":
		return fmt.Sprintf("%s (%s): %s", none, condition.Reason, condition.Message)
	default:
		return none
	}
}

func tooManyRequests(cause string) *apierrors.StatusError {
	err := statusError(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, violates)
	err.ErrStatus.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: cause}}}
	return err
}

func budgetForbidden(budget *policyv1.PodDisruptionBudget, why, cause string) error {
	err := apierrors.NewForbidden(schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudget"}, budget.Name, errors.New(why))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{
		Type:    policyv1.DisruptionBudgetCause,
		Message: fmt.Sprintf("The disruption budget %s does not allow evicting pods currently: %s", budget.Name, cause),
	}}
	return err
}

func statusError(code int32, reason metav1.StatusReason, message string) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}}
}

// disrupt marks the pod as disrupted and deletes it, if the preconditions hold.
func (c *Cluster) disrupt(pod *corev1.Pod, o metav1.DeleteOptions, dryRun bool) error {
	if err := holds(pod, o.Preconditions); err != nil {
		return err
	}
	if dryRun {
		return nil
	}
	marked := pod.DeepCopy()
	setPodCondition(marked, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI",
		Message: "Eviction API: evicting", LastTransitionTime: metav1.NewTime(c.now),
	})
	c.Put(Pods, marked)
	c.terminate(marked, o.GracePeriodSeconds)
	return nil
}

// holds compares a pod with the preconditions of its deletion.
func holds(pod *corev1.Pod, p *metav1.Preconditions) error {
	var mismatch string
	switch {
	case p == nil:
	case p.UID != nil && *p.UID != pod.UID:
		mismatch = fmt.Sprintf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated",
			*p.UID, pod.UID)
	case p.ResourceVersion != nil && *p.ResourceVersion != pod.ResourceVersion:
		mismatch = fmt.Sprintf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified",
			*p.ResourceVersion, pod.ResourceVersion)
	}
	if mismatch == "" {
		return nil
	}
	return apierrors.NewConflict(schema.GroupResource{Resource: "Pod"}, pod.Name, errors.New(mismatch))
}

// DeletePod is the handler of DELETE on pods: it ignores budgets.
func (c *Cluster) DeletePod(key Key, o metav1.DeleteOptions) error {
	pod := c.Pod(key)
	if pod == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, key.Name)
	}
	if err := holds(pod, o.Preconditions); err != nil {
		return err
	}
	c.terminate(pod, o.GracePeriodSeconds)
	return nil
}

// terminate begins the graceful deletion of a pod, or shortens it. Pods without
// a node, finished ones and those with a grace period of 0 are gone at once,
// unless they have finalizers.
func (c *Cluster) terminate(pod *corev1.Pod, graceSeconds *int64) {
	grace := corev1.DefaultTerminationGracePeriodSeconds + int64(0)
	switch {
	case pod.Spec.NodeName == "" || finished(pod):
		grace = 0
	case graceSeconds != nil:
		grace = *graceSeconds
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		grace = *pod.Spec.TerminationGracePeriodSeconds
	}
	deadline := metav1.NewTime(c.now.Add(time.Duration(grace) * time.Second))
	if pod.DeletionTimestamp != nil && !deadline.Before(pod.DeletionTimestamp) {
		return
	}
	if grace == 0 && len(pod.Finalizers) == 0 {
		c.Delete(Pods, keyOf(pod))
		return
	}
	c.UpdatePod(keyOf(pod), func(p *corev1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &deadline, &grace
	})
	c.resumePod(c.Pod(keyOf(pod)))
}
