package plan

import (
	"fmt"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// deadlineCounts is for how long after its deadline a node that is still there is
// expected to disappear at any moment. Beyond that, the deadline was wrong, or has
// been left from another request.
const deadlineCounts = 5 * time.Minute

// followDeadline notes when the node disappears, if its request says so.
func (p *planner) followDeadline(n *nodeWork) {
	at := n.request.Deadline
	if at.IsZero() || n.invalid != nil || n.memory.DryRun != nil {
		return
	}
	over := at.Add(deadlineCounts)
	p.wakeAt(at)
	p.wakeAt(over)
	if n.expired = !p.Now.Before(over); !n.expired {
		n.disappears = at
	}
}

// urgent is true for a node that disappears at a time that is known: its drain does
// what it can until then.
func (n *nodeWork) urgent() bool { return !n.disappears.IsZero() }

// paused is true while the node's own request is paused. A deadline overrides that:
// pods that stay would only be lost with their node.
func (n *nodeWork) paused() bool { return n.request.Paused && !n.urgent() }

// notBefore is when the drain may begin. A time at which the node is gone does not
// count.
func (n *nodeWork) notBefore() time.Time {
	if n.urgent() && !n.request.NotBefore.Before(n.disappears) {
		return time.Time{}
	}
	return n.request.NotBefore
}

// byDeadline sorts nodes that disappear ahead of all others, and the next one to
// disappear first.
func (n *nodeWork) byDeadline(other *nodeWork) int {
	if c := falseFirst(other.urgent(), n.urgent()); c != 0 {
		return c
	}
	return n.disappears.Compare(other.disappears)
}

// graceOverride is the grace period, in seconds, that overrides the pod's own unless
// there is no time for it; nil if nothing does.
func (n *nodeWork) graceOverride(s *PodState) *int64 {
	if n.request.GracePeriod != nil {
		return n.request.GracePeriod
	}
	return s.rule.GracePeriod
}

// grace is the grace period that overrides the pod's own; nil if nothing does. On a
// node that disappears it ends by then, and is at least a second.
func (p *planner) grace(n *nodeWork, s *PodState) *int64 {
	wanted := n.graceOverride(s)
	if !n.urgent() {
		return wanted
	}
	left := max(leastGrace, int64(n.disappears.Sub(p.Now)/time.Second))
	if graceSeconds(s.Pod, wanted) <= left {
		return wanted
	}
	return &left
}

// graceSeconds is the grace period of a pod in seconds.
func graceSeconds(pod *Pod, override *int64) int64 {
	if override != nil {
		return *override
	}
	return int64(pod.OwnGrace / time.Second)
}

// lastChance is when just the pod's grace period is left until its node disappears.
func (n *nodeWork) lastChance(s *PodState) time.Time {
	grace := max(leastGrace, graceSeconds(s.Pod, n.graceOverride(s)))
	return n.disappears.Add(-time.Duration(grace) * time.Second)
}

// runsOut is true for a pod whose last chance has come.
func (p *planner) runsOut(n *nodeWork, s *PodState) bool {
	if !n.urgent() {
		return false
	}
	at := n.lastChance(s)
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// countAtRisk finds the pods that are lost when their node disappears, as things
// stand, and counts those that are deleted before.
func (p *planner) countAtRisk(n *nodeWork) {
	if !n.urgent() {
		return
	}
	n.deadline = &api.Deadline{At: n.disappears}
	for i := range n.pods {
		s := &n.pods[i]
		switch {
		case s.State == Terminating:
			s.AtRisk = s.deadline().After(n.disappears)
		case s.State == Blocked && p.Config.AllowDelete && s.Reason.forcible() && p.spares(s) == "":
			n.deadline.ToDelete++
		default:
			s.AtRisk = s.State == Blocked
		}
		if s.AtRisk {
			n.deadline.AtRisk++
		}
	}
}

// deadlineText says when the node disappears and what happens to the pods that wait;
// empty for a node that does not.
func (w *words) deadlineText(d *api.Deadline) string {
	if d == nil {
		return ""
	}
	text := "the node disappears at " + clock(d.At)
	switch left := d.At.Sub(w.now); {
	case left <= 0:
		text = "the node should have disappeared at " + clock(d.At)
	case left < 10*time.Second:
		text += ", in less than 10s"
	default:
		text += ", in " + about(left)
	}
	if d.ToDelete > 0 {
		text += "; " + podsAre(d.ToDelete) + " deleted when only the grace period is left, unless the budgets allow an eviction before that"
	}
	if d.AtRisk > 0 {
		text += "; " + podsAre(d.AtRisk) + " lost with it unless gone by then"
		if !w.mayDelete {
			text += " (drainer deletes none: it runs without --allow-delete)"
		}
	}
	return text
}

// podsAre counts pods as the beginning of a sentence.
func podsAre(n int) string {
	if n == 1 {
		return "1 pod will be"
	}
	return fmt.Sprintf("%d pods will be", n)
}

// expiredText says that a deadline does not count.
func expiredText(at time.Time) string {
	return fmt.Sprintf("%s=%s does not count: it passed more than %s ago, and the node is still there; correct or remove it",
		api.DeadlineAnnotation, clock(at), about(deadlineCounts))
}

// newDeadline is true if the Node does not say yet when it disappears.
func newDeadline(was, is *api.Deadline) bool {
	if was == nil || is == nil {
		return was != is
	}
	return was.At.Unix() != is.At.Unix()
}
