package plan

import "time"

const (
	// deletionGrace is how long after its admission an evicted pod may not show
	// as terminating before it is looked up.
	deletionGrace = 30 * time.Second
	// lookupInterval is how long the next lookup of a pod waits.
	lookupInterval = 5 * time.Second
)

// lookupsOf is how often a pod is looked up before it counts as still there:
// the API server may still be processing a request that it did not answer.
func lookupsOf(r Reason) int {
	if r == Unknown {
		return 3
	}
	return 1
}

// lookedUp is p after it was looked up.
func (p PodMemory) lookedUp(pod *Pod, f LookedUp) (PodMemory, []Event) {
	switch {
	case f.Gone:
		var events []Event
		if p.Uncertain && p.Deletion != nil {
			p, events = p.admitted(f.At)
		}
		p.ConfirmedGone, p.LookupAt = true, time.Time{}
		return p, append(events, PodConfirmedGone{Pod: pod})
	case f.Terminating:
		p.LookupAt = time.Time{}
		if p.AdmittedAt.IsZero() {
			return p.admitted(f.At)
		}
		return p, nil
	case p.LookupsLeft > 1:
		p.LookupsLeft--
		p.LookupAt = f.At.Add(lookupInterval)
		return p, nil
	}
	// It was not evicted: it may be sent again, after a while.
	if p.Outcome.Reason == "" || p.Outcome.Reason == Gone {
		p.Outcome = Outcome{Reason: ServerError, Message: "the API server admitted the eviction, but the pod is still there and does not terminate"}
	}
	p.Uncertain, p.LookupAt, p.AdmittedAt = false, time.Time{}, time.Time{}
	p.Deletion = nil
	p.Refusals++
	p.RetryAt = f.At.Add(p.Outcome.wait(p.Refusals))
	return p, []Event{PodNotEvicted{Pod: pod}}
}
