package drain

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// count counts the node's pods by state.
func (n *nodeWork) count() {
	n.counts = api.PodCounts{Gone: n.memory.Gone}
	for i := range n.pods {
		s := &n.pods[i]
		switch s.State {
		case Left:
			n.counts.Left++
		case Wanted:
			n.counts.Wanted++
		case BlockedPod:
			n.counts.Blocked++
		case Terminating:
			n.counts.Terminating++
		}
		if s.State == Terminating || s.send == underway && s.State != BlockedPod {
			n.active = true
		}
	}
}

// conclude gives the node its phase and says what is to be done about it.
func (p *planner) conclude(n *nodeWork) NodePlan {
	n.count()
	p.recount(n)
	p.followProgress(n)
	plan := NodePlan{
		Node: n.node, Request: n.request, Pods: n.pods,
		Watch: n.memory.started(), Taint: n.waits, Queued: n.queued,
		Confirm: p.looksDrained(n),
		Cordon:  n.memory.started() && n.invalid == nil && !n.cordoned() && !p.Now.Before(n.memory.RecordonAt),
	}
	plan.Phase = p.phase(n)
	plan.Memory = n.memory
	plan.Facts = p.facts(n, plan.Phase)
	// Most reports are never written: progress is, every progressInterval.
	facts := plan.Facts
	plan.words = sync.OnceValue(func() Report { return p.inWords(n, facts) })
	return plan
}

// recount makes up for the pods that left while nobody looked.
func (p *planner) recount(n *nodeWork) {
	m := &n.memory
	if n.listed && !m.looked {
		m.looked = true
		m.Gone += max(0, m.before-n.counts.Remaining())
		n.counts.Gone = m.Gone
	}
}

// followProgress notes since when nothing happens, and that a drained node has
// got a wanted pod again.
func (p *planner) followProgress(n *nodeWork) {
	m := &n.memory
	if n.listed && n.counts.Remaining() > 0 {
		*m = m.reopened(p.Now)
	}
	if !p.stalls(n) {
		m.IdleSince = time.Time{}
		return
	}
	switch {
	case !m.IdleSince.IsZero():
	case !m.looked && m.Phase == api.Blocked:
		// So it was for the process before, too.
		m.IdleSince = p.Now.Add(-blockedAfter)
	default:
		m.IdleSince = p.Now
	}
	p.wakeAt(m.IdleSince.Add(blockedAfter))
}

// stalls is true for a drain that should go on and at the moment does not:
// its pods wait, or the node cannot be cordoned, or its pods not be read.
func (p *planner) stalls(n *nodeWork) bool {
	switch {
	case !n.memory.started() || !n.memory.FinishedAt.IsZero() || n.invalid != nil || n.request.Paused || n.stopped(p.onTimeout(n)):
		return false
	case !n.cordoned() || !n.listed:
		return true
	default:
		return !n.active && n.counts.Remaining() > 0
	}
}

// looksDrained is true if nothing but a live list is missing for Drained.
func (p *planner) looksDrained(n *nodeWork) bool {
	m := n.memory
	if !n.listed || !n.cordoned() || n.invalid != nil || n.request.Paused ||
		n.counts.Remaining() > 0 || !m.FinishedAt.IsZero() {
		return false
	}
	at := m.CordonSeen.Add(p.Config.Settle)
	if at.Before(m.RetryConfirmAt) {
		at = m.RetryConfirmAt
	}
	p.wakeAt(at)
	return !p.Now.Before(at)
}

func (p *planner) phase(n *nodeWork) api.Phase {
	m := n.memory
	switch {
	case n.invalid != nil:
		return api.InvalidRequest
	case n.request.Paused:
		return api.Paused
	case !m.started():
		return api.Queued
	case !m.FinishedAt.IsZero():
		return api.Drained
	case n.timedOut:
		return api.TimedOut
	case !m.IdleSince.IsZero() && p.Now.Sub(m.IdleSince) >= blockedAfter:
		return api.Blocked
	default:
		return api.Draining
	}
}

// facts is what the node is to say, without words.
func (p *planner) facts(n *nodeWork, phase api.Phase) Report {
	r := Report{
		Status: api.Status{
			Request: n.request.ID, Phase: phase, Pods: n.counts,
			RequestedAt: timePointer(n.memory.RequestedAt), StartedAt: timePointer(n.memory.StartedAt),
			FinishedAt: timePointer(n.memory.FinishedAt), PausedAt: timePointer(n.memory.PausedAt),
			PausedSeconds: int64(n.memory.PausedFor / time.Second),
		},
		InProgress: corev1.ConditionFalse, Drained: corev1.ConditionFalse,
	}
	if n.memory.started() {
		switch phase {
		case api.Draining, api.Blocked, api.Paused:
			r.InProgress = corev1.ConditionTrue
		case api.TimedOut:
			if !n.stopped(p.onTimeout(n)) {
				r.InProgress = corev1.ConditionTrue
			}
		case api.Drained:
			r.Drained = corev1.ConditionTrue
		case api.Queued, api.InvalidRequest:
		}
	}
	return r
}

// inWords completes a report. It reads nothing that changes after the plan.
func (p *planner) inWords(n *nodeWork, r Report) Report {
	worst := blockers(n.pods, p.Now)
	r.Status.Blockers = worst.listed()
	r.Status.Reason = worst.reason()
	r.Message = p.message(n, r.Status.Phase, &worst)
	return r
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
