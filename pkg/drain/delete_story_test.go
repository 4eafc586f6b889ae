package drain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// forced prepares a node n with three pods of web, whose budget allows no
// disruption, for drains that delete after ten minutes.
func (s *story) forced() {
	s.nodes("n")
	s.spares(2)
	s.deployment("web", times(3, "n")...)
	s.budget("web", "maxUnavailable 0")
	s.flags.drainTimeout, s.flags.onTimeout, s.flags.allowDelete = 10*time.Minute, api.Delete, true
}

// optionsOf are the options of a deletion.
func optionsOf(t *testing.T, r apiserver.Request) metav1.DeleteOptions {
	t.Helper()
	var o metav1.DeleteOptions
	if err := json.Unmarshal(r.Body, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestStoryDelete: a budget that never allows a disruption blocks a drain only
// until its timeout. Then the pods are deleted one at a time, each after the
// API server itself has refused its eviction and the previous one was replaced,
// and everybody is told.
func TestStoryDelete(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		d := s.start()
		s.drain("r", "n")
		s.wait(9 * time.Minute)
		if sent := s.deletions(""); len(sent) > 0 {
			t.Fatalf("%d deletions were sent before the timeout", len(sent))
		}
		s.await("drained", 10*time.Minute, s.drained("r", "n"))
		sent := s.deletions("web")
		if len(sent) != 3 {
			t.Fatalf("%d deletions were sent, want 3", len(sent))
		}
		for i, r := range sent {
			o := optionsOf(t, r)
			if o.Preconditions == nil || o.Preconditions.UID == nil || o.GracePeriodSeconds == nil || *o.GracePeriodSeconds != 30 {
				t.Errorf("deletion %d has the options %+v, want a UID and the pod's 30 s", i, o)
			}
			if i > 0 && r.Began.Sub(sent[i-1].Began) < time.Second {
				t.Errorf("deletion %d came %v after the one before", i, r.Began.Sub(sent[i-1].Began))
			}
			if asked := s.evictions(r.Name); len(asked) == 0 || r.Began.Sub(asked[len(asked)-1].Began) > time.Minute {
				t.Errorf("pod %s was deleted without that its eviction was just refused", r.Name)
			}
			if notes := s.events(r.Name)["ForcedDeletion"]; len(notes) != 1 || !strings.Contains(notes[0], "PDB shop/web") {
				t.Errorf("the events of %s are %v", r.Name, s.events(r.Name))
			}
		}
		if n := d.metric("drainer_forced_deletions_total", "reason", "budget_never_allows"); n != 3 {
			t.Errorf("%v deletions are counted, want 3", n)
		}
		if n := len(s.events("n")["ForcedDeletion"]); n != 3 {
			t.Errorf("%d events are on the node, want 3", n)
		}
		if says := s.message("n"); !strings.Contains(says, "3 deleted past PDB shop/web") {
			t.Errorf("the node says %q", says)
		}
	})
}

// TestStoryDeletePaused: nothing is deleted while the request is paused, even
// if it is paused between the refusal and the deletion.
func TestStoryDeletePaused(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		s.start()
		s.drain("r", "n")
		s.await("timed out", 11*time.Minute, s.reaches("n", api.TimedOut))
		s.await("its first deletion", time.Minute, func() bool { return len(s.deletions("web")) == 1 })
		s.annotate("n", api.PausedAnnotation, "true")
		s.await("paused", time.Minute, s.reaches("n", api.Paused))
		before := len(s.deletions("web"))
		s.wait(time.Hour)
		if n := len(s.deletions("web")); n != before {
			t.Errorf("%d pods were deleted while it was paused", n-before)
		}
		s.unannotate("n", api.PausedAnnotation)
		s.await("drained", 10*time.Minute, s.drained("r", "n"))
	})
}

