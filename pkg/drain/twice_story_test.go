package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryTwice: there are never two requests for one pod at a time. A stuck
// pod is about to be sent as a probe, and its budget has room when it is.
func TestStoryTwice(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(2)
		s.deployment("web", "n", "m", "m")
		s.budget("web", "maxUnavailable 0")
		s.server.Add(apiserver.Rule{Match: evicts, After: 200 * time.Millisecond})
		s.start()
		s.drain("r", "n")
		s.await("a probe refused", 10*time.Minute, func() bool { return len(s.answered(429)) > 0 })
		s.wait(time.Second)
		s.annotate("n", api.PausedAnnotation, "true")
		s.await("paused", time.Minute, s.reaches("n", api.Paused))
		s.limit("web", "maxUnavailable 1")
		s.wait(time.Minute)
		s.unannotate("n", api.PausedAnnotation)
		s.await("drained", time.Minute, s.drained("r", "n"))
		if n := mostUnderWay(s.evictions("")); n != 1 {
			t.Errorf("%d evictions of one pod were under way at once", n)
		}
	})
}
