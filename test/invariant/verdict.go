package invariant

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Verdict is what the rule for a pod says; its zero value if none matches.
type Verdict struct {
	Action Action
	Order  int
	// AtMost is how long the pod may complete; 0 for as long as it takes.
	AtMost time.Duration
	// DeleteAfter is how long budgets may hold the pod until it is deleted; 0 for
	// no limit.
	DeleteAfter time.Duration
}

// Action is what happens to a pod.
type Action int

// What happens to it.
const (
	NoRule Action = iota
	Evicts
	Ignores
	Awaits
	Blocks
)

func (c *Checker) verdict(p *corev1.Pod) Verdict {
	if c.rules.Pods == nil {
		return Verdict{}
	}
	return c.rules.Pods(p)
}

// ruled says why the rule for a pod that still runs does not let it be evicted.
func (c *Checker) ruled(at time.Time, p *corev1.Pod, v Verdict) string {
	switch v.Action {
	case Blocks:
		return "a rule blocks it"
	case Awaits:
		n := c.nodes[p.Spec.NodeName]
		if n != nil && c.hurries(at, n) {
			return ""
		}
		if v.AtMost == 0 || n == nil || n.said.StartedAt == nil {
			return "a rule lets it complete"
		}
		// The API has whole seconds; the model's creation times have more.
		if at.Before(n.said.StartedAt.Add(v.AtMost)) || at.Before(p.CreationTimestamp.Truncate(time.Second).Add(v.AtMost)) {
			return "a rule lets it complete for longer"
		}
	}
	return ""
}

// judgeOrder: a pod is evicted once those on its node with a lower order are gone.
func (c *Checker) judgeOrder(at time.Time, e Eviction, p *pod) {
	order := c.verdict(p.Pod).Order
	n := c.nodes[p.Spec.NodeName]
	if c.rules.Pods == nil || finished(p.Pod) || n != nil && c.hurries(at, n) {
		return
	}
	for _, other := range c.pods {
		if other.Spec.NodeName != p.Spec.NodeName || other.UID == p.UID || finished(other.Pod) || c.stays(other.Pod) != "" || c.unconfirmed(at, other) {
			continue
		}
		if v := c.verdict(other.Pod); v.Order < order && at.Sub(c.targetSince(other)) > c.rules.PodLag+c.rules.Patience {
			c.violated(OnlyTargets, at, "pod %s of order %d is evicted while %s/%s of order %d is there", e.Pod, order, other.Namespace, other.Name, v.Order)
			return
		}
	}
}
