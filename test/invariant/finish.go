package invariant

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
)

// Finish judges the end, long after faults have stopped: what is requested is
// drained, and what is not is released.
func (c *Checker) Finish(at time.Time) {
	c.finishMarks(at)
	c.finishAhead(at)
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[name]
		if n.Node == nil || !c.rules.Served(n.Node) {
			continue
		}
		if !n.asked {
			c.judgeReleased(at, n)
			continue
		}
		if n.Annotations[api.DrainedAnnotation] == n.request.ID && !n.invalid && !n.paused(at) {
			if p := c.targetOn(name, at, at); p != nil && c.rooted(at, p) == "" {
				c.violated(DrainedIsEmpty, at, "node %s is reported drained although %s/%s is on it", name, p.Namespace, p.Name)
			}
			continue
		}
		if n.said.ReleasedAt != nil && n.said.Request == n.request.ID && ownsCordon(n.Node) && n.holding.IsZero() {
			c.violated(OwnCordonOnly, at, "node %s says that its request timed out and released it, and is still cordoned by drainer", name)
		}
		if why := c.cannotFinish(at, n); why == "" {
			c.violated(Finishes, at, "node %s is not drained for %q and says %s", name, n.request.ID, n.said.Phase)
		}
	}
}

// Unfinished is a node that has to be drained, or released, and is not yet;
// empty if there is none.
func (c *Checker) Unfinished(at time.Time) string {
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[name]
		switch {
		case n.Node == nil || !c.rules.Served(n.Node):
		case n.asked && n.Annotations[api.DrainedAnnotation] != n.request.ID && c.cannotFinish(at, n) == "",
			!n.asked && !n.held() && (n.says || ownsCordon(n.Node) || queuedTaint(n.Node)):
			return name
		}
	}
	return ""
}

func (c *Checker) judgeReleased(at time.Time, n *node) {
	switch {
	case n.held():
	case ownsCordon(n.Node):
		c.violated(OwnCordonOnly, at, "node %s has no request and is still cordoned by drainer", n.name)
	case n.says, queuedTaint(n.Node):
		c.violated(OwnCordonOnly, at, "node %s has no request and still has drainer's status or taint", n.name)
	}
}

func queuedTaint(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == api.QueuedTaint })
}

// cannotFinish says why, by the rules, the node need not be drained; empty if it
// has to be.
func (c *Checker) cannotFinish(at time.Time, n *node) string {
	if why := n.silent(at); why != "" {
		return why
	}
	if n.said.StartedAt == nil {
		return c.cannotBegin(at, n)
	}
	if c.stopped(at, n) {
		return "gave up"
	}
	for _, p := range c.pods {
		if p.Spec.NodeName == n.name && c.stays(p.Pod) == "" {
			if why := c.rooted(at, p); why != "" && !((c.deletes(at, n) || c.ends(at, n)) && c.forcible(at, p)) {
				return why
			}
		}
	}
	return ""
}

// cannotBegin says why a drain that did not begin has to wait.
func (c *Checker) cannotBegin(at time.Time, n *node) string {
	if n.urgent(at) {
		if removed(n.Node) {
			return "is being removed"
		}
		return ""
	}
	for _, part := range c.parts(n.Node) {
		served, draining := 1, 0
		for _, other := range c.others(n) {
			if !part.has(other.Node) {
				continue
			}
			if served++; c.counts(at, other) {
				draining++
			}
		}
		if draining >= part.most(served) {
			return "waits for a slot" + part.of
		}
	}
	elsewhere := false
	for _, other := range c.others(n) {
		elsewhere = elsewhere || schedulable(other.Node)
	}
	switch {
	case removed(n.Node):
		return "is being removed"
	case c.groupsFull(at, n):
		return "waits for a group"
	case c.mayLackNodes(n):
		return "waits for nodes to be available"
	case !elsewhere && !c.rules.AllowLastNode:
		return "is the last node"
	default:
		return ""
	}
}

// rooted says why a pod that has to leave cannot, whatever drainer does; empty
// if it can.
func (c *Checker) rooted(at time.Time, p *pod) string {
	if p.DeletionTimestamp != nil {
		if c.unconfirmed(at, p) && len(p.Finalizers) == 0 {
			return ""
		}
		return fmt.Sprintf("pod %s/%s terminates", p.Namespace, p.Name)
	}
	if why := c.held(at, p.Pod); why != "" {
		return why
	}
	if finished(p.Pod) || p.Status.Phase == corev1.PodPending {
		return ""
	}
	budgets := c.budgetsOf(p.Pod)
	switch {
	case len(budgets) > 1:
		return "several budgets select a pod"
	case len(budgets) == 1 && !lets(budgets[0].PodDisruptionBudget, p.Pod):
		return "a budget has no room"
	default:
		return ""
	}
}

// lets is true if the API server would admit the eviction under the budget.
func lets(b *policyv1.PodDisruptionBudget, p *corev1.Pod) bool {
	s := &b.Status
	always := b.Spec.UnhealthyPodEvictionPolicy != nil && *b.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow
	if !ready(p) && (always || s.CurrentHealthy >= s.DesiredHealthy && s.DesiredHealthy > 0) {
		return true
	}
	failed := slices.ContainsFunc(s.Conditions, func(c metav1.Condition) bool { return c.Reason == policyv1.SyncFailedReason })
	return s.ObservedGeneration >= b.Generation && !failed && s.DisruptionsAllowed > 0
}

func inProgress(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeDrainInProgress && c.Status == corev1.ConditionTrue
	})
}
