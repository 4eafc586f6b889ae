package drain_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
)

// TestStorySuperseded: a node that gets another request while it is drained
// keeps its slot and its place.
func TestStorySuperseded(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b", "m")
		s.spares(2)
		s.deployment("web", "a", "m", "m")
		s.deployment("api", "b")
		s.budget("web", "maxUnavailable 0")
		s.flags.maxDraining = "1"
		s.start()
		s.drain("r1", "a")
		s.await("node a is being drained", time.Minute, s.reaches("a", api.Draining))
		s.drain("r1", "b")
		s.await("node b is queued", time.Minute, s.reaches("b", api.Queued))
		s.drain("r2", "a")
		s.await("node a speaks of the second request", time.Minute, func() bool { return s.status("a").Request == "r2" })
		s.wait(time.Minute)
		if phase := s.phase("a"); phase != api.Blocked && phase != api.Draining {
			t.Errorf("node a is %s", phase)
		}
		if n := s.mostCordoned(); n != 1 {
			t.Errorf("with --max-draining=1 %d nodes were out of service at once", n)
		}
		s.limit("web", "maxUnavailable 1")
		s.await("node a is drained for the second request", time.Minute, s.drained("r2", "a"))
		s.await("node b is drained", time.Minute, s.drained("r1", "b"))
	})
}

// mostCordoned is how many nodes were unschedulable and not drained at one time,
// at most.
func (s *story) mostCordoned() int {
	cordoned, most := map[string]bool{}, 0
	s.cluster(func(c *sim.Cluster) {
		for _, change := range c.Since(0) {
			node, is := change.Object.(*corev1.Node)
			if !is {
				continue
			}
			delete(cordoned, node.Name)
			if node.Spec.Unschedulable && node.Annotations[api.DrainedAnnotation] == "" {
				cordoned[node.Name] = true
			}
			most = max(most, len(cordoned))
		}
	})
	return most
}
