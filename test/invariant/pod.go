package invariant

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// pod is what is known of a pod.
type pod struct {
	*corev1.Pod
	// bound is when it was first seen on its node.
	bound time.Time
	// leaving is when it was first seen terminating.
	leaving time.Time
	// moving is since when that counts as progress of the drain: from then on, or
	// from when its node is no longer unreachable.
	moving time.Time
	// graceEnds is when its grace period ends; zero if it does not terminate.
	graceEnds time.Time
	// steady is since when it is Ready or not, under the labels that it has.
	steady time.Time
}

// budget is what is known of a budget.
type budget struct {
	*policyv1.PodDisruptionBudget
	selector labels.Selector
	// lost counts the healthy pods that others took from it since the disruption
	// controller last wrote its numbers.
	lost int
	// before is how many healthy pods it said when it last said another number.
	before int32
}

// onlySpent is true for a change of a budget that the eviction handler makes:
// the disruption controller has not counted again.
func onlySpent(was, is *policyv1.PodDisruptionBudget) bool {
	a, b := &was.Status, &is.Status
	return was.Generation == is.Generation && a.ObservedGeneration == b.ObservedGeneration && a.CurrentHealthy == b.CurrentHealthy &&
		a.DesiredHealthy == b.DesiredHealthy && a.ExpectedPods == b.ExpectedPods && a.DisruptionsAllowed == b.DisruptionsAllowed+1 &&
		len(b.DisruptedPods) > 0 && !maps.Equal(a.DisruptedPods, b.DisruptedPods)
}

// Pod: a pod was created, changed or deleted.
func (c *Checker) Pod(at time.Time, p *corev1.Pod, deleted bool) {
	key := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
	was := c.pods[key]
	if was != nil && was.UID != p.UID {
		was = nil
	}
	is := &pod{Pod: p}
	if was != nil {
		is.bound, is.leaving, is.moving, is.graceEnds = was.bound, was.leaving, was.moving, was.graceEnds
	}
	if is.bound.IsZero() && p.Spec.NodeName != "" {
		is.bound = at
	}
	if p.DeletionTimestamp != nil {
		is.graceEnds = p.DeletionTimestamp.Time
	}
	if is.leaving.IsZero() && p.DeletionTimestamp != nil {
		is.leaving, is.moving = at, at
	}
	is.steady = is.steadySince(was, at)
	c.pods[key] = is
	c.followPace(at, p, deleted)
	if n := c.nodes[p.Spec.NodeName]; n != nil && c.stays(p) == "" {
		n.disturbed = at
	}
	if deleted {
		delete(c.pods, key)
		c.gone(is)
		if is.moving.Before(at) && !is.leaving.IsZero() && c.stays(p) == "" {
			c.left[p.Spec.NodeName] = append(c.left[p.Spec.NodeName], period{is.moving, earlier(at, is.graceEnds)})
		}
	}
	if was != nil && healthy(was.Pod) && (deleted || !healthy(p)) {
		c.lostHealth(at, p)
	}
}

// gone: a pod is gone. Drainer may know that it is no longer what its last list had.
func (c *Checker) gone(p *pod) {
	if n := c.nodes[p.Spec.NodeName]; n != nil && n.found > 0 && c.stays(p.Pod) == "" && c.targetSince(p).Before(n.listed) {
		n.found, n.perhaps = n.found-1, n.perhaps+1
	}
}

// lostHealth: a pod is no longer healthy. If drainer has it evicted, no
// budget may lack it.
func (c *Checker) lostHealth(at time.Time, p *corev1.Pod) {
	for _, b := range c.budgetsOf(p) {
		if !c.disrupted[p.UID] {
			b.lost++
			continue
		}
		if b.Status.ObservedGeneration < b.Generation {
			continue // Its demand is not known.
		}
		n := int32(0)
		for _, other := range c.pods {
			if other.UID != p.UID && other.Namespace == b.Namespace && healthy(other.Pod) && b.selector.Matches(labels.Set(other.Labels)) {
				n++
			}
		}
		if n+int32(b.lost) < b.Status.DesiredHealthy {
			c.violated(KeepsBudgets, at, "budget %s/%s demands %d healthy pods and has %d after the eviction of %s",
				b.Namespace, b.Name, b.Status.DesiredHealthy, n, p.Name)
		}
	}
}

func (c *Checker) budgetsOf(p *corev1.Pod) []*budget {
	var list []*budget
	for key, b := range c.budgets {
		if key.Namespace == p.Namespace && b.selector.Matches(labels.Set(p.Labels)) {
			list = append(list, b)
		}
	}
	return list
}

// healthy is true for a pod that a budget protects.
func healthy(p *corev1.Pod) bool { return p.DeletionTimestamp == nil && ready(p) && !finished(p) }

func ready(p *corev1.Pod) bool {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == corev1.PodReady {
			return p.Status.Conditions[i].Status == corev1.ConditionTrue
		}
	}
	return false
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func hasEmptyDir(p *corev1.Pod) bool {
	for i := range p.Spec.Volumes {
		if p.Spec.Volumes[i].EmptyDir != nil {
			return true
		}
	}
	return false
}

// stays says why a pod need not leave the node that it is on; empty if it has to.
func (c *Checker) stays(p *corev1.Pod) string {
	owner, rule := metav1.GetControllerOfNoCopy(p), c.verdict(p)
	switch {
	case p.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return "it is static"
	case owner != nil && owner.Kind == "DaemonSet" && c.daemonSets[owner.UID]:
		return "its DaemonSet exists"
	case rule.Action == Ignores:
		return "a rule lets it stay"
	case rule.Action != NoRule:
		return ""
	case owner == nil && c.rules.BarePods == IgnoreBarePods && !finished(p):
		return "it has no controller"
	default:
		return ""
	}
}

// held says why a pod that has to leave may not be evicted; empty if it may.
func (c *Checker) held(at time.Time, p *corev1.Pod) string {
	rule := c.verdict(p)
	switch {
	case finished(p):
		return ""
	case rule.Action != NoRule:
		return c.ruled(at, p, rule)
	case metav1.GetControllerOfNoCopy(p) == nil && c.rules.BarePods == BlockBarePods:
		return "no controller would create it again"
	case hasEmptyDir(p) && c.rules.BlockEmptyDir:
		return "it would lose its emptyDir volume"
	default:
		return ""
	}
}

// targetSince is since when the pod has to leave its node.
func (c *Checker) targetSince(p *pod) time.Time {
	if owner := metav1.GetControllerOfNoCopy(p.Pod); owner != nil && owner.Kind == "DaemonSet" {
		if gone := c.orphaned[owner.UID].Add(c.rules.PodLag); gone.After(p.bound) {
			return gone
		}
	}
	return p.bound
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
