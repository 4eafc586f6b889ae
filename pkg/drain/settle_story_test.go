package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStorySettle: an eviction that never shows in its budget, because the
// budget's watch broke, keeps its reservation for at most 10 s: then the budget
// is read.
func TestStorySettle(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", times(3, "n")...)
		s.budget("web", "maxUnavailable 1")
		s.start()
		s.wait(20 * time.Second)
		ofBudgets := func(r apiserver.Request) bool {
			return r.Resource == sim.Budgets && (r.Verb == "watch" || r.Verb == "list")
		}
		s.server.Stall(ofBudgets)
		s.drain("r", "n")
		s.await("the first pod gone", 10*time.Second, func() bool { return len(s.pods("n")) == 2 })
		first := s.evictions("")[0]
		// The list that follows shows a budget that has recovered.
		s.wait(5 * time.Second)
		s.server.Expire(ofBudgets)
		s.await("the second pod sent", 10*time.Minute, func() bool { return len(s.evictions("")) > 1 })
		if wait := s.evictions("")[1].Began.Sub(first.Ended); wait > 12*time.Second {
			t.Errorf("the second pod was sent %v after the first was admitted", wait)
		}
	})
}
