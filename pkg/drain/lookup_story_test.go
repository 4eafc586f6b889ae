package drain_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryLostRequest: an eviction that got no answer is looked up, and sent
// again if the pod is still there.
func TestStoryLostRequest(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.budget("web", "maxUnavailable 1")
		s.server.Add(apiserver.Rule{Match: evicts, Times: 1, Break: apiserver.BreakBefore})
		s.start()
		s.drain("r", "n")
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
		if sent := s.evictions(""); len(sent) != 2 || sent[0].Failure == "" || sent[1].Code != 201 {
			t.Errorf("the evictions are %v, want one without an answer and one that is admitted", sent)
		}
	})
}

// TestStoryLostAnswer: an eviction that was carried out and got no answer is
// not sent again.
func TestStoryLostAnswer(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", times(2, "n")...)
		s.budget("web", "maxUnavailable 1")
		s.server.Add(apiserver.Rule{Match: evicts, Times: 1, Break: apiserver.BreakAfter})
		s.start()
		s.drain("r", "n")
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
		if sent := s.evictions(""); len(sent) != 2 || sent[0].Failure == "" || sent[1].Code != 201 || sent[0].Name == sent[1].Name {
			t.Errorf("the evictions are %v, want one of each pod", sent)
		}
	})
}

// TestStoryAdmittedForNothing: a pod whose eviction was admitted and that does
// not terminate is looked up after a while, and sent again.
func TestStoryAdmittedForNothing(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.server.Add(apiserver.Rule{Match: evicts, Times: 1, Answer: apiserver.AnswerSuccess()})
		s.start()
		s.drain("r", "n")
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
		sent := s.evictions("")
		if len(sent) != 2 {
			t.Fatalf("the evictions are %v", sent)
		}
		if wait := sent[1].Began.Sub(sent[0].Ended); wait < 30*time.Second || wait > 40*time.Second {
			t.Errorf("it is sent again after %v", wait)
		}
	})
}

// TestStoryGoneBeforeTheAnswer: a pod that is gone before its eviction is
// answered counts, and has its event, like any other.
func TestStoryGoneBeforeTheAnswer(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.cluster(func(c *sim.Cluster) {
			c.Run(sim.Workload{
				Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: 1,
				Behavior: sim.Behavior{StartsIn: time.Second, StopsIn: 100 * time.Millisecond},
			}, "n")
		})
		s.server.Add(apiserver.Rule{Match: evicts, After: time.Second})
		d := s.start()
		s.drain("r", "n")
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
		if n := d.count("drainer_pod_termination_duration_seconds"); n != 1 {
			t.Errorf("%d pods are counted as terminated, want 1", n)
		}
		if s.events("web-1")["Evicted"] == nil {
			t.Errorf("the pod has the events %v", s.events("web-1"))
		}
	})
}

// TestStoryNoneDesired: an unready pod under a budget that desires no healthy
// pod is refused by the API server; drainer knows and does not send it.
func TestStoryNoneDesired(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.budget("web", "minAvailable 0")
		s.cluster(func(c *sim.Cluster) {
			c.UpdatePod(sim.Key{Namespace: "shop", Name: "web-1"}, func(p *corev1.Pod) { sim.SetReady(p, false, c.Now()) })
		})
		s.start()
		s.wait(time.Second)
		s.drain("r", "n")
		s.wait(4 * time.Minute)
		if sent := s.evictions(""); len(sent) != 0 {
			t.Errorf("%d evictions were sent, the first is %v", len(sent), sent[0])
		}
		s.cluster(func(c *sim.Cluster) {
			c.UpdatePod(sim.Key{Namespace: "shop", Name: "web-1"}, func(p *corev1.Pod) { sim.SetReady(p, true, c.Now()) })
		})
		s.await("drained", time.Minute, s.drained("r", "n"))
	})
}
