package invariant

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// disappearing is for how long after its deadline a node may still be expected to
// disappear. Later on its deadline has no effect.
const disappearing = 5 * time.Minute

// urgent is true for a node that disappears, by its request.
func (n *node) urgent(at time.Time) bool {
	d := n.request.Deadline
	return n.asked && !n.invalid && !d.IsZero() && at.Before(d.Add(disappearing))
}

// hurries is true for a node that was urgent when drainer decided what it does now.
func (c *Checker) hurries(at time.Time, n *node) bool {
	return n.urgent(at.Add(-c.rules.Patience)) || !n.calmed.IsZero() && at.Sub(n.calmed) <= c.rules.Patience
}

// paused is true for a request that is paused.
func (n *node) paused(at time.Time) bool { return n.request.Paused && !n.urgent(at) }

// notBefore is when a drain may begin.
func (n *node) notBefore(at time.Time) time.Time {
	if n.urgent(at) && !n.request.NotBefore.Before(n.request.Deadline) {
		return time.Time{}
	}
	return n.request.NotBefore
}

// quietSince is since when nothing may be evicted from the node.
func (n *node) quietSince(at time.Time) time.Time {
	over := n.request.Deadline.Add(disappearing)
	if n.request.Paused && !n.request.Deadline.IsZero() && !at.Before(over) && over.After(n.changed) {
		return over
	}
	return n.changed
}

// joined is true for a node that began past the limits so lately that drainer may
// have let another one begin before.
func (c *Checker) joined(at time.Time, n *node) bool {
	return n.hasty && n.started && at.Sub(n.entered) <= c.rules.Patience
}

// runsOut is true for a pod that has just its grace period left before its node
// disappears, if such pods are deleted.
func (c *Checker) runsOut(at time.Time, p *corev1.Pod, n *node) bool {
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	switch {
	case n.request.GracePeriod != nil:
		grace = *n.request.GracePeriod
	case p.Spec.TerminationGracePeriodSeconds != nil:
		grace = *p.Spec.TerminationGracePeriodSeconds
	}
	last := n.request.Deadline.Add(-time.Duration(max(1, grace)) * time.Second)
	return c.rules.AllowDelete && c.hurries(at, n) && !at.Before(last)
}

// ends is true for a node whose deadline has come, if that deletes pods.
func (c *Checker) ends(at time.Time, n *node) bool {
	return c.rules.AllowDelete && n.urgent(at) && !at.Before(n.request.Deadline)
}

// waits is what a drain of an urgent node does instead of giving up.
func (n *node) waits(at time.Time, action api.OnTimeout) api.OnTimeout {
	if n.urgent(at) && (action == api.Stop || action == api.Release) {
		return api.Wait
	}
	return action
}
