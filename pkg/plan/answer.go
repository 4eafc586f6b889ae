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
	tries := p.Tries()
	tries.SentAt = f.At.Add(-f.Took)
	if f.Grant.Deletion != nil && (reason == Admitted || reason.Uncertain()) {
		p.Deletion = f.Grant.Deletion
	}
	if reason == Admitted {
		p, events := p.with(tries).admitted(f.At)
		if p.Deletion != nil {
			return p, events
		}
		return p, append(events, PodEvicted{Pod: f.Grant.Pod, Request: f.Grant.Request})
	}
	switch {
	case f.Grant.Probe && reason.byBudget():
		tries.Outcome = f.Outcome
	case reason == Gone || reason.Uncertain():
		tries.Uncertain, tries.LookupsLeft, tries.LookupAt = true, lookupsOf(reason), f.At
		tries.Outcome = f.Outcome
	default:
		if reason == MultipleBudgets {
			tries.RefusedBudgets = f.Grant.Budgets
		}
		tries = tries.refused(f)
	}
	return p.with(tries), []Event{EvictionNotAdmitted{Pod: f.Grant.Pod, Request: f.Grant.Request, Outcome: f.Outcome, Deletion: f.Grant.Deletion != nil}}
}

// refused is t after the API server did not admit an eviction.
func (t Tries) refused(f Answered) Tries {
	t.Outcome, t.RefusedVersions = f.Outcome, f.Grant.Versions
	if f.Outcome.Reason != Throttled {
		t.Refusals++
	}
	t.RetryAt = f.At.Add(f.Outcome.wait(t.Refusals))
	return t
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
	tries := p.Tries()
	tries.AdmittedAt, tries.Uncertain = at, false
	tries.LookupAt, tries.LookupsLeft = at.Add(deletionGrace), 1
	tries.Refusals, tries.RetryAt, tries.Outcome = 0, time.Time{}, Outcome{}
	return p.with(tries), events
}
