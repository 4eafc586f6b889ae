package drain_test

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
)

// TestStoryTenant: an annotation of drainer's on a pod, in a namespace that
// nobody has declared trusted, holds nothing up. The pod's event and the node's
// status say that it is ignored.
func TestStoryTenant(t *testing.T) {
	tell(t, func(s *story) {
		const annotation = api.Prefix + "pod-action"
		s.nodes("n")
		s.spares(2)
		s.cluster(func(c *sim.Cluster) {
			c.Run(sim.Workload{
				Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: 1, Annotations: map[string]string{annotation: "Ignore"},
				Behavior: sim.Behavior{StartsIn: time.Second, StopsIn: 20 * time.Second},
			}, "n")
		})
		s.start()
		s.drain("r", "n")
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
		if n := s.haveBeen(api.InvalidRequest); n != 0 {
			t.Error("a pod's annotation has made the node's request invalid")
		}
		told := false
		for _, notes := range s.events("web-1") {
			told = told || strings.Contains(strings.Join(notes, "\n"), annotation)
		}
		if !told {
			t.Errorf("no event of the pod names the annotation: %v", s.events("web-1"))
		}
		shown := false
		for _, n := range s.writes("n") {
			shown = shown || strings.Contains(n.Annotations[api.StatusAnnotation], annotation)
			for _, c := range n.Status.Conditions {
				shown = shown || strings.Contains(c.Message, annotation)
			}
		}
		if !shown {
			t.Error("the node has never named the annotation")
		}
	})
}
