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
	tries := p.Tries()
	switch {
	case f.Gone:
		var events []Event
		if tries.Uncertain && p.Deletion != nil {
			p, events = p.admitted(f.At)
		}
		p.ConfirmedGone = true // No lookup follows.
		return p, append(events, PodConfirmedGone{Pod: pod})
	case f.Terminating:
		if tries.AdmittedAt.IsZero() {
			return p.admitted(f.At)
		}
		tries.LookupAt = time.Time{}
		return p.with(tries), nil
	case tries.LookupsLeft > 1:
		tries.LookupsLeft--
		tries.LookupAt = f.At.Add(lookupInterval)
		return p.with(tries), nil
	}
	// It was not evicted: it may be sent again, after a while.
	if tries.Outcome.Reason == "" || tries.Outcome.Reason == Gone {
		tries.Outcome = Outcome{Reason: ServerError, Message: "the API server admitted the eviction, but the pod is still there and does not terminate"}
	}
	tries.Uncertain, tries.LookupAt, tries.AdmittedAt = false, time.Time{}, time.Time{}
	tries.Refusals++
	tries.RetryAt = f.At.Add(tries.Outcome.wait(tries.Refusals))
	p.Deletion = nil
	return p.with(tries), []Event{PodNotEvicted{Pod: pod}}
}
