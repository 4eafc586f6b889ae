package plan

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// Keep records what a plan decided at the time and returns the events that
// follow from it.
func (m *Memory) Keep(p *Plan, config Config, now time.Time) []Event {
	var events []Event
	planned := make(map[types.UID]bool, len(p.Nodes))
	for i := range p.Nodes {
		n := &p.Nodes[i]
		planned[n.Node.UID] = true
		was, known := m.Nodes[n.Node.UID]
		memory, follow := was.kept(n, known, now)
		events = append(events, follow...)
		n.Memory = memory
		m.Nodes[n.Node.UID] = memory
		for i := range n.Pods {
			s := &n.Pods[i]
			if s.State == Ignored {
				continue
			}
			follow := m.keepPod(n, s, config, now)
			events = append(events, follow...)
		}
	}
	for uid := range m.Nodes {
		if !planned[uid] {
			delete(m.Nodes, uid)
		}
	}
	m.Budgets, m.Scales, m.Paces = p.Budgets, p.Scales, p.Paces
	for _, pod := range p.Lookups {
		e := m.Pods[pod.UID]
		tries := e.Memory.Tries()
		tries.LookupAt = now.Add(lookupInterval)
		e.Memory = e.Memory.with(tries)
	}
	if p.HandOver != nil {
		m.Replica.AskedAt = now
	}
	return events
}

// kept is n after a plan.
func (n NodeMemory) kept(plan *NodePlan, known bool, now time.Time) (NodeMemory, []Event) {
	if plan.Phase == "" {
		var events []Event
		if id := cmp.Or(n.Request, n.Held); id != "" {
			events = append(n.ended(ResultCancelled, now), Released{Node: plan.Node, Request: id})
		}
		// Nothing is restored from what the Node still says.
		return NodeMemory{Written: n.Written, Counted: true}, events
	}
	var events []Event
	if plan.Phase == api.Held && n.Request != "" {
		events = n.ended(ResultCancelled, now)
	} else if known && n.Request != plan.Request.ID {
		events = n.ended(ResultSuperseded, now)
	}
	next := plan.Memory
	if next.Uncordons == 1 && n.Uncordons == 0 {
		events = append(events, CordonRestored{Node: plan.Node, Request: plan.Request.ID})
	}
	awaits := next.DryRun != nil && next.DryRun.Verdicts.At == nil
	if next.Phase != plan.Phase && !awaits || next.DryRun != nil && !awaits && !next.ToldVerdicts {
		next.ToldVerdicts = next.DryRun != nil
		events = append(events, PhaseChanged{
			Node: plan.Node, Request: plan.Request.ID, Phase: plan.Phase, Message: plan.report().Message,
			RequestedBy: plan.Request.RequestedBy, Reason: plan.Request.Reason,
		})
	}
	if plan.Facts.Unfinishable && !next.ToldUnfinishable {
		next.ToldUnfinishable = true
		events = append(events, DrainUnfinishable{Node: plan.Node, Request: plan.Request.ID, Text: obstaclesText(plan.report().Status.CannotFinish)})
	}
	if plan.ended {
		events = append(events, next.end(next.Result, next.took(now), now))
	}
	next.Phase = plan.Phase
	if next.Counted {
		next.restored = restored{}
	}
	return next, events
}

// took is how long a drain has taken that has just ended.
func (n NodeMemory) took(now time.Time) time.Duration {
	if n.FinishedAt.IsZero() {
		return n.active(now)
	}
	return n.FinishedAt.Sub(n.StartedAt) - n.PausedFor
}

// keepPod takes in what a plan decided about a target.
func (m *Memory) keepPod(n *NodePlan, s *PodState, config Config, now time.Time) []Event {
	if s.entry.Memory.says(s, config, now) {
		return nil
	}
	return m.change(s.entry, func(p PodMemory) (PodMemory, []Event) { return p.kept(n, s, config, now) })
}

// says is true if kept would change nothing. That is so of nearly all pods of
// nearly all plans.
func (p *PodMemory) says(s *PodState, config Config, now time.Time) bool {
	if !p.Target || s.unheard() && !p.ToldIgnored || !p.ToldStuck && s.Stuck(now, config.StuckAfter) {
		return false
	}
	if s.counts == p.HeldSince.IsZero() && !s.throttled() || s.paced != p.Paced || s.orphan != nil && s.orphan != p.Orphan {
		return false
	}
	switch s.State {
	case Blocked:
		return p.BlockedSince.Equal(s.Since) && p.BlockedBy == s.Reason && (p.ToldBlocked || now.Sub(s.Since) < blockedAfter)
	case Terminating, UnconfirmedPod:
		return p.BlockedSince.IsZero() && !p.uncertain()
	default:
		return p.BlockedSince.IsZero() || p.Tries().Outcome.Reason == "" && p.restoredRefusal()
	}
}

// kept is p after a plan.
func (p PodMemory) kept(n *NodePlan, s *PodState, config Config, now time.Time) (PodMemory, []Event) {
	var events []Event
	first := !p.Target
	if p.Target, p.Paced = true, s.paced; s.orphan != nil {
		p.Orphan = s.orphan
	}
	switch {
	case s.State == Blocked:
		if s.Since.Before(p.TargetSince) {
			// The previous process has counted and reported it.
			p.TargetSince, p.ToldBlocked = s.Since, true
		}
		p.BlockedSince, p.BlockedBy = s.Since, s.Reason
	case s.leaves() || p.Tries().Outcome.Reason == "" && !p.restoredRefusal():
		p.BlockedSince = time.Time{}
	}
	switch {
	case s.throttled():
		// Throttling holds everything up, for minutes at most: HeldSince stays as it is.
	case !s.counts:
		p.HeldSince = time.Time{}
	case p.HeldSince.IsZero():
		p.HeldSince = now
	}
	stuck := s.Stuck(now, config.StuckAfter)
	if first {
		p.ToldStuck = p.ToldBlocked && stuck
	}
	if s.leaves() && p.uncertain() {
		p, events = p.admitted(s.Since)
	}
	told, tell := p.tell(n, s, stuck, now)
	return told, append(events, tell...)
}

// tell notes which events about a target are due, and returns them. Each is
// written once.
func (p PodMemory) tell(n *NodePlan, s *PodState, stuck bool, now time.Time) (PodMemory, []Event) {
	var events []Event
	id := n.Request.ID
	if s.State == Blocked && !p.ToldBlocked && now.Sub(s.Since) >= blockedAfter {
		p.ToldBlocked = true
		events = append(events, PodBlocked{Pod: s.Pod, Request: id, Text: s.withFix()})
	}
	if stuck && !p.ToldStuck {
		p.ToldStuck = true
		events = append(events, PodStuck{Pod: s.Pod, Request: id, Reason: s.Reason, Since: s.StuckFrom(), Text: s.withFix()})
	}
	if s.unheard() && !p.ToldIgnored {
		p.ToldIgnored = true
		events = append(events, PodAnnotationsIgnored{Pod: s.Pod, Request: id, Text: ignoredText(s.Pod, 0)})
	}
	return p, events
}
