package sim

import (
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// deletionTimeout is how long the disruption controller counts a pod as
// disrupted that was evicted and does not terminate.
const deletionTimeout = 2 * time.Minute

// AddBudget adds a PodDisruptionBudget over the pods with the label app. The
// disruption controller has not seen it yet.
func (c *Cluster) AddBudget(namespace, name, app string, spec policyv1.PodDisruptionBudgetSpec) {
	if spec.Selector == nil {
		spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	}
	c.Put(Budgets, &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1}, Spec: spec,
	})
}

// Budget returns a budget, or nil. It must not be changed.
func (c *Cluster) Budget(key Key) *policyv1.PodDisruptionBudget {
	o, found := c.Get(Budgets, key)
	if !found {
		return nil
	}
	return o.(*policyv1.PodDisruptionBudget)
}

// UpdateBudget stores a copy of a budget that exists with another spec.
func (c *Cluster) UpdateBudget(key Key, change func(*policyv1.PodDisruptionBudgetSpec)) {
	budget := c.Budget(key).DeepCopy()
	change(&budget.Spec)
	budget.Generation++
	c.Put(Budgets, budget)
}

// budgetsOf are the budgets that select the pod, in order. A budget whose
// selector cannot be read selects nothing.
func (c *Cluster) budgetsOf(pod *corev1.Pod) []*policyv1.PodDisruptionBudget {
	var matching []*policyv1.PodDisruptionBudget
	for _, g := range c.guardsOf(pod) {
		matching = append(matching, g.budget)
	}
	return matching
}

// syncBudget is the disruption controller's sync of one budget.
func (c *Cluster) syncBudget(key Key) {
	was := c.Budget(key)
	if was == nil {
		return
	}
	if _, err := metav1.LabelSelectorAsSelector(was.Spec.Selector); err != nil {
		return
	}
	pods := c.podsUnder(key)
	budget := was.DeepCopy()
	expected, desired, err := c.expectedPods(budget, pods)
	if err != nil {
		// The generation stays unobserved.
		budget.Status.DisruptionsAllowed = 0
		setAllowed(budget, metav1.ConditionFalse, policyv1.SyncFailedReason, err.Error(), c.now)
	} else {
		c.writeStatus(budget, pods, expected, desired)
	}
	if !sameStatus(&was.Status, &budget.Status) {
		c.Put(Budgets, budget)
		// The event of its own write changes nothing.
	}
}

// writeStatus computes a budget's status.
func (c *Cluster) writeStatus(budget *policyv1.PodDisruptionBudget, pods []*corev1.Pod, expected, desired int32) {
	s := &budget.Status
	s.DisruptedPods = c.stillDisrupted(budget, pods)
	healthy := int32(0)
	for _, pod := range pods {
		if _, disrupted := s.DisruptedPods[pod.Name]; podReady(pod) && pod.DeletionTimestamp == nil && !disrupted {
			healthy++
		}
	}
	s.ExpectedPods, s.DesiredHealthy, s.CurrentHealthy = expected, desired, healthy
	s.DisruptionsAllowed = max(0, healthy-desired)
	if expected <= 0 {
		s.DisruptionsAllowed = 0
	}
	s.ObservedGeneration = budget.Generation
	setAllowedByNumber(budget, c.now)
}

// stillDisrupted keeps the pods that were evicted and do not terminate yet, for
// deletionTimeout.
func (c *Cluster) stillDisrupted(budget *policyv1.PodDisruptionBudget, pods []*corev1.Pod) map[string]metav1.Time {
	kept := map[string]metav1.Time{}
	for _, pod := range pods {
		at, disrupted := budget.Status.DisruptedPods[pod.Name]
		if !disrupted || pod.DeletionTimestamp != nil {
			continue
		}
		if left := at.Add(deletionTimeout).Sub(c.now); left > 0 {
			kept[pod.Name] = at
			c.after(left, step{deed: syncBudget, key: keyOf(budget)})
		}
	}
	return kept
}

// expectedPods is how many pods the budget counts on, and how many of them have
// to be healthy.
func (c *Cluster) expectedPods(budget *policyv1.PodDisruptionBudget, pods []*corev1.Pod) (expected, desired int32, err error) {
	spec := &budget.Spec
	switch {
	case spec.MaxUnavailable != nil:
		if expected, err = c.scaleOf(pods); err != nil {
			return 0, 0, err
		}
		most, err := intstr.GetScaledValueFromIntOrPercent(spec.MaxUnavailable, int(expected), true)
		return expected, max(0, expected-int32(most)), err
	case spec.MinAvailable == nil:
		return 0, 0, nil
	case spec.MinAvailable.Type == intstr.Int:
		return int32(len(pods)), spec.MinAvailable.IntVal, nil
	default:
		if expected, err = c.scaleOf(pods); err != nil {
			return 0, 0, err
		}
		least, err := intstr.GetScaledValueFromIntOrPercent(spec.MinAvailable, int(expected), true)
		return expected, int32(least), err
	}
}

// scaleOf is the scale of all controllers of the pods together. Pods without
// one do not count.
func (c *Cluster) scaleOf(pods []*corev1.Pod) (int32, error) {
	scales := map[types.UID]int32{}
	for _, pod := range pods {
		if metav1.GetControllerOfNoCopy(pod) == nil {
			continue
		}
		w := c.workloadOf(pod)
		switch {
		case w == nil:
			return 0, fmt.Errorf("found no controllers for pod %q", pod.Name)
		case w.Kind == Job:
			return 0, errors.New("jobs.batch does not implement the scale subresource")
		case w.Kind == DaemonSet:
			return 0, errors.New("daemonsets.apps does not implement the scale subresource")
		}
		scales[w.uid] = int32(w.Replicas)
	}
	sum := int32(0)
	for _, scale := range scales {
		sum += scale
	}
	return sum, nil
}

func setAllowedByNumber(budget *policyv1.PodDisruptionBudget, now time.Time) {
	if budget.Status.DisruptionsAllowed > 0 {
		setAllowed(budget, metav1.ConditionTrue, policyv1.SufficientPodsReason, "", now)
		return
	}
	setAllowed(budget, metav1.ConditionFalse, policyv1.InsufficientPodsReason, "", now)
}

func setAllowed(budget *policyv1.PodDisruptionBudget, status metav1.ConditionStatus, reason, message string, now time.Time) {
	meta.SetStatusCondition(&budget.Status.Conditions, metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: status, Reason: reason, Message: message,
		ObservedGeneration: budget.Status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now),
	})
}

func sameStatus(a, b *policyv1.PodDisruptionBudgetStatus) bool {
	condition := func(s *policyv1.PodDisruptionBudgetStatus) metav1.Condition {
		c := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
		if c == nil {
			return metav1.Condition{}
		}
		return metav1.Condition{Status: c.Status, Reason: c.Reason, Message: c.Message, ObservedGeneration: c.ObservedGeneration}
	}
	return a.ObservedGeneration == b.ObservedGeneration && a.DisruptionsAllowed == b.DisruptionsAllowed &&
		a.CurrentHealthy == b.CurrentHealthy && a.DesiredHealthy == b.DesiredHealthy && a.ExpectedPods == b.ExpectedPods &&
		condition(a) == condition(b) && maps.EqualFunc(a.DisruptedPods, b.DisruptedPods, func(x, y metav1.Time) bool { return x.Equal(&y) })
}
