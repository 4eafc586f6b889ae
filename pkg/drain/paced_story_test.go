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

// paces lets replicas that start from now on evict the pods of a controller without a
// budget one at a time.
func (s *story) paces() {
	s.flags.change = func(c *plan.Config) { c.PaceWithoutBudget = true }
}

func listsSiblings(r apiserver.Request) bool {
	return r.Resource == sim.Pods && r.Verb == "list" && r.Query.Get("labelSelector") != ""
}

// slowly runs a Deployment whose pods take as long as that to be Ready.
func (s *story) slowly(name string, startsIn time.Duration, nodes ...string) {
	s.cluster(func(c *sim.Cluster) {
		c.Run(sim.Workload{
			Kind: sim.Deployment, Namespace: "shop", Name: name, Replicas: len(nodes),
			Behavior: sim.Behavior{StartsIn: startsIn, StopsIn: time.Second},
		}, nodes...)
	})
}

// lacking is how many pods of a Deployment with that many are not Ready.
func (s *story) lacking(name string, of int) int {
	s.cluster(func(c *sim.Cluster) {
		for _, o := range c.List(sim.Pods) {
			pod := o.(*corev1.Pod)
			for _, is := range pod.Status.Conditions {
				if strings.HasPrefix(pod.Name, name+"-") && is.Type == corev1.PodReady && is.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil {
					of--
				}
			}
		}
	})
	return of
}

// TestStoryPaced: the pods of a Deployment without a budget leave two nodes one at a
// time, each soon after the replacement of the one before is Ready, and the nodes say
// so; pods under a budget do not wait for that.
func TestStoryPaced(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b")
		s.spares(2)
		s.slowly("web", 10*time.Second, "a", "a", "b", "b")
		s.deployment("db", "a", "b")
		s.budget("db", "maxUnavailable 100%")
		s.flags.maxDraining = "100%"
		s.paces()
		s.start()
		s.drain("r", "a", "b")
		most := 0
		s.await("the node names the workload", time.Minute, func() bool {
			most = max(most, s.lacking("web", 4))
			w := strings.Join(s.status("b").Warnings, "")
			return strings.Contains(w, "no PodDisruptionBudget selects the pods of ReplicaSet shop/web-1 (") &&
				strings.Contains(s.message("b"), "because it waits for the replacement of pod shop/web-")
		})
		s.await("drained", 2*time.Minute, func() bool {
			most = max(most, s.lacking("web", 4))
			return s.drained("r", "a", "b")()
		})
		if most != 1 {
			t.Errorf("of the Deployment without a budget, %d pods were missing at once", most)
		}
		if lists := len(s.server.Requests(listsSiblings)); lists < 4 || lists > 40 {
			t.Errorf("the pods of the controllers were listed %d times", lists)
		}
		for _, n := range []string{"a", "b"} {
			if got := s.status(n); got.Phase != api.Drained || len(got.Warnings) > 0 {
				t.Errorf("the drained node %s says %+v", n, got)
			}
		}
	})
}

// TestStoryPacedLimit: where replacements do not become Ready, the next pod leaves two
// minutes after the eviction of the one before, whichever process leads.
func TestStoryPacedLimit(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.slowly("web", time.Hour, "a", "a", "a")
		s.paces()
		first := s.start()
		s.drain("r", "a")
		s.await("one is evicted", time.Minute, func() bool { return len(s.evictions("web")) == 1 })
		s.wait(time.Minute)
		first.kill()
		s.start()
		s.await("drained", 10*time.Minute, s.drained("r", "a"))
		sent := s.evictions("web")
		if len(sent) != 3 {
			t.Fatalf("%d evictions were sent, want 3", len(sent))
		}
		for i, most := range []time.Duration{4 * time.Minute, 2*time.Minute + 5*time.Second} {
			if apart := sent[i+1].Began.Sub(sent[i].Began); apart < 2*time.Minute || apart > most {
				t.Errorf("eviction %d came %v after the one before", i+2, apart)
			}
		}
	})
}

// TestStoryPacedDeadline: a node that disappears does not wait.
func TestStoryPacedDeadline(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.slowly("web", time.Hour, "a", "a", "a")
		s.paces()
		s.start()
		s.annotate("a", api.DeadlineAnnotation, time.Now().Add(3*time.Minute).UTC().Format(time.RFC3339))
		s.drain("r", "a")
		s.await("drained", time.Minute, s.drained("r", "a"))
	})
}
