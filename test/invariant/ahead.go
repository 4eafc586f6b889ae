package invariant

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// What drainer calls the reasons for which the drain of a queued node cannot finish.
const (
	severalBudgets = "multiple_budgets"
	neverAllows    = "budget_never_allows"
	usedUp         = "budget_exhausted"
)

// foreseenWithin is how long drainer may take to say what would keep the drain of a
// queued node from its end.
const foreseenWithin = 15 * time.Minute

// Outdated is true while what a queued node says would keep its drain from its end is
// no longer true, or not all of it yet.
func (c *Checker) Outdated(at time.Time) bool {
	return slices.ContainsFunc(c.queued(), func(n *node) bool { return c.untrue(n) != nil || c.leftOut(at, n) != nil })
}

// queued are the nodes that wait for their drains to begin.
func (c *Checker) queued() []*node {
	var queued []*node
	for _, n := range c.nodes {
		if n.Node != nil && c.rules.Served(n.Node) && n.asked && n.said.Phase == api.Queued && n.said.StartedAt == nil && n.said.Request == n.request.ID {
			queued = append(queued, n)
		}
	}
	return queued
}

// finishAhead judges what nodes that are still queued say at the end: what they say
// would keep their drains from their end does, and none leaves it out. A node that
// names as many obstacles as it may can have more.
func (c *Checker) finishAhead(at time.Time) {
	for _, n := range c.queued() {
		if o := c.untrue(n); o != nil {
			c.violated(Finishes, at, "node %s says that pod %s keeps its drain from its end for %s, and it does not", n.name, o.Pod, o.Reason)
		}
		if p := c.leftOut(at, n); p != nil && at.Sub(n.asking) >= foreseenWithin && at.Sub(p.bound) >= foreseenWithin {
			c.violated(Finishes, at, "node %s does not say that several budgets select pod %s/%s", n.name, p.Namespace, p.Name)
		}
	}
}

// untrue is something that a queued node says would keep its drain from its end, and
// that would not; nil if there is nothing.
func (c *Checker) untrue(n *node) *api.Obstacle {
	for i := range n.said.CannotFinish {
		o := &n.said.CannotFinish[i]
		namespace, name, _ := strings.Cut(o.Pod, "/")
		if p := c.pods[types.NamespacedName{Namespace: namespace, Name: name}]; p != nil && p.Spec.NodeName == n.name && !c.hinders(p, o.Reason) {
			return o
		}
	}
	return nil
}

// leftOut is the pod of a queued node that has been on it for longest of those that
// would keep its drain from its end because several budgets select them, if the node
// does not say that there are any; nil if it need not.
func (c *Checker) leftOut(at time.Time, n *node) *pod {
	told := slices.ContainsFunc(n.said.CannotFinish, func(o api.Obstacle) bool { return o.Reason == severalBudgets })
	if told || len(n.said.CannotFinish) >= api.MaxObstacles || c.deletesIfAny(at, n) {
		return nil
	}
	var first *pod
	for _, p := range c.pods {
		if p.Spec.NodeName == n.name && p.DeletionTimestamp == nil && len(c.budgetsOf(p.Pod)) > 1 && c.evicts(p) && (first == nil || p.bound.Before(first.bound)) {
			first = p
		}
	}
	return first
}

// evicts is true for a pod that drainer evicts, within budgets.
func (c *Checker) evicts(p *pod) bool {
	rule := c.verdict(p.Pod)
	return c.stays(p.Pod) == "" && !finished(p.Pod) && p.Status.Phase != corev1.PodPending && (rule.Action == NoRule || rule.Action == Evicts) && c.held(time.Time{}, p.Pod) == ""
}

// deletesIfAny is true for a node whose pods may be deleted past their budgets.
func (c *Checker) deletesIfAny(at time.Time, n *node) bool {
	return c.rules.AllowDelete && (n.urgent(at) || c.onTimeout(at, n) == api.Delete || c.rules.Pods != nil)
}

// hinders is true for a pod that keeps the drain of its node from its end, if that
// began now, for a reason by budgets; others are not judged.
func (c *Checker) hinders(p *pod, reason string) bool {
	budgets := c.budgetsOf(p.Pod)
	switch {
	case reason == severalBudgets:
		return len(budgets) > 1
	case reason != neverAllows && reason != usedUp:
		return true
	case len(budgets) != 1:
		return false
	}
	b := &budgets[0].Status
	if reason == neverAllows {
		return b.DisruptionsAllowed == 0
	}
	return b.CurrentHealthy < b.DesiredHealthy || !c.elsewhere(p)
}

// elsewhere is true if a schedulable node other than the pod's own has what the pod's
// node selector wants.
func (c *Checker) elsewhere(p *pod) bool {
	for name, n := range c.nodes {
		if n.Node == nil || name == p.Spec.NodeName || !schedulable(n.Node) {
			continue
		}
		fits := true
		for key, value := range p.Spec.NodeSelector {
			fits = fits && n.Labels[key] == value
		}
		if fits {
			return true
		}
	}
	return false
}
