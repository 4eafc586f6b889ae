package invariant

import (
	"slices"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

const (
	// recovery is how long after the grace period of a pod that was deleted past a
	// budget the next one may be, whatever state the budget is in.
	recovery = 30 * time.Second
	// refusedFor is how long ago the API server may have refused to evict a pod
	// that is deleted.
	refusedFor = 2 * time.Minute
)

// forced is the last deletion past a budget.
type forced struct {
	pod   types.NamespacedName
	uid   types.UID
	until time.Time
	// healthy is how many pods were healthy before, as the budget said.
	healthy int32
}

// judgeDeletion: the API server received a deletion of a pod by drainer.
func (c *Checker) judgeDeletion(at time.Time, e Eviction, p *pod, n *node) {
	if e.UID == "" || e.Grace < 1 {
		c.violated(OnlyTargets, at, "pod %s is deleted with the UID %q and a grace period of %d s", e.Pod, e.UID, e.Grace)
	}
	last := c.runsOut(at, p.Pod, n)
	if at.Sub(n.asking) > c.rules.Patience && !c.deletes(at, n) && !c.deletesByRule(at, p, n) && !last {
		c.violated(OnlyTargets, at, "pod %s is deleted although its node %s has no request that has timed out and deletes and does not disappear, nor the pod a rule that does", e.Pod, n.name)
	}
	if why := c.protected(p); why != "" {
		c.violated(KeepsBudgets, at, "pod %s is deleted although %s", e.Pod, why)
	}
	if e.By != Daemon {
		return
	}
	if refused, ever := c.refused[e.UID]; !ever || at.Sub(refused) > refusedFor {
		c.violated(KeepsBudgets, at, "pod %s is deleted without that its eviction was refused just before", e.Pod)
	}
	if last {
		return // There is no time to wait for others.
	}
	for _, b := range c.budgetsOf(p.Pod) {
		c.judgePace(at, e, b)
	}
}

// judgePace: after a deletion past a budget the next one waits.
func (c *Checker) judgePace(at time.Time, e Eviction, b *budget) {
	f, ever := c.forced[b.UID]
	if !ever || !at.Before(f.until) {
		return
	}
	if last := c.pods[f.pod]; last != nil && last.UID == f.uid {
		c.violated(KeepsBudgets, at, "pod %s is deleted past budget %s while %s, deleted before it, is still there", e.Pod, b.Name, f.pod)
	}
	if is := b.Status.CurrentHealthy; is < f.healthy && c.rules.BudgetLag == 0 {
		c.violated(KeepsBudgets, at, "pod %s is deleted past budget %s, which has %d healthy pods and had %d before %s was deleted", e.Pod, b.Name, is, f.healthy, f.pod)
	}
}

// deletes is true for a node whose drain has timed out and deletes what budgets
// hold.
func (c *Checker) deletes(at time.Time, n *node) bool {
	return c.rules.AllowDelete && c.onTimeout(at, n) == api.Delete && n.said.StartedAt != nil && c.overdue(at, n)
}

// deletesByRule is true for a pod whose rule deletes it by now.
func (c *Checker) deletesByRule(at time.Time, p *pod, n *node) bool {
	after := c.verdict(p.Pod).DeleteAfter
	return c.rules.AllowDelete && after > 0 && n.said.StartedAt != nil && !at.Before(n.said.StartedAt.Add(after))
}

// protected says why a pod is never deleted past its budgets; empty if it may be.
func (c *Checker) protected(p *pod) string {
	switch {
	case metav1.GetControllerOfNoCopy(p.Pod) == nil:
		return "no controller would create it again"
	case slices.Contains(c.rules.NeverDelete, p.Namespace):
		return "its namespace is protected"
	}
	for _, b := range c.budgetsOf(p.Pod) {
		if metav1.GetControllerOfNoCopy(b.PodDisruptionBudget) != nil {
			return "a controller manages budget " + b.Name
		}
	}
	return ""
}

// forcible is true for a pod that leaves by a deletion, if by nothing else.
func (c *Checker) forcible(at time.Time, p *pod) bool {
	if p.DeletionTimestamp != nil || c.held(at, p.Pod) != "" || c.protected(p) != "" {
		return false
	}
	budgets := c.budgetsOf(p.Pod)
	return len(budgets) > 0 && !slices.ContainsFunc(budgets, func(b *budget) bool {
		failed := slices.ContainsFunc(b.Status.Conditions, func(c metav1.Condition) bool { return c.Reason == policyv1.SyncFailedReason })
		return failed || b.Status.ObservedGeneration < b.Generation
	})
}

// force notes a deletion that the API server has carried out.
func (c *Checker) force(at time.Time, e Eviction) {
	p := c.pods[e.Pod]
	if p == nil || e.By != Daemon {
		return
	}
	for _, b := range c.budgetsOf(p.Pod) {
		c.forced[b.UID] = forced{
			pod: e.Pod, uid: p.UID, until: at.Add(time.Duration(e.Grace)*time.Second + recovery),
			// What drainer has seen may be the numbers before these.
			healthy: min(b.Status.CurrentHealthy, b.before),
		}
	}
}

// disallowed is true for a request that deletes where drainer may not.
func (c *Checker) disallowed(r api.Request) bool {
	return r.OnTimeout == api.Delete && !c.rules.AllowDelete
}