// TestStoryDeleteChanged: a deletion that was decided and not sent yet does not
// take place once the request waits instead.
func TestStoryDeleteChanged(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		s.start()
		s.drain("r", "n")
		s.wait(5 * time.Minute)
		// The probe's answer is late: the request is cancelled before it arrives.
		s.server.Add(apiserver.Rule{Match: evicts, After: 20 * time.Second})
		s.await("timed out", 6*time.Minute, s.reaches("n", api.TimedOut))
		s.wait(10 * time.Second)
		s.annotate("n", api.OnTimeoutAnnotation, "Wait")
		s.wait(time.Hour)
		if sent := s.deletions("web"); len(sent) > 0 {
			t.Errorf("%d pods were deleted", len(sent))
		}
	})
}

// TestStoryDeleteLeaders: a replica that takes over gives every budget the time
// that the one before might have needed, and deletes nothing twice.
func TestStoryDeleteLeaders(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		// Replacements have nowhere to go: the budget does not recover.
		s.cluster(func(c *sim.Cluster) {
			for _, name := range []string{"spare-001", "spare-002"} {
				c.UpdateNode(name, func(n *corev1.Node) { n.Spec.Unschedulable = true })
			}
		})
		s.flags.allowLastNode = true
		d := s.start()
		s.drain("r", "n")
		// A request that is cut off while it is under way deletes nothing.
		s.await("its first deletion", 12*time.Minute, func() bool {
			sent := s.deletions("web")
			return len(sent) == 1 && sent[0].Code != 0
		})
		d.kill()
		s.start()
		s.await("another deletion", 5*time.Minute, func() bool { return len(s.deletions("web")) == 2 })
		sent := s.deletions("web")
		if apart := sent[1].Began.Sub(sent[0].Began); sent[0].Name == sent[1].Name || apart < time.Minute {
			t.Errorf("%s and %s were deleted %v apart", sent[0].Name, sent[1].Name, apart)
		}
		s.await("the last deletion", 5*time.Minute, func() bool { return len(s.deletions("web")) == 3 })
		if apart := s.deletions("web")[2].Began.Sub(sent[1].Began); apart < time.Minute {
			t.Errorf("the last one was deleted %v after the one before", apart)
		}
		if says := s.message("n"); !strings.Contains(says, "deleted past PDB shop/web") {
			t.Errorf("the node says %q", says)
		}
	})
}

// TestStoryDeleteRefused: a webhook that refuses evictions is not overruled,
// and neither is a budget that has a controller, or one in a protected
// namespace. If a webhook refuses the deletion itself, drainer retries from
// time to time.
func TestStoryDeleteRefused(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		s.cluster(func(c *sim.Cluster) {
			c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "kube-system", Name: "dns", Replicas: 1, Behavior: quick}, "n")
			c.AddBudget("kube-system", "dns", "dns", specOf("maxUnavailable 0"))
			c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: "pg", Replicas: 1, Behavior: quick}, "n")
			c.AddBudget("shop", "pg", "pg", specOf("maxUnavailable 0"))
			isController := true
			pdb := c.Budget(sim.Key{Namespace: "shop", Name: "pg"}).DeepCopy()
			pdb.OwnerReferences = []metav1.OwnerReference{{APIVersion: "pg/v1", Kind: "Cluster", Name: "pg", UID: "pg", Controller: &isController}}
			c.Put(sim.Budgets, pdb)
		})
		s.flags.neverDelete = []string{"kube-system"}
		denied := apiserver.AnswerError(sim.WebhookDenied("w.example.com", "evacuating", 429, 0))
		allow := s.server.Add(apiserver.Rule{
			Match: func(r apiserver.Request) bool { return evicts(r) && strings.HasPrefix(r.Name, "web") }, Answer: denied,
		})
		d := s.start()
		s.drain("r", "n")
		s.await("timed out", 11*time.Minute, s.reaches("n", api.TimedOut))
		s.wait(30 * time.Minute)
		if sent := s.deletions(""); len(sent) > 0 {
			t.Errorf("%d deletions were sent", len(sent))
		}
		if n := d.metric("drainer_eviction_requests_total", "code", "429", "reason", "evacuating"); n < 30 {
			t.Errorf("the webhook was asked %v times in half an hour, want once a minute", n)
		}
		for _, want := range []string{"nothing is deleted in namespace kube-system", "PDB shop/pg is managed by Cluster pg"} {
			if says := s.message("n"); !strings.Contains(says, want) {
				t.Errorf("the node says %q, want %q", says, want)
			}
		}
		allow()
		allow = s.server.Add(apiserver.Rule{Match: deletes, Answer: denied})
		s.wait(30 * time.Minute)
		if n := len(s.deletions("web")); n < 2 || n > 30 {
			t.Errorf("%d deletions were sent in half an hour in which they were denied", n)
		}
		if n := d.metric("drainer_forced_deletions_total"); n != 0 {
			t.Errorf("%v deletions are counted, and none took place", n)
		}
		allow()
		s.await("web is gone", 20*time.Minute, func() bool {
			return len(s.pods("n")) == 2 && d.metric("drainer_forced_deletions_total") == 3
		})
		if n := len(s.deletions("dns")) + len(s.deletions("pg")); n > 0 {
			t.Errorf("%d deletions of protected pods were sent", n)
		}
	})
}

