package plan

import (
	"time"
)

// answered takes in the answer to an eviction.
func (m *Memory) answered(f Answered) []Event {
	if f.Grant.Deletion != nil && (f.Outcome.Reason == Admitted || f.Outcome.Reason.Uncertain()) {
		m.forced(f)
	}
	if f.Grant.Probe {
		for _, budget := range f.Grant.budgetUIDs {
			m.Budgets[budget] = m.Budgets[budget].probed(f.Outcome.Reason, f.At)
		}
	}
	return m.pod(f.Grant.Pod.UID, func(_ *Pod, p PodMemory) (PodMemory, []Event) { return p.answered(f) })
}

// probed is b after a probe under it was answered.
func (b BudgetMemory) probed(reason Reason, at time.Time) BudgetMemory {
	if reason.byBudget() {
		b.ProbedAt = at
	}
	if reason.byBudget() || reason == Webhook || reason == Evacuating {
		b.HeardAt = at
	}
	return b
}

// answered is p after its eviction was answered.
func (p PodMemory) answered(f Answered) (PodMemory, []Event) {
	if f.Grant.Deletion != nil && f.Outcome.Reason == Evacuating {
		// A webhook that refuses a deletion does not start to move the pod, unlike for an eviction.
		f.Outcome.Reason = Webhook
	}
	reason := f.Outcome.Reason
	p.SentAt = f.At.Add(-f.Took)
	if f.Grant.Deletion != nil && (reason == Admitted || reason.Uncertain()) {
		p.Deletion = f.Grant.Deletion
	}
	if reason == Admitted {
		p, events := p.admitted(f.At)
		if p.Deletion != nil {
			return p, events
		}
		return p, append(events, PodEvicted{Pod: f.Grant.Pod, Request: f.Grant.Request})
	}
	switch {
	case f.Grant.Probe && reason.byBudget():
		p.Outcome = f.Outcome
	case reason == Gone || reason.Uncertain():
		p.Uncertain, p.LookupsLeft, p.LookupAt = true, lookupsOf(reason), f.At
		p.Outcome = f.Outcome
	default:
		if reason == MultipleBudgets {
			p.RefusedBudgets = f.Grant.Budgets
		}
		p = p.refused(f)
	}
	return p, []Event{EvictionNotAdmitted{Pod: f.Grant.Pod, Request: f.Grant.Request, Outcome: f.Outcome, Deletion: f.Grant.Deletion != nil}}
}

// refused is p after the API server did not admit its eviction.
func (p PodMemory) refused(f Answered) PodMemory {
	p.Outcome, p.RefusedVersions = f.Outcome, f.Grant.Versions
	if f.Outcome.Reason != Throttled {
		p.Refusals++
	}
	p.RetryAt = f.At.Add(f.Outcome.wait(p.Refusals))
	return p
}

// admitted is p after the API server admitted its eviction.
func (p PodMemory) admitted(at time.Time) (PodMemory, []Event) {
	var events []Event
	switch {
	case p.Deletion != nil:
		events = append(events, *p.Deletion)
	case p.BlockedBy != "":
		events = append(events, PodUnblocked{Reason: p.BlockedBy, Waited: at.Sub(p.TargetSince)})
	}
	p.AdmittedAt, p.Uncertain = at, false
	p.LookupAt, p.LookupsLeft = at.Add(deletionGrace), 1
	p.Refusals, p.RetryAt, p.Outcome = 0, time.Time{}, Outcome{}
	return p, events
}
