package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
)

// TestStoryKeepsReturning: the metrics show a pod that keeps coming back,
// although each of these pods leaves and none gets stuck.
func TestStoryKeepsReturning(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		d := s.start()
		s.drain("r", "n")
		s.await("the first pod has left", time.Minute, func() bool { return d.metric("drainer_node_pods", "state", "gone") == 1 })
		for returns := range 10 {
			if n := int(d.metric("drainer_node_pod_returns", "node", "n")); n != returns {
				t.Errorf("%d returns are exported, want %d", n, returns)
			}
			s.cluster(func(c *sim.Cluster) { c.Place("shop", "web", "n") })
			s.await("it has left again", 10*time.Minute, func() bool {
				// Gathering the metrics is expensive, and usually not necessary.
				return len(s.pods("n")) == 0 && int(d.metric("drainer_node_pods", "state", "gone")) == returns+2
			})
			if n := d.metric("drainer_stuck_pods"); n != 0 {
				t.Errorf("%v pods are stuck", n)
			}
		}
		s.await("drained once it stays away", time.Minute, s.drained("r", "n"))
		s.await("nothing exported of its pods", time.Second, func() bool { return d.metric("drainer_node_pod_returns") == 0 })
	})
}

// TestStoryCordonDenied: the metrics of a node that cannot be cordoned are
// those that DrainerNodeBlocked looks for: the node is Blocked, and none of its
// pods is.
func TestStoryCordonDenied(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.nodeFails(0)
		d := s.start()
		s.drain("r", "n")
		s.await("blocked", time.Minute, s.reaches("n", api.Blocked))
		s.wait(time.Hour)
		for name, labels := range map[string][]string{
			"drainer_stuck_pods": nil, "drainer_node_pods": {"state", "blocked"}, "drainer_namespace_blockers": nil,
		} {
			if n := d.metric(name, labels...); n != 0 {
				t.Errorf("%s says %v, want 0", name, n)
			}
		}
		if n := d.metric("drainer_node_phase", "phase", "Blocked"); n != 1 {
			t.Errorf("%v nodes are Blocked, want 1", n)
		}
	})
}