// TestStoryDeleteNotAllowed: without the flag the request is invalid, nothing is
// done and the node names the flag.
func TestStoryDeleteNotAllowed(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		s.flags.allowDelete, s.flags.onTimeout = false, api.Wait
		s.start()
		s.annotate("n", api.OnTimeoutAnnotation, "Delete")
		s.drain("r", "n")
		s.await("invalid", time.Minute, s.reaches("n", api.InvalidRequest))
		s.wait(time.Hour)
		if says := s.message("n"); !strings.Contains(says, "--allow-delete") || s.node("n").Spec.Unschedulable || len(s.deletions("")) > 0 {
			t.Errorf("the node says %q, is cordoned: %v, and %d deletions were sent", says, s.node("n").Spec.Unschedulable, len(s.deletions("")))
		}
	})
}

// TestStoryDeleteUnknown: a deletion whose answer is lost is reported once, and
// not repeated.
func TestStoryDeleteUnknown(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		s.server.Add(apiserver.Rule{Match: deletes, Break: apiserver.BreakAfter})
		d := s.start()
		s.drain("r", "n")
		s.await("drained", 20*time.Minute, s.drained("r", "n"))
		if n := len(s.deletions("web")); n != 3 {
			t.Errorf("%d deletions were sent, want 3", n)
		}
		if n := d.metric("drainer_forced_deletions_total"); n != 3 {
			t.Errorf("%v deletions are counted, want 3", n)
		}
	})
}

// TestStoryDeleteAfter: a rule ends what a budget never allows although the request
// has no timeout: after its time, one pod after the other, and everybody is told which
// rule it was. Pods of other rules stay.
func TestStoryDeleteAfter(t *testing.T) {
	tell(t, func(s *story) {
		s.forced()
		s.flags.drainTimeout, s.flags.onTimeout = 0, api.Wait
		s.deployment("db", "n")
		s.budget("db", "maxUnavailable 0")
		s.flags.rules = &plan.Rules{List: []*plan.Rule{{Name: "stateless", Match: app("web"), Action: plan.EvictPod, DeleteAfter: 10 * time.Minute}}}
		d := s.start()
		s.drain("r", "n")
		s.wait(9*time.Minute + 50*time.Second)
		if sent := s.deletions(""); len(sent) > 0 {
			t.Fatalf("%d deletions were sent before the rule's time", len(sent))
		}
		s.await("the pods of the rule are deleted", 10*time.Minute, func() bool { return len(s.deletions("web")) == 3 })
		s.wait(time.Hour)
		if sent := s.deletions(""); len(sent) != 3 {
			t.Errorf("%d deletions were sent, want 3", len(sent))
		}
		for _, r := range s.deletions("web") {
			if notes := s.events(r.Name)["ForcedDeletion"]; len(notes) != 1 || !strings.Contains(notes[0], "deleteAfter of rule stateless") {
				t.Errorf("the events of %s are %v", r.Name, s.events(r.Name))
			}
		}
		if n := d.metric("drainer_forced_deletions_total", "reason", "budget_never_allows"); n != 3 {
			t.Errorf("%v deletions are counted, want 3", n)
		}
	})
}
