package plan

import (
	"time"

	"drainer.dev/drainer/pkg/api"
)

// followProgress notes since when nothing happens, and that a drained node has
// a target again.
func (p *planner) followProgress(n *nodeWork) {
	m := &n.memory
	// A node whose request is invalid does not say Drained. Once it is corrected, the
	// API server is asked again.
	if n.invalid != nil && !m.FinishedAt.IsZero() || n.listed && n.counts.Remaining() > p.undecided(n) {
		*m = m.reopened(p.Now)
		m.Volumes = Volumes{}
	}
	p.followVolumes(n)
	p.followOverdue(n)
	if !p.stalls(n) {
		m.IdleSince = time.Time{}
		return
	}
	switch {
	case !m.IdleSince.IsZero():
	case !m.restored.idleSince.IsZero() && n.counts.Present() >= m.restored.remaining:
		m.IdleSince = m.restored.idleSince
	case m.restored.blocked != nil && m.Phase == api.Blocked:
		// It was also Blocked for the previous process.
		m.IdleSince = p.Now.Add(-blockedAfter)
	default:
		m.IdleSince = p.Now
	}
	p.wakeAt(m.IdleSince.Add(blockedAfter))
}

// undecided is how many pods of a drained node count as targets only because something
// that decides about them has not been seen yet: their DaemonSet, or what their rule looks
// at. They are not evicted before that, and the node stays drained for as long as that
// usually takes.
func (p *planner) undecided(n *nodeWork) (pods int) {
	if n.memory.FinishedAt.IsZero() {
		return 0
	}
	for i := range n.pods {
		s := &n.pods[i]
		until := time.Time{}
		switch {
		case s.orphan != nil:
			until = s.orphan.Since.Add(daemonSetGrace)
		case s.State == Blocked && s.rule.unseen != "":
			until = s.entry.Memory.FirstSeen.Add(listPatience)
		}
		if p.Now.Before(until) {
			p.wakeAt(until)
			pods++
		}
	}
	return pods
}

// listPatience is how long the first list of a node's pods may take before the
// drain counts as stalled.
const listPatience = time.Minute

// stalls is true for a drain that should make progress and at the moment does not: its
// pods wait, or the node cannot be written to, or its pods cannot be read. What
// waits for nothing but drainer's own queues does not stall.
func (p *planner) stalls(n *nodeWork) bool {
	switch {
	case !n.memory.started() || !n.memory.FinishedAt.IsZero() || n.halts() || n.stopped(p.onTimeout(n)):
		return false
	case !n.cordoned():
		return n.memory.Trouble != "" || n.memory.Uncordons > 0
	case !n.listed:
		unread := n.memory.CordonSeen.Add(listPatience)
		p.wakeAt(unread)
		return !p.Now.Before(unread)
	default:
		return !n.active && n.counts.Remaining() > 0 || n.counts.Remaining() == 0 && n.memory.Trouble != "" || p.volumesStall(n)
	}
}

// followOverdue notes since when the drain waits only for pods that are past their grace
// periods, and for pods that are blocked. A process that has just begun counts from then.
func (p *planner) followOverdue(n *nodeWork) {
	m := &n.memory
	switch at := p.lastGraceEnd(n); {
	case at.IsZero():
		m.OverdueSince = time.Time{}
		return
	case m.OverdueSince.IsZero():
		m.OverdueSince = latest(at, p.Now)
	default:
		m.OverdueSince = latest(at, m.OverdueSince)
	}
	if p.Config.YieldAfter > 0 {
		p.wakeAt(m.OverdueSince.Add(p.Config.YieldAfter))
	}
}

// lastGraceEnd is when the last grace period of the pods that terminate ends, if the drain
// waits only for these and for pods that are blocked; zero if it waits for others, too, or
// if none terminates.
func (p *planner) lastGraceEnd(n *nodeWork) (last time.Time) {
	if n.halts() || !n.listed || !n.cordoned() {
		return last
	}
	for i := range n.pods {
		switch s := &n.pods[i]; {
		case s.State == Ignored, s.State == UnconfirmedPod, s.State == Blocked && s.send != underway:
		case s.State == Terminating && !s.deadline().IsZero():
			last = latest(last, s.deadline())
		default:
			return time.Time{}
		}
	}
	return last
}
