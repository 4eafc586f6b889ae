package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestStoryBlockedAgain: if a pod was blocked, could have left, and is blocked
// again, only the last time counts, and not the sum.
func TestStoryBlockedAgain(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(2)
		s.deployment("web", "n", "m", "m")
		s.budget("web", "maxUnavailable 0")
		d := s.start()
		s.drain("r", "n")
		s.await("blocked", time.Minute, s.reaches("n", api.Blocked))
		s.wait(4 * time.Minute)
		s.annotate("n", api.PausedAnnotation, "true")
		s.await("paused", time.Minute, s.reaches("n", api.Paused))
		s.limit("web", "maxUnavailable 1")
		s.wait(time.Minute)
		s.limit("web", "maxUnavailable 0")
		s.wait(time.Second)
		again := time.Now()
		s.unannotate("n", api.PausedAnnotation)
		s.await("blocked again", time.Minute, func() bool { return len(s.status("n").Blockers) == 1 && s.phase("n") == api.Blocked })
		if since := s.status("n").Blockers[0].Since; since.Before(again.Add(-5 * time.Second)) {
			t.Errorf("the pod is blocked since %v before it was blocked", again.Sub(since))
		}
		s.wait(3 * time.Minute)
		if n := d.metric("drainer_stuck_pods"); n != 0 {
			t.Errorf("%v pods are stuck after 3 minutes", n)
		}
		s.wait(3 * time.Minute)
		if n := d.metric("drainer_stuck_pods"); n != 1 {
			t.Errorf("%v pods are stuck after 6 minutes", n)
		}
	})
}
