package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestStoryReleaseAtTimeout: a drain that takes too long releases the node, and
// its slot goes to the next one, whatever comes to the node later. A replica that
// starts then leaves it alone, too.
func TestStoryReleaseAtTimeout(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b", "c")
		s.spares(2)
		s.deployment("db", "a")
		s.deployment("web", "b", "c")
		s.budget("db", "maxUnavailable 0")
		s.flags.maxDraining, s.flags.drainTimeout, s.flags.onTimeout = "1", 10*time.Minute, api.Release
		d := s.start()
		s.drain("r", "a")
		s.await("a is blocked", time.Minute, s.reaches("a", api.Blocked))
		s.drain("r", "b")
		s.await("a has timed out", 11*time.Minute, s.reaches("a", api.TimedOut))
		probes := len(s.evictions("db"))
		s.await("a takes pods again", time.Second, func() bool { return !s.node("a").Spec.Unschedulable })
		s.await("b has the slot and is drained", time.Minute, s.drained("r", "b"))
		if n := d.metric("drainer_drains_total", "result", "timed_out"); n != 1 {
			t.Errorf("%v drains have timed out, want 1", n)
		}
		s.limit("db", "maxUnavailable 1")
		d.kill()
		s.start()
		s.drain("r", "c")
		s.await("c is drained", time.Minute, s.drained("r", "c"))
		s.wait(time.Hour)
		if sent := s.evictions("db"); s.node("a").Spec.Unschedulable || len(sent) > probes || s.phase("a") != api.TimedOut {
			t.Errorf("an hour later a is %s, cordoned: %v, and %d evictions were sent since", s.phase("a"), s.node("a").Spec.Unschedulable, len(sent)-probes)
		}
		s.drain("r2", "a")
		s.await("a is drained for another request", time.Minute, s.drained("r2", "a"))
	})
}
