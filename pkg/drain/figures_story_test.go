package drain_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
)

// TestStoryBlockedForHours: how long a pod was blocked is observed in full, also
// by a process that has not seen it begin.
func TestStoryBlockedForHours(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(2)
		s.deployment("web", "n", "m", "m")
		s.budget("web", "maxUnavailable 0")
		d := s.start()
		s.drain("r", "n")
		s.wait(time.Hour)
		d.kill()
		s.wait(5 * time.Hour)
		d = s.start()
		s.await("the successor has looked", time.Minute, func() bool { return d.metric("drainer_node_pods", "state", "blocked") == 1 })
		s.limit("web", "maxUnavailable 1")
		s.await("drained", time.Minute, s.drained("r", "n"))
		if n := d.count("drainer_pod_blocked_duration_seconds"); n != 1 {
			t.Errorf("%d pods are observed, want 1", n)
		}
		blocked := time.Duration(d.metric("drainer_pod_blocked_duration_seconds") * float64(time.Second))
		if blocked < 6*time.Hour-time.Minute || blocked > 6*time.Hour+2*time.Minute {
			t.Errorf("a pod that was blocked for 6h is observed as %v", blocked)
		}
	})
}

// TestStoryStuckPods: pods stay stuck for a process that has not seen them
// become so, however many there are.
func TestStoryStuckPods(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(2)
		s.deployment("web", times(30, "n")...)
		s.budget("web", "maxUnavailable 0")
		d := s.start()
		s.drain("r", "n")
		s.wait(time.Hour)
		if n := d.metric("drainer_stuck_pods"); n != 30 {
			t.Fatalf("%v pods are stuck after an hour", n)
		}
		d.kill()
		d = s.start()
		s.await("the successor has looked", time.Minute, func() bool { return d.metric("drainer_node_pods", "state", "blocked") == 30 })
		if n := d.metric("drainer_stuck_pods"); n != 30 {
			t.Errorf("30 pods are stuck, and %v after a restart", n)
		}
	})
}

// TestStoryOneEnd: a request is counted as drained once, however many stray
// pods arrive on the node.
func TestStoryOneEnd(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		d := s.start()
		s.drain("r", "n")
		s.await("drained", time.Minute, s.drained("r", "n"))
		for range 2 {
			s.wait(10 * time.Minute)
			s.cluster(func(c *sim.Cluster) { c.Place("shop", "web", "n") })
			s.await("no longer drained", time.Minute, func() bool { return !s.drained("r", "n")() })
			s.await("drained again", time.Minute, s.drained("r", "n"))
		}
		s.wait(time.Minute)
		if n := d.metric("drainer_drains_total"); n != 1 {
			t.Errorf("one request is counted as %v drains", n)
		}
	})
}

// TestStorySelector: a node that leaves --node-selector is not counted as
// deleted.
func TestStorySelector(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(2)
		for _, node := range []string{"n", "m", "spare-001", "spare-002"} {
			s.edit(node, func(n *corev1.Node) { n.Labels = map[string]string{"pool": "a"} })
		}
		s.deployment("web", "n", "m", "m")
		s.budget("web", "maxUnavailable 0")
		s.flags.nodeSelector = "pool=a"
		d := s.start()
		s.drain("r", "n")
		s.await("blocked", time.Minute, s.reaches("n", api.Blocked))
		s.edit("n", func(n *corev1.Node) { n.Labels = nil })
		s.wait(time.Minute)
		if n := d.metric("drainer_drains_total", "result", "node_deleted"); n != 0 {
			t.Errorf("%v nodes are counted as deleted", n)
		}
		if n := d.metric("drainer_drains_total"); n != 1 {
			t.Errorf("the drain's end is counted %v times", n)
		}
	})
}
