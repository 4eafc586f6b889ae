package drain_test

import (
	"net/http"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
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

// TestStoryRetryAfterElsewhere: the same answer to any other request stops it
// for 5 minutes at most, too, and a list or a watch for 10 seconds: client-go itself waits
// as long as it is told.
func TestStoryRetryAfterElsewhere(t *testing.T) {
	for name, test := range map[string]struct {
		match  func(apiserver.Request) bool
		within time.Duration
	}{
		"a list of pods":  {func(r apiserver.Request) bool { return r.Verb == "list" && r.Resource == sim.Pods }, time.Minute},
		"a watch of pods": {func(r apiserver.Request) bool { return r.Verb == "watch" && r.Resource == sim.Pods }, time.Minute},
		"a cordon":        {func(r apiserver.Request) bool { return r.Verb == "patch" && r.Resource == sim.Nodes }, 6 * time.Minute},
		"an event":        {func(r apiserver.Request) bool { return r.Verb == "create" && r.Resource == apiserver.Events }, 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				s.nodes("n")
				s.spares(2)
				s.deployment("web", "n")
				answered := 0
				s.server.Add(apiserver.Rule{
					Match: func(r apiserver.Request) bool {
						found := test.match(r)
						if found {
							answered++
						}
						return found
					},
					Times:  1,
					Answer: apiserver.AnswerText(http.StatusServiceUnavailable, "down for maintenance", 24*time.Hour),
				})
				s.start()
				s.drain("r", "n")
				s.await("drained", test.within, s.drained("r", "n"))
				if answered == 0 {
					t.Error("no request had that answer")
				}
				s.await("event about the end", 6*time.Minute, func() bool { return len(s.events("n")[string(api.Drained)]) == 1 })
			})
		})
	}
}
