package drain_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryDrain: a node is annotated, drained within its budget, and released
// when the annotation is removed.
func TestStoryDrain(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", times(4, "n")...)
		s.budget("web", "maxUnavailable 2")
		d := s.start()

		s.drain("CHG-1", "n")
		s.await("drained", time.Minute, s.drained("CHG-1", "n"))
		if pods := s.pods("n"); len(pods) != 0 {
			t.Errorf("a drained node has the pods %v", pods)
		}
		if n := s.node("n"); !n.Spec.Unschedulable {
			t.Error("a drained node takes new pods")
		}
		for _, e := range s.evictions("") {
			if e.Code != 201 {
				t.Errorf("an eviction was refused: %v", e)
			}
		}
		if n := len(s.evictions("")); n != 4 {
			t.Errorf("%d evictions were sent for 4 pods", n)
		}
		if n := mostUnderWay(s.evictions("")); n > 2 {
			t.Errorf("%d evictions were under way at once, and the budget allows 2", n)
		}
		if n := s.haveBeen(api.Blocked); n != 0 {
			t.Error("the node has been blocked by a budget that lets its pods leave one after the other")
		}
		s.await("the drain is counted", time.Second, func() bool { return d.metric("drainer_drains_total", "result", "drained") == 1 })

		s.unannotate("n", api.DrainAnnotation)
		s.await("released", time.Minute, func() bool { return s.phase("n") == "" && !s.node("n").Spec.Unschedulable })
		if conditions := s.node("n").Status.Conditions; len(conditions) != 1 || conditions[0].Type != corev1.NodeReady {
			t.Errorf("a released node has the conditions %v", conditions)
		}
	})
}

// TestStorySuccession: whatever happens to the leader, another replica finishes
// the drain.
func TestStorySuccession(t *testing.T) {
	for name, end := range map[string]func(*replica){
		"SIGTERM": (*replica).terminate,
		"SIGKILL": (*replica).kill,
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				s.nodes("n")
				s.spares(2)
				s.deployment("web", times(6, "n")...)
				s.budget("web", "maxUnavailable 1")
				first := s.start()
				s.wait(5 * time.Second)
				second := s.start()
				s.drain("CHG-1", "n")
				s.await("some pods gone", time.Minute, func() bool { return len(s.pods("n")) <= 4 })
				end(first)
				s.await("drained", 2*time.Minute, s.drained("CHG-1", "n"))
				s.await("the drain is counted by the second replica", time.Second, func() bool {
					return second.metric("drainer_drains_total", "result", "drained") == 1
				})
				if status := s.status("n"); status.Pods.Gone != 6 {
					t.Errorf("the node says %+v, want 6 pods gone", status.Pods)
				}
			})
		})
	}
}

// TestStoryCancelWhileCordoning: a request is removed while the write that
// cordons its node is under way. The node is released once that has taken
// effect: it never has a cordon of drainer's that nothing explains.
func TestStoryCancelWhileCordoning(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "spare")
		cordon := func(r apiserver.Request) bool {
			return writesNode(r) && r.Subresource == "" && r.Query.Get("fieldManager") == api.CordonFieldManager
		}
		s.server.Add(apiserver.Rule{Match: cordon, Times: 1, Before: 5 * time.Second})
		s.start()
		s.drain("r", "n")
		s.await("the node says that it is being cordoned", time.Minute, s.reaches("n", api.Draining))
		s.wait(time.Second)
		s.unannotate("n", api.DrainAnnotation)
		s.await("released", time.Minute, func() bool {
			return len(s.server.Requests(cordon)) >= 2 && s.phase("n") == "" && !s.node("n").Spec.Unschedulable
		})
		for _, n := range s.writes("n") {
			if n.Spec.Unschedulable && n.Annotations[api.StatusAnnotation] == "" {
				t.Errorf("version %s of the node is cordoned and says nothing", n.ResourceVersion)
			}
		}
	})
}
