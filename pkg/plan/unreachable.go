package plan

import (
	"fmt"
	"time"
)

// Unconfirmed is true for a pod that does not keep its node from being Drained
// although nothing confirms that it has ended: its grace period is over, and the
// node has been unreachable for Config.IgnoreUnreachableAfter.
func (c *Config) Unconfirmed(pod *Pod, node *Node, now time.Time) bool {
	from := c.unconfirmedFrom(pod, node)
	return !from.IsZero() && !now.Before(from)
}

// unconfirmedFrom is when the pod becomes unconfirmed if it stays as it is, and
// its node, too; zero for never.
func (c *Config) unconfirmedFrom(pod *Pod, node *Node) time.Time {
	switch {
	case c.IgnoreUnreachableAfter == 0, !node.Unreachable, node.ReadySince.IsZero():
		return time.Time{}
	case pod.Deadline.IsZero(), pod.heldByFinalizer():
		// A finalizer waits for a controller, which works without the node.
		return time.Time{}
	default:
		return latest(node.ReadySince.Add(c.IgnoreUnreachableAfter), pod.Deadline)
	}
}

// IsDrained says whether none of a node's pods keeps it from being Drained, and how
// many of them are unconfirmed.
func (c *Config) IsDrained(node *Node, pods []*Pod, at Surroundings, now time.Time) (unconfirmed int, drained bool) {
	for _, pod := range pods {
		switch {
		case !c.IsTarget(pod, at):
		case c.Unconfirmed(pod, node, now):
			unconfirmed++
		default:
			return 0, false
		}
	}
	return unconfirmed, true
}

// heldByFinalizer is true for a terminating pod of which nothing but finalizers
// is left.
func (p *Pod) heldByFinalizer() bool { return p.Finalizers != "" && (p.Stopped || p.Grace == 0) }

// unreachableText says what a pod past its grace period waits for on an
// unreachable node.
func (c *Config) unreachableText(pod *Pod, node *Node) string {
	text := "node unreachable"
	if !node.ReadySince.IsZero() {
		text += " since " + clock(node.ReadySince)
	}
	// What a person can do comes first: the end may be cut off.
	text += "; " + Fix(NodeUnreachable, "", "")
	if from := c.unconfirmedFrom(pod, node); !from.IsZero() {
		text += "; drainer waits until " + clock(from)
	}
	return text
}

// unconfirmedText says what it means that a node is Drained with so many
// unconfirmed pods.
func unconfirmedText(pods int) string {
	return fmt.Sprintf("%d unconfirmed: the node is unreachable, and they may run until its machine is off", pods)
}
