package drain_test

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
)

// TestStoryClockSkew: drainer does the same, and says the same, whether the API
// server's clock is five minutes behind its own, with it, or ahead of it. Times
// that the API server writes, such as the end of a pod's grace period, are by
// its own clock.
func TestStoryClockSkew(t *testing.T) {
	for name, skew := range map[string]time.Duration{"behind": -5 * time.Minute, "together": 0, "ahead": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) { skewed(t, skew) })
	}
}

func skewed(t *testing.T, skew time.Duration) {
	lags := sim.Options{BudgetLag: 50 * time.Millisecond, ReplaceLag: 50 * time.Millisecond, ScheduleLag: 50 * time.Millisecond}
	tellSkewed(t, skew, lags, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.cluster(func(c *sim.Cluster) {
			slow := sim.Behavior{StartsIn: time.Second, StopsIn: 25 * time.Second}
			c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: 3, Behavior: slow}, times(3, "n")...)
		})
		s.budget("web", "maxUnavailable 1")
		s.start()
		s.wait(10 * time.Second)
		s.drain("r", "n")
		s.await("a pod terminates", time.Minute, func() bool { return len(s.terminating("n")) > 0 })
		s.wait(15 * time.Second)
		if says := s.message("n"); strings.Contains(says, "kubelet") {
			t.Errorf("within the grace period of its pod the node says %q", says)
		}
		for _, b := range s.status("n").Blockers {
			if b.Reason == "kubelet" {
				t.Errorf("within its grace period pod %s counts as %s", b.Pod, b.Reason)
			}
		}
		s.await("drained", 5*time.Minute, s.drained("r", "n"))
		for _, r := range s.evictions("") {
			if told := s.events(r.Name); len(told["PodStuck"])+len(told["DrainStuck"]) > 0 {
				t.Errorf("the events of pod %s are %v", r.Name, told)
			}
		}
		if n := s.haveBeen(api.Blocked); n > 0 {
			t.Errorf("%d nodes have said that they are blocked", n)
		}
	})
}

// terminating are the names of the pods on a node that terminate.
func (s *story) terminating(node string) (names []string) {
	s.cluster(func(c *sim.Cluster) {
		for _, o := range c.PodsOn(node) {
			if o.GetDeletionTimestamp() != nil {
				names = append(names, o.GetName())
			}
		}
	})
	return names
}
