package invariant

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// follow updates what the limits over nodes count, and judges a drain that
// begins.
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
	if begins {
		n.hasty = c.hurries(at, n)
	}
	// A decision that was written much later can no longer be judged: times in a
	// status are whole seconds.
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

// onTimeout is what is done if the drain takes longer than it may.
func (c *Checker) onTimeout(at time.Time, n *node) api.OnTimeout {
	_, usual := c.timeout(n.Node)
	return n.waits(at, cmp.Or(n.request.OnTimeout, usual))
}

// stopped is true once a drain has given up: it took longer than it may and was
// to stop then, or has released the node, which no later annotation undoes. A
// request that replaced it has its own timeout, which counts from its start.
func (c *Checker) stopped(at time.Time, n *node) bool {
	stops := c.onTimeout(at, n) == api.Stop || c.onTimeout(at, n) == api.Release
	return n.said.ReleasedAt != nil || stops && n.said.Request == n.request.ID && c.overdue(at, n)
}

// gaveUp is true for a node whose drain began and gave up.
func (c *Checker) gaveUp(at time.Time, n *node) bool {
	return n.Node != nil && n.asked && n.said.StartedAt != nil && c.stopped(at, n)
}

// gaveUpBefore is true for a drain that drainer may have given up because it did not
// know yet what was asked for last.
func (c *Checker) gaveUpBefore(at time.Time, n *node) bool {
	if at.Sub(n.asking) > c.rules.Patience {
		return false
	}
	earlier := *n
	earlier.request = n.before
	return c.gaveUp(at, &earlier)
}

// overdue is true once a drain that began took longer than it may, or may have: the
// status gives whole seconds, so a pause may have begun in the one that follows.
func (c *Checker) overdue(at time.Time, n *node) bool { return c.tookTooLong(at, n, time.Second) }

// tookTooLong is true for a drain that took longer than it may if a pause that it is in
// began so long after the whole second.
func (c *Checker) tookTooLong(at time.Time, n *node, fraction time.Duration) bool {
	timeout, _ := c.timeout(n.Node)
	if n.request.Timeout != nil {
		timeout = *n.request.Timeout
	}
	if n.said.PausedAt != nil && (n.paused(at) || n.invalid || c.halts(at, n)) {
		at = n.said.PausedAt.Add(fraction)
	}
	paused := time.Duration(n.said.PausedSeconds) * time.Second
	return timeout > 0 && at.Sub(*n.said.StartedAt)-paused >= timeout
}

// holdsPlace is true for a drain whose slot another request takes over: it is under
// way, or was until just now, or is overdue only if its pause began late in a second.
func (c *Checker) holdsPlace(at time.Time, n *node) bool {
	if n.draining || n.said.StartedAt == nil || n.said.FinishedAt != nil {
		return n.draining
	}
	return at.Sub(n.entered) <= c.rules.Patience || c.overdue(at, n) && !c.tookTooLong(at, n, 0)
}

// judgeStart judges a drain that begins, on a node that was open or not.
func (c *Checker) judgeStart(at time.Time, n *node, open bool) {
	if why := c.outOfHours(n); why != "" {
		c.violated(KeepsLimits, at, "node %s begins although %s", n.name, why)
	}
	if longer(at, n.removing, c.rules.Patience) {
		c.violated(KeepsLimits, at, "node %s begins although it is being removed", n.name)
	}
	if !n.hasty {
		c.judgeLimits(at, n, open)
	}
}

// judgeLimits judges a drain that begins by the limits over nodes.
func (c *Checker) judgeLimits(at time.Time, n *node, open bool) {
	for _, part := range c.parts(n.Node) {
		served, draining := c.removedLately(at), 1
		for _, other := range c.others(n) {
			if !part.has(other.Node) {
				continue
			}
			if served++; c.underway(at, other) && !c.yields(at, other) {
				draining++
			}
		}
		if most := part.most(served + 1); draining > most {
			c.violated(KeepsLimits, at, "node %s begins as the %dth of %d nodes%s, at most %d may be drained at once", n.name, draining, served+1, part.of, most)
		}
	}
	c.judgeGroups(at, n)
	known := open && at.Sub(n.opened) > c.rules.Patience
	if known {
		c.judgeAvailable(at, n)
	}
	elsewhere := c.removedLately(at) > 0
	for _, other := range c.others(n) {
		if !other.draining || !other.started || c.joined(at, other) {
			elsewhere = elsewhere || other.open || c.joined(at, other) || !other.closed.IsZero() && at.Sub(other.closed) <= c.rules.Patience
		}
	}
	if known && !elsewhere && !c.rules.AllowLastNode {
		c.violated(KeepsLimits, at, "node %s begins although it is the last one that is schedulable and Ready", n.name)
	}
}

// others are the nodes served, except one.
func (c *Checker) others(n *node) []*node {
	var others []*node
	for _, other := range c.nodes {
		if other != n && other.Node != nil && c.rules.Served(other.Node) {
			others = append(others, other)
		}
	}
	return others
}

// removedLately counts the nodes that are no longer served, which drainer may
// not know yet.
func (c *Checker) removedLately(at time.Time) int {
	count := 0
	for _, gone := range c.removed {
		if at.Sub(gone) <= c.rules.Patience {
			count++
		}
	}
	return count
}

// underway is true for a node that drainer knows to be drained. One that was
// complete, or had given up, and continues may have been taken up again only now.
func (c *Checker) underway(at time.Time, n *node) bool {
	if !n.relapsed.IsZero() && at.Sub(n.relapsed) <= c.rules.Patience || c.gaveUpBefore(at, n) {
		return false
	}
	again := at.Sub(n.entered) > c.rules.Patience && c.targetOn(n.name, n.entered, n.entered) != nil
	return n.draining && !n.late && c.counts(at, n) && (n.started && !c.joined(at, n) || again)
}

// schedulable is true for a node that takes any new pod.
func schedulable(n *corev1.Node) bool {
	repels := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect != corev1.TaintEffectPreferNoSchedule && t.Key != corev1.TaintNodeUnschedulable
	})
	return isReady(n) && !n.Spec.Unschedulable && !repels
}

func isReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
