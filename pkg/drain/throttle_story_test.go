package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryLateAnswer: after throttling, evictions are sent one at a time until
// one that was sent since is answered. The late answer to an older one says
// nothing about whether the API server is still overloaded.
func TestStoryLateAnswer(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		// Two Deployments, because one may take only half of the workers.
		s.deployment("web", times(6, "n")...)
		s.deployment("db", times(6, "n")...)
		first := true
		s.server.Add(apiserver.Rule{Match: func(r apiserver.Request) bool {
			hit := evicts(r) && first
			first = first && !hit
			return hit
		}, After: 3 * time.Second})
		// The others of the first ten are throttled for 5 s, and each later one
		// takes 300 ms.
		s.server.Add(apiserver.Rule{
			Match: func(r apiserver.Request) bool { return evicts(r) && !first }, Times: 9, Answer: apiserver.AnswerText(429, "Too many requests", 5*time.Second),
		})
		s.start()
		s.drain("r", "n")
		s.await("throttled", time.Minute, func() bool { return len(s.answered(429)) == 9 })
		throttled := s.answered(429)[8].Ended
		s.server.Add(apiserver.Rule{Match: evicts, After: 300 * time.Millisecond})
		s.await("drained", 5*time.Minute, s.drained("r", "n"))

		late := s.answered(201)[0]
		if !late.Began.Before(throttled) || !late.Ended.After(throttled) || late.Ended.After(throttled.Add(5*time.Second)) {
			t.Fatalf("no answer came late: %v, throttled at %v", late, throttled)
		}
		after := s.answered(201)[1]
		if wait := after.Began.Sub(throttled); wait < 5*time.Second {
			t.Errorf("an eviction was sent %v after the API server asked for none for 5s", wait)
		}
		together := 0
		for _, e := range s.evictions("") {
			if !e.Began.Before(after.Began) && e.Began.Before(after.Ended) {
				together++
			}
		}
		if together != 1 {
			t.Errorf("%d evictions were sent before the first one after the throttling was answered", together)
		}
	})
}

// TestStoryOwnRetryAfter: a pod whose refusal names a time is not sent before.
func TestStoryOwnRetryAfter(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.cluster(func(c *sim.Cluster) {
			c.Namespace("shop").Webhook = &sim.Webhook{Error: sim.WebhookDenied("vm", "migrating", 429, 30*time.Second)}
		})
		s.start()
		s.drain("r", "n")
		s.wait(2 * time.Minute)
		s.cluster(func(c *sim.Cluster) { c.Namespace("shop").Webhook = nil })
		s.await("drained", 5*time.Minute, s.drained("r", "n"))
		sent := s.evictions("")
		for i := range sent[1:] {
			if wait := sent[i+1].Began.Sub(sent[i].Ended); wait < 30*time.Second {
				t.Errorf("sent again %v after an answer with Retry-After 30", wait)
			}
		}
		if len(sent) < 3 {
			t.Errorf("%d evictions were sent in 2m and more", len(sent))
		}
	})
}
