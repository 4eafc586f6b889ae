package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
)

// TestStoryLatecomer: the first pod that arrives on a cordoned node is evicted
// at once. Pods from before the cordon do not count, not even for a process
// that saw the cordon before the pods.
func TestStoryLatecomer(t *testing.T) {
	for name, restart := range map[string]bool{"same process": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				s.nodes("n")
				s.spares(2)
				s.deployment("web", times(3, "n")...)
				d := s.start()
				s.cluster(func(c *sim.Cluster) {
					c.Namespace("shop").Webhook = &sim.Webhook{Error: sim.WebhookDenied("w", "later", 403, 0)}
				})
				s.drain("r", "n")
				s.await("denied", time.Minute, func() bool { return len(s.answered(403)) >= 3 })
				s.annotate("n", api.PausedAnnotation, "true")
				s.await("paused", time.Minute, s.reaches("n", api.Paused))
				s.cluster(func(c *sim.Cluster) { c.Namespace("shop").Webhook = nil })
				if restart {
					d.kill()
					s.start()
				}
				s.wait(time.Minute)
				s.unannotate("n", api.PausedAnnotation)
				s.await("the pods gone", time.Minute, func() bool { return len(s.pods("n")) == 0 })
				before := len(s.answered(201))
				s.cluster(func(c *sim.Cluster) { c.Place("shop", "web", "n") })
				came := time.Now()
				s.await("the late pod evicted", time.Minute, func() bool { return len(s.answered(201)) > before })
				if took := time.Since(came); took > time.Second {
					t.Errorf("the first late pod was evicted after %v", took)
				}
			})
		})
	}
}
