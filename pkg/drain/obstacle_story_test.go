package drain_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryUnfinishable: queued nodes report in advance why their drains cannot
// finish, with one list per node every five minutes.
func TestStoryUnfinishable(t *testing.T) {
	tell(t, func(s *story) {
		nodes := []string{"n1", "n2", "n3", "n4"}
		s.nodes(nodes...)
		s.spares(1)
		s.deployment("db", "n1", "n2", "n3", "n4")
		s.budget("db", "maxUnavailable 0")
		s.start()
		for _, n := range nodes {
			s.annotate(n, api.NotBeforeAnnotation, "2001-01-01T00:00:00Z")
		}
		s.drain("r", nodes...)
		s.await("all say that they cannot finish", time.Minute, func() bool {
			for _, n := range nodes {
				if len(s.status(n).CannotFinish) != 1 {
					return false
				}
			}
			return true
		})
		s.wait(4 * time.Minute)
		listed := func(r apiserver.Request) bool {
			return r.Verb == "list" && r.Query.Get("fieldSelector") != "" && r.Resource == "pods"
		}
		if n := len(s.server.Requests(listed)); n != len(nodes) {
			t.Errorf("pods were listed %d times in four minutes, want once for each node", n)
		}
		for _, n := range nodes {
			if notes := s.events(n)["CannotFinish"]; len(notes) != 1 {
				t.Errorf("%s has the events %q, want one", n, notes)
			}
		}
		s.limit("db", "maxUnavailable 4")
		s.await("none still says so", time.Minute, func() bool {
			for _, n := range nodes {
				if len(s.status(n).CannotFinish) > 0 {
					return false
				}
			}
			return true
		})
	})
}

// TestStoryNowhere: two nodes whose pods fit on no other node wait for each
// other, and both report it, until one is released.
func TestStoryNowhere(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n1", "n2")
		s.spares(2)
		for _, n := range []string{"n1", "n2"} {
			s.edit(n, func(node *corev1.Node) { node.Labels = map[string]string{"disk": "fast"} })
		}
		s.cluster(func(c *sim.Cluster) {
			c.Run(sim.Workload{
				Kind: sim.Deployment, Namespace: "shop", Name: "db", Replicas: 4, Behavior: quick, NodeSelector: map[string]string{"disk": "fast"},
			}, "n1", "n1", "n2", "n2")
		})
		s.budget("db", "maxUnavailable 1")
		s.flags.limits = func(c *plan.Config) { c.MaxDraining, _ = plan.ParseShare("100%") }
		s.start()
		s.drain("r", "n1", "n2")
		s.wait(4 * time.Minute)
		for _, n := range []string{"n1", "n2"} {
			if o := s.status(n).CannotFinish; len(o) > 0 {
				t.Errorf("%s says so early: %+v", n, o)
			}
		}
		s.await("both say that they wait for each other", 2*time.Minute, func() bool {
			for _, n := range []string{"n1", "n2"} {
				o := s.status(n).CannotFinish
				if len(o) != 1 || !strings.HasPrefix(o[0].Fix, "n1 and n2 have drain requests: release one") {
					return false
				}
			}
			return true
		})
		s.unannotate("n2", api.DrainAnnotation)
		s.await("the other is drained", time.Minute, s.drained("r", "n1"))
	})
}

// TestStoryStranded: a node that waits says beforehand that its pods would find no
// other node, because the one that admits them is drained, until that is released.
func TestStoryStranded(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n1", "n2")
		s.spares(2)
		for _, n := range []string{"n1", "n2"} {
			s.edit(n, func(node *corev1.Node) { node.Labels = map[string]string{"disk": "fast"} })
		}
		s.cluster(func(c *sim.Cluster) {
			c.Run(sim.Workload{
				Kind: sim.Deployment, Namespace: "shop", Name: "db", Replicas: 4, Behavior: quick, NodeSelector: map[string]string{"disk": "fast"},
			}, "n1", "n1", "n2", "n2")
		})
		s.budget("db", "maxUnavailable 1")
		s.start()
		s.drain("r", "n1")
		s.await("the first is drained", 5*time.Minute, s.drained("r", "n1"))
		s.wait(10 * time.Second)
		s.annotate("n2", api.NotBeforeAnnotation, "2001-01-01T00:00:00Z")
		s.drain("r", "n2")
		s.wait(4 * time.Minute)
		if o := s.status("n2").CannotFinish; len(o) > 0 {
			t.Errorf("it says so early: %+v", o)
		}
		s.await("the other says what it would wait for", 2*time.Minute, func() bool {
			o := s.status("n2").CannotFinish
			return len(o) == 1 && o[0].Pods == 4 && o[0].Fix == "release n1, which has a drain request, or add a node that admits the pod"
		})
		if m := s.message("n2"); !strings.Contains(m, "not before ") || !strings.Contains(m, "cannot finish: shop/db-") {
			t.Errorf("it says %q", m)
		}
		s.unannotate("n1", api.DrainAnnotation)
		s.await("it no longer says so", time.Minute, func() bool { return len(s.status("n2").CannotFinish) == 0 })
		if notes := s.events("n2")["CannotFinish"]; len(notes) != 1 || s.node("n2").Spec.Unschedulable {
			t.Errorf("the events are %q, cordoned %v", notes, s.node("n2").Spec.Unschedulable)
		}
	})
}

// TestStoryWaitTogether: two queued nodes whose pods fit only on each other warn of it,
// and no longer once one of them is not requested.
func TestStoryWaitTogether(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n1", "n2")
		s.spares(2)
		for _, n := range []string{"n1", "n2"} {
			s.edit(n, func(node *corev1.Node) { node.Labels = map[string]string{"disk": "fast"} })
		}
		s.cluster(func(c *sim.Cluster) {
			c.Run(sim.Workload{
				Kind: sim.Deployment, Namespace: "shop", Name: "db", Replicas: 4, Behavior: quick, NodeSelector: map[string]string{"disk": "fast"},
			}, "n1", "n1", "n2", "n2")
		})
		s.budget("db", "maxUnavailable 1")
		for _, n := range []string{"n1", "n2"} {
			s.annotate(n, api.NotBeforeAnnotation, "2001-01-01T00:00:00Z")
		}
		s.drain("r", "n1", "n2")
		s.start()
		warns := func(n string) bool {
			return strings.Contains(s.message(n), "this drain and others can wait for each other")
		}
		s.await("both warn", 10*time.Minute, func() bool { return warns("n1") && warns("n2") })
		for _, n := range []string{"n1", "n2"} {
			if o := s.status(n).CannotFinish; len(o) > 0 {
				t.Errorf("%s says that it cannot finish: %+v", n, o)
			}
		}
		s.unannotate("n1", api.DrainAnnotation)
		s.await("the other warns no more", 2*time.Minute, func() bool { return !warns("n2") })
	})
}
