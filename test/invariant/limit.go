package invariant

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// follow keeps up with what the limits over nodes are about, and judges a drain
// that begins.
func (c *Checker) follow(at time.Time, n *node, by Actor) {
	was, wasOpen := n.draining, n.open
	n.draining = c.counts(at, n)
	begins := n.draining && !was && n.begun.Equal(at) && !n.takenUp
	if n.draining != was {
		n.entered, n.started = at, begins
	}
	switch {
	case by == Late && begins:
		n.late = true
	case by == Daemon:
		n.late = false
	}
	// What was decided long before it could be written cannot be judged any more:
	// times in a status are whole seconds.
	if begins && by == Daemon && at.Sub(*n.said.StartedAt) <= c.rules.Patience+time.Second {
		c.judgeStart(at, n, wasOpen)
	}
	n.open = n.Node != nil && schedulable(n.Node)
	switch {
	case n.open && !wasOpen:
		n.opened = at
	case !n.open && wasOpen && by == Others:
		n.closed = at
	case !n.open && wasOpen:
		n.closed = time.Time{}
	}
}

// counts is true for a node that counts against the limit: drainer says that it
// has begun and is not done, and has not given up.
func (c *Checker) counts(at time.Time, n *node) bool {
	if n.Node == nil || !n.asked || !c.rules.Served(n.Node) || n.said.StartedAt == nil || n.said.FinishedAt != nil {
		return false
	}
	return (n.said.Request == n.request.ID || n.said.Request == n.kept) && !c.stopped(at, n)
}

// stopped is true once a drain took longer than it may and was to stop then.
func (c *Checker) stopped(at time.Time, n *node) bool {
	timeout, stops := c.rules.Timeout, c.rules.StopAtTimeout
	if n.request.Timeout != nil {
		timeout = *n.request.Timeout
	}
	if n.request.OnTimeout != "" {
		stops = n.request.OnTimeout == api.Stop
	}
	if n.said.PausedAt != nil && (n.request.Paused || n.invalid) {
		at = *n.said.PausedAt
	}
	paused := time.Duration(n.said.PausedSeconds) * time.Second
	return stops && timeout > 0 && at.Sub(*n.said.StartedAt)-paused >= timeout
}

// judgeStart judges a drain that begins, on a node that was open or not.
func (c *Checker) judgeStart(at time.Time, n *node, open bool) {
	served, draining, elsewhere := 0, 1, false
	for _, other := range c.nodes {
		if other.Node == nil || !c.rules.Served(other.Node) {
			continue
		}
		served++
		if other == n {
			continue
		}
		// One that was done and goes on may have been taken up again only now.
		again := at.Sub(other.entered) > c.rules.Patience && c.targetOn(other.name, other.entered) != nil
		if other.draining && !other.late && c.counts(at, other) && (other.started || again) {
			draining++
		}
		if !other.draining || !other.started {
			elsewhere = elsewhere || other.open || !other.closed.IsZero() && at.Sub(other.closed) <= c.rules.Patience
		}
	}
	for _, gone := range c.removed {
		if at.Sub(gone) <= c.rules.Patience {
			served++
			elsewhere = true
		}
	}
	if most := c.rules.MaxDraining(served); draining > most {
		c.violated(KeepsLimits, at, "node %s begins as the %dth of %d nodes, at most %d may be drained at once", n.name, draining, served, most)
	}
	if open && at.Sub(n.opened) > c.rules.Patience && !elsewhere && !c.rules.AllowLastNode {
		c.violated(KeepsLimits, at, "node %s begins although it is the last one that is schedulable and Ready", n.name)
	}
}

// schedulable is true for a node that takes any new pod.
func schedulable(n *corev1.Node) bool {
	repels := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect != corev1.TaintEffectPreferNoSchedule && t.Key != corev1.TaintNodeUnschedulable
	})
	isReady := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	return isReady && !n.Spec.Unschedulable && !repels
}
