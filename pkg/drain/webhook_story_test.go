package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/sim"
)

// TestStorySlowWebhook: evictions that hang in a webhook of one namespace do not
// keep the pods of another from leaving, whether they begin together or the
// others come when everything hangs already.
func TestStorySlowWebhook(t *testing.T) {
	for name, later := range map[string]time.Duration{"together": 0, "later": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				slow := []string{"slow-1", "slow-2", "slow-3", "slow-4", "slow-5"}
				s.nodes(slow...)
				s.nodes("z")
				s.spares(64)
				s.deployment("free", times(30, "z")...)
				s.cluster(func(c *sim.Cluster) {
					var on []string
					for _, node := range slow {
						on = append(on, times(20, node)...)
					}
					c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "slow", Name: "slow", Replicas: len(on), Behaviour: quick}, on...)
					c.Namespace("slow").Webhook = &sim.Webhook{Takes: 10 * time.Second, Error: sim.WebhookFailed("w")}
				})
				s.start()
				s.drain("r", slow...)
				s.wait(later)
				s.drain("r", "z")
				s.await("node z is cordoned", 10*time.Second, func() bool { return s.node("z").Spec.Unschedulable })
				cordoned := time.Now()
				admitted := func() bool { return len(s.answered(201)) == 30 }
				s.await("the 30 free pods evicted", 30*time.Minute, admitted)
				took := time.Since(cordoned)
				t.Logf("the 30 free pods were evicted within %v", took)
				if took > 2*time.Second {
					t.Errorf("the 30 free pods were evicted within %v after the cordon, want 2s at most", took)
				}
				s.wait(5 * time.Minute)
				if n := mostUnderWay(s.evictions("")); n > 100 {
					t.Errorf("%d evictions were under way at once, want 100 at most", n)
				}
			})
		})
	}
}
