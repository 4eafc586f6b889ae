package plan

import (
	"fmt"
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
		case Ignored:
			n.counts.Ignored++
		case Eligible:
			n.counts.Eligible++
		case Blocked:
			n.counts.Blocked++
		case Terminating:
			n.counts.Terminating++
		case UnconfirmedPod:
			n.counts.Unconfirmed++
		}
		if s.State == Terminating || s.send == underway && s.State != Blocked {
			n.active = true
		}
	}
}

// conclude decides the node's phase and what is to be done about it.
func (p *planner) conclude(n *nodeWork) NodePlan {
	n.count()
	p.countAtRisk(n)
	p.recount(n)
	p.followProgress(n)
	plan := NodePlan{Node: n.node, Request: n.request, Pods: n.pods, Watch: n.memory.working()}
	plan.Phase = p.phase(n)
	result := resultOf(n.memory.Result, plan.Phase)
	plan.ended = result != n.memory.Result
	n.memory.Result = result
	n.memory.HeldSlot = n.holdsSlot(p.onTimeout(n))
	n.memory.Worst = n.memory.Worst.worse(n.pods, p.Now)
	plan.Memory = n.memory
	plan.Facts = p.facts(n, plan.Phase)
	plan.Facts.Unfinishable = p.findObstacles(n, plan.Phase)
	plan.Ahead, plan.Foresee = n.ahead, p.foresees(n, plan.Phase)
	plan.words = p.wordsOf(n)
	p.act(n, &plan)
	return plan
}

// act decides what to do at the node now.
func (p *planner) act(n *nodeWork, plan *NodePlan) {
	drained := p.looksDrained(n)
	plan.Write = p.writes(n, plan) && !(drained && n.node.saysDrained(n.request.ID))
	plan.Guarded = plan.Write && drained
	if OlderVersion(n.node.ResourceVersion, n.memory.Written.Version) {
		// The Node does not show our last write yet. When it does, its event
		// brings a new plan.
		plan.Read = p.unseen(&n.memory.Written)
		return
	}
	plan.Taint = n.waits && !n.node.QueuedTaint
	plan.Untaint = !n.waits && n.node.QueuedTaint && p.Control.Paused == ""
	plan.Uncordon = n.memory.released() && n.node.OwnCordon && len(api.HoldsOf(n.node.Annotations)) == 0 &&
		p.Control.Paused == "" && plan.announcedRelease()
	plan.Cordon = n.halted == "" && n.memory.working() && n.invalid == nil && !n.cordoned() && !p.Now.Before(n.memory.RecordonAt) && announced(plan)
	if drained && !plan.Write {
		plan.Confirm, plan.AwaitsVolumes = p.settleVolumes(n)
	}
	plan.Judge = !plan.Write && n.awaitsVerdicts() && p.Control.Paused == ""
	if !plan.Acts() && !plan.Write {
		plan.Memory.Trouble = ""
	}
}

// saysDrained is true if the Node says that it is drained for the request with the ID.
// If this process does not know that yet, the answer to its write is outstanding or
// lost: it checks again, and does not withdraw what it would then report again.
func (n *Node) saysDrained(id string) bool { return n.Annotations[api.DrainedAnnotation] == id }

// announced is true once the Node says that the drain has begun. Before that it
// is not cordoned: a process that dies between the two would leave a cordon that
// nothing explains.
func announced(plan *NodePlan) bool {
	said := plan.Memory.Written.Report.Status
	return !plan.Write || said.Request == plan.Request.ID && said.StartedAt != nil
}

// announcedRelease is true once the Node says that the drain has released it. A
// process that starts before that continues the drain, and cordons again.
func (n *NodePlan) announcedRelease() bool {
	said := n.Memory.Written.Report.Status
	return !n.Write || said.Request == n.Request.ID && said.ReleasedAt != nil
}

