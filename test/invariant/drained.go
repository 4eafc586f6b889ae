package invariant

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// Listed: the API server has answered drainer's list of the pods of a node by
// which drainer finds out whether it is drained.
func (c *Checker) Listed(at time.Time, name string) {
	n := c.nodes[name]
	if n == nil {
		return
	}
	n.listed, n.found, n.perhaps = at, 0, 0
	for _, p := range c.pods {
		switch {
		case p.Spec.NodeName != name || c.stays(p.Pod) != "":
		case c.targetSince(p).Before(at):
			n.found++
		default:
			n.perhaps++
		}
	}
}

// judgeDrained: a node that drainer calls drained had no target when its pods
// were last listed.
func (c *Checker) judgeDrained(at time.Time, n *node, was, is *corev1.Node) {
	drained := is.Annotations[api.DrainedAnnotation]
	if drained == "" || was.Annotations[api.DrainedAnnotation] == drained {
		return
	}
	looked := at
	if !n.listed.IsZero() {
		looked = n.listed
	}
	c.judgeUnconfirmed(at, n)
	if p := c.targetOn(n.name, looked, at); p != nil {
		c.violated(DrainedIsEmpty, at, "node %s is reported drained although %s/%s is on it since %v", n.name, p.Namespace, p.Name, at.Sub(p.bound))
	}
	c.judgeVolumes(at, n)
}

// settles is how long after a disturbance drainer may withdraw that a node is
// drained: its writes may fail in the meantime.
const settles = 30 * time.Second

// judgeStays: a node stays drained while nothing has to leave it.
func (c *Checker) judgeStays(at time.Time, n *node, was, is *corev1.Node, by Actor) {
	if n.asking.Equal(at) || !is.Spec.Unschedulable || !ownsCordon(is) {
		n.disturbed = at
	}
	drained := was.Annotations[api.DrainedAnnotation]
	if drained == "" || drained != n.request.ID || is.Annotations[api.DrainedAnnotation] == drained || by != Daemon || n.silent(at) != "" {
		return
	}
	if at.Sub(n.disturbed) > settles+c.rules.Patience+c.rules.PodLag && c.targetOn(n.name, at, at) == nil {
		c.violated(Finishes, at, "node %s is no longer reported drained although nothing came to it for %v", n.name, at.Sub(n.disturbed))
	}
}

// judgeUnconfirmed: a drained node says how many of its pods nothing confirms to have
// ended. All that were there when they were last listed are such pods.
func (c *Checker) judgeUnconfirmed(at time.Time, n *node) {
	said := n.said.Pods.Unconfirmed
	switch {
	case c.rules.UnreachableAfter == 0 && said > 0:
		c.violated(DrainedIsEmpty, at, "node %s is reported drained with %d unconfirmed pods, and drainer has to wait for them", n.name, said)
	case c.rules.UnreachableAfter > 0 && !n.listed.IsZero() && (said < n.found || said > n.found+n.perhaps):
		c.violated(DrainedIsEmpty, at, "node %s is reported drained with %d unconfirmed pods, and had %d pods that have to leave", n.name, said, n.found)
	}
}

// targetOn is a pod that had to leave the node already before the time, and is not
// unconfirmed at another time; nil if there is none.
func (c *Checker) targetOn(node string, before, at time.Time) *pod {
	for _, p := range c.pods {
		if p.Spec.NodeName == node && c.stays(p.Pod) == "" && c.targetSince(p).Before(before) && !c.unconfirmed(at, p) {
			return p
		}
	}
	return nil
}

// unconfirmed is true for a pod that a drained node may have: its grace period is
// over, and the node has been unreachable for as long as the rules say. On the wire,
// times are in whole seconds.
func (c *Checker) unconfirmed(at time.Time, p *pod) bool {
	n := c.nodes[p.Spec.NodeName]
	return n != nil && p.DeletionTimestamp != nil && !p.DeletionTimestamp.Truncate(time.Second).After(at) && c.unreachable(n, at)
}

// unreachable is true for a node that has been unreachable for as long as the rules
// say.
func (c *Checker) unreachable(n *node, at time.Time) bool {
	since := c.lost(n)
	return !since.IsZero() && !at.Before(since)
}

// lost is when the node will have been unreachable for as long as the rules say; zero
// if it is not.
func (c *Checker) lost(n *node) time.Time {
	if c.rules.UnreachableAfter > 0 && n.Node != nil {
		for _, is := range n.Status.Conditions {
			if is.Type == corev1.NodeReady && is.Status == corev1.ConditionUnknown {
				return is.LastTransitionTime.Add(c.rules.UnreachableAfter)
			}
		}
	}
	return time.Time{}
}

// foundAgain: the node, which was lost at that time, is so no longer. Pods that were
// unconfirmed made no progress in the meantime, and do from now on.
func (c *Checker) foundAgain(at time.Time, n *node, lost time.Time) {
	for _, p := range c.pods {
		if p.Spec.NodeName != n.name || p.DeletionTimestamp == nil || p.DeletionTimestamp.After(at) {
			continue
		}
		if until := slices.MaxFunc([]time.Time{lost, p.DeletionTimestamp.Time}, time.Time.Compare); p.moving.Before(until) && c.stays(p.Pod) == "" {
			c.left[n.name] = append(c.left[n.name], period{p.moving, until})
		}
		p.moving = at
	}
}
