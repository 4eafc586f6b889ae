package drain_test

import (
	"fmt"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/sim"
)

// TestStorySlowWebhook: evictions that hang in a webhook of one namespace do not
// keep the pods of another from leaving, whether they begin together or the
// others come when everything hangs already, and however many controllers the pods
// that hang have.
func TestStorySlowWebhook(t *testing.T) {
	for name, later := range map[string]time.Duration{"together": 0, "later": 30 * time.Second} {
		for _, controllers := range []int{1, 2, 10} {
			t.Run(fmt.Sprintf("%s, %d controllers", name, controllers), func(t *testing.T) {
				tell(t, func(s *story) { s.slowWebhook(later, controllers) })
			})
		}
	}
}

// slowWebhook drains five nodes of 100 pods that hang, and so much later a node
// of 30 free pods.
func (s *story) slowWebhook(later time.Duration, controllers int) {
	slow := []string{"slow-1", "slow-2", "slow-3", "slow-4", "slow-5"}
	s.nodes(slow...)
	s.nodes("z")
	s.spares(64)
	s.deployment("free", times(30, "z")...)
	s.cluster(func(c *sim.Cluster) {
		c.Namespace("slow").Webhook = &sim.Webhook{Takes: 10 * time.Second, Error: sim.WebhookFailed("w")}
		for i := range controllers {
			var on []string
			for j := range 100 / controllers {
				on = append(on, slow[j%len(slow)])
			}
			c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "slow", Name: fmt.Sprintf("slow-%d", i), Replicas: len(on), Behavior: quick}, on...)
		}
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
	s.Logf("the 30 free pods were evicted within %v", took)
	if took > 2*time.Second {
		s.Errorf("the 30 free pods were evicted within %v after the cordon, want 2s at most", took)
	}
	s.wait(5 * time.Minute)
	if n := mostUnderWay(s.evictions("")); n > 100 {
		s.Errorf("%d evictions were under way at once, want 100 at most", n)
	}
}
