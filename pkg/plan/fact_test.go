package plan

import (
	"testing"
	"time"
)

// TestLookups: how often a pod is looked up before it may be sent again,
// depending on the answer to its eviction: the API server may go on with a
// request that it did not answer.
func TestLookups(t *testing.T) {
	for reason, want := range map[Reason]int{
		Unknown: 3, ServerError: 1, Gone: 1,
		Webhook: 0, BudgetExhausted: 0, Throttled: 0, Forbidden: 0, Contention: 0, Invalid: 0,
	} {
		pod := &Pod{}
		p, _ := PodMemory{}.answered(Answered{Grant: Grant{Pod: pod}, Outcome: Outcome{Reason: reason}, At: noon})
		lookups, at := 0, noon
		for lookups < 10 && !p.LookupAt.IsZero() {
			if p.LookupAt.After(at) {
				at = p.LookupAt
			}
			p, _ = p.lookedUp(pod, LookedUp{At: at})
			lookups++
		}
		if lookups != want || at.Sub(noon) != time.Duration(max(0, want-1))*lookupInterval {
			t.Errorf("%s: looked up %d times in %v, want %d times, every %v", reason, lookups, at.Sub(noon), want, lookupInterval)
		}
		if p.Uncertain || want > 0 && !p.RetryAt.After(at) {
			t.Errorf("%s: after that it is uncertain: %v, sent again at %v", reason, p.Uncertain, p.RetryAt)
		}
	}
}
