package drain_test

import (
	"net/http"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryRetryAfter: a proxy that asks for a day's rest stops evictions for 5
// minutes at most.
func TestStoryRetryAfter(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.server.Add(apiserver.Rule{Match: evicts, Times: 1, Answer: apiserver.AnswerText(http.StatusServiceUnavailable, "down for maintenance", 24*time.Hour)})
		s.start()
		s.drain("r", "n")
		s.await("drained", 6*time.Minute, s.drained("r", "n"))
		sent := s.evictions("")
		if wait := sent[1].Began.Sub(sent[0].Ended); wait < 4*time.Minute {
			t.Errorf("the next eviction was sent %v after that answer", wait)
		}
	})
}
