package invariant

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Hours are when drainer was told to work.
type Hours struct {
	// Begins is true if a drain of the node may begin at the time; nil for always.
	Begins func(at time.Time, n *corev1.Node) bool
	// Evicts is true if pods of the node may be evicted at the time, whenever its
	// drain began; nil for always.
	Evicts func(at time.Time, n *corev1.Node) bool
}

// Paused: from now on the ConfigMap drainer-control pauses everything, or no
// longer does.
func (c *Checker) Paused(at time.Time, yes bool) {
	switch {
	case !yes:
		c.paused = time.Time{}
	case c.paused.IsZero():
		c.paused = at
	}
}

// halts is true if nothing may be evicted from a node at the time although its
// own request allows it.
func (c *Checker) halts(at time.Time, n *node) bool {
	return !c.paused.IsZero() || c.rules.Evicts != nil && n.Node != nil && !n.request.IgnoreWindows && !n.urgent(at) && !c.rules.Evicts(at, n.Node)
}

// judgeHours judges an eviction by the time, and by what pauses everything.
func (c *Checker) judgeHours(at time.Time, e Eviction, n *node) {
	if !c.paused.IsZero() && at.Sub(c.paused) > c.rules.Patience {
		c.violated(Stops, at, "pod %s is evicted %v after everything was paused", e.Pod, at.Sub(c.paused))
	}
	if c.rules.Evicts == nil || n.request.IgnoreWindows || c.hurries(at, n) || at.Sub(n.asking) <= c.rules.Patience {
		return
	}
	// It may have been sent a moment ago.
	for ago := time.Duration(0); ago <= c.rules.Patience; ago += 100 * time.Millisecond {
		if c.rules.Evicts(at.Add(-ago), n.Node) {
			return
		}
	}
	c.violated(Stops, at, "pod %s is evicted from node %s at a time at which nothing may be", e.Pod, n.name)
}

// outOfHours says why a drain of the node must not have begun when drainer says
// that it did; empty if it may.
func (c *Checker) outOfHours(n *node) string {
	begun := *n.said.StartedAt
	switch {
	case !c.paused.IsZero() && begun.Sub(c.paused) > c.rules.Patience:
		return fmt.Sprintf("everything is paused, since %v", begun.Sub(c.paused))
	case c.rules.Begins == nil || n.request.IgnoreWindows || n.hasty || begun.Sub(n.asking) <= c.rules.Patience:
		return ""
	case !c.rules.Begins(begun, n.Node) && !c.rules.Begins(begun.Add(time.Second-1), n.Node):
		return "none may begin at the time"
	default:
		return ""
	}
}