// unseen is true if a write has not shown for so long that an event may have
// been missed, or that the API server may have lost the write.
func (p *planner) unseen(w *Written) bool {
	at := w.VersionAt.Add(unseenFor)
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// resultOf is how a request has ended, in a phase; empty if it has not. An end
// stays: a request has one.
func resultOf(was Result, phase api.Phase) Result {
	switch {
	case was != "":
		return was
	case phase == api.Drained:
		return ResultDrained
	case phase == api.TimedOut:
		return ResultTimedOut
	default:
		return ""
	}
}

// recount counts the pods that left while no process watched.
func (p *planner) recount(n *nodeWork) {
	m := &n.memory
	if n.listed && !m.Counted && !m.released() {
		m.Counted = true
		m.Gone += max(0, m.restored.remaining-n.counts.Present())
		n.counts.Gone = m.Gone
	}
}

// looksDrained is true if nothing but a live list is missing for Drained. What
// keeps pods from being evicted does not keep a node from saying that none is left.
func (p *planner) looksDrained(n *nodeWork) bool {
	m := n.memory
	if !n.listed || !n.cordoned() || m.released() || n.invalid != nil || n.paused() && !n.node.saysDrained(n.request.ID) ||
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
	case m.DryRun != nil:
		return api.DryRun
	case m.released():
		return api.TimedOut
	case m.FinishedAt.IsZero() && (n.paused() || n.halted != "" && !n.stopped(p.onTimeout(n))):
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
			ReleasedAt: timePointer(n.memory.ReleasedAt),
			FinishedAt: timePointer(n.memory.FinishedAt), PausedAt: timePointer(n.memory.PausedAt),
			PausedSeconds: int64(n.memory.PausedFor / time.Second),
			Deadline:      n.deadline,
			Result:        string(n.memory.Result), Deletions: deletionsOf(n.memory.Deletions),
			Pool: n.node.PoolName(), RequestedBy: n.request.RequestedBy, RequestReason: n.request.Reason,
		},
		Queued: n.queued,
	}
	if phase == api.Paused && !n.paused() {
		r.Interrupted = n.shut
	}
	if n.memory.working() {
		r.Status.Volumes = n.memory.Volumes.status()
	}
	if run := n.memory.DryRun; run != nil {
		r.Status.Verdicts, r.Status.Pods = &run.Verdicts, run.counts()
	}
	if idle := n.memory.IdleSince; !idle.IsZero() && p.Now.Sub(idle) >= blockedAfter {
		r.Status.IdleSince = timePointer(idle)
	}
	r.InProgress, r.Drained = Conditions(phase, n.memory.started(), n.stopped(p.onTimeout(n)))
	return r
}

// Conditions are the statuses of the conditions DrainInProgress and Drained in a phase.
// Started is true once the drain has begun, stopped once it has given up.
func Conditions(phase api.Phase, started, stopped bool) (inProgress, drained corev1.ConditionStatus) {
	inProgress, drained = corev1.ConditionFalse, corev1.ConditionFalse
	if !started {
		return inProgress, drained
	}
	switch phase {
	case api.Draining, api.Blocked:
		inProgress = corev1.ConditionTrue
	case api.Paused, api.TimedOut:
		if !stopped {
			inProgress = corev1.ConditionTrue
		}
	case api.Drained:
		drained = corev1.ConditionTrue
	case api.Queued, api.InvalidRequest, api.DryRun, api.Held:
	}
	return inProgress, drained
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func counted(s *api.Status) string {
	c := s.Pods
	text := fmt.Sprintf("%d of %d pods gone", c.Gone, c.Gone+c.Present())
	if c.Terminating > 0 {
		text += fmt.Sprintf(", %d terminating", c.Terminating)
	}
	if c.Blocked > 0 {
		text += fmt.Sprintf(", %d blocked", c.Blocked)
	}
	if c.Unconfirmed > 0 {
		text += ", " + unconfirmedText(c.Unconfirmed)
	}
	if c.Remaining() == 0 && s.Volumes == nil {
		text += ", checking that no other pod arrives"
	}
	return text
}
