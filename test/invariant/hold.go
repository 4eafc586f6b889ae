package invariant

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// hold records since when others hold the node.
func (n *node) hold(at time.Time) {
	switch held := n.Node != nil && len(api.HoldsOf(n.Annotations)) > 0; {
	case !held:
		n.holding = time.Time{}
	case n.holding.IsZero():
		n.holding = at
	}
}

// held is true for a node that drainer has to keep cordoned without a request.
func (n *node) held() bool { return ownsCordon(n.Node) && !n.holding.IsZero() }

// judgeHold: drainer does not remove its cordon while others hold the node.
func (c *Checker) judgeHold(at time.Time, n *node, was, is *corev1.Node, by Actor) {
	if by == Daemon && ownsCordon(was) && !ownsCordon(is) && !n.holding.IsZero() && at.Sub(n.holding) > c.rules.Patience {
		c.violated(OwnCordonOnly, at, "node %s is released by drainer although others hold it since %v", is.Name, at.Sub(n.holding))
	}
}
