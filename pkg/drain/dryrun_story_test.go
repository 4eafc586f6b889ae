package drain_test

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryDryRun: a dry run reports a verdict for each pod and changes
// nothing, even after its annotation is removed and another process has taken
// over; another ID drains the node.
func TestStoryDryRun(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n", "n")
		s.deployment("db", "n")
		s.budget("db", "maxUnavailable 0")
		s.wait(5 * time.Second)
		first := s.start()
		s.annotate("n", api.DryRunAnnotation, "true")
		s.drain("look", "n")
		s.await("it has its verdicts", time.Minute, func() bool {
			v := s.status("n").Verdicts
			return v != nil && v.At != nil
		})
		if v := s.status("n").Verdicts; v.Admitted != 2 || v.Refused != 1 || v.Held+v.Unanswered != 0 {
			t.Errorf("the verdicts are %+v", v)
		}
		s.await("the event", time.Minute, func() bool { return len(s.events("n")[string(api.DryRun)]) > 0 })
		if got := s.events("n")[string(api.DryRun)]; len(got) != 1 || !strings.Contains(got[0], "2 of 3 pods could be evicted now") || !strings.Contains(got[0], "refused: The disruption budget db") {
			t.Errorf("the events are %q", got)
		}

		s.unannotate("n", api.DryRunAnnotation)
		s.wait(time.Minute)
		first.kill()
		s.start()
		s.wait(2 * time.Minute)
		dry := s.server.Requests(func(r apiserver.Request) bool { return r.Subresource == "eviction" && !r.Evicts() })
		if n := s.node("n"); s.phase("n") != api.DryRun || n.Spec.Unschedulable || len(s.evictions("")) > 0 || len(dry) != 3 {
			t.Errorf("the node is %s, unschedulable %v; %d evictions and %d dry runs were sent, want 0 and 3", s.phase("n"), n.Spec.Unschedulable, len(s.evictions("")), len(dry))
		}

		s.limit("db", "maxUnavailable 1")
		s.drain("real", "n")
		s.await("drained", 5*time.Minute, s.drained("real", "n"))
	})
}

// TestStoryDryRunReplicas: a dry run reads the replicas that rules look at.
func TestStoryDryRunReplicas(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n", "n")
		s.deployment("db", "n")
		s.flags.rules = &plan.Rules{List: []*plan.Rule{{Name: "single", Match: plan.PodMatch{Replicas: 1}, Action: plan.BlockPod}}}
		s.wait(5 * time.Second)
		s.start()
		s.annotate("n", api.DryRunAnnotation, "true")
		s.drain("look", "n")
		s.await("it has its verdicts", time.Minute, func() bool {
			v := s.status("n").Verdicts
			return v != nil && v.At != nil
		})
		if v := s.status("n").Verdicts; v.Admitted != 2 || v.Held != 1 {
			t.Errorf("the verdicts are %+v", v)
		}
	})
}

// TestStoryDryRunOfDrain: a dry run cannot be made of a drain under way; it
// pauses until somebody decides.
func TestStoryDryRunOfDrain(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n", "n")
		s.budget("web", "maxUnavailable 0")
		s.start()
		s.drain("r", "n")
		s.await("blocked", time.Minute, s.reaches("n", api.Blocked))
		s.annotate("n", api.DryRunAnnotation, "true")
		s.await("it says what is wrong", time.Minute, s.reaches("n", api.InvalidRequest))
		s.limit("web", "maxUnavailable 2")
		s.wait(time.Minute)
		if sent := len(s.answered(201)); sent > 0 || !s.node("n").Spec.Unschedulable {
			t.Errorf("%d evictions were admitted, unschedulable is %v", sent, s.node("n").Spec.Unschedulable)
		}
		s.unannotate("n", api.DryRunAnnotation)
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
	})
}

// TestStoryDryRunsWait: a dry run with a slow webhook delays neither a drain
// nor the end of the request.
func TestStoryDryRunsWait(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b", "c")
		s.spares(2)
		s.deployment("slow", append(times(9, "a"), "b", "b")...)
		s.deployment("web", "c")
		s.cluster(func(c *sim.Cluster) { c.Namespace("shop").Webhook = &sim.Webhook{Takes: 10 * time.Second} })
		s.start()
		s.annotate("a", api.DryRunAnnotation, "true")
		s.annotate("b", api.DryRunAnnotation, "true")
		s.drain("look", "a", "b")
		s.wait(5 * time.Second)
		s.unannotate("a", api.DrainAnnotation)
		s.await("released", 2*time.Second, func() bool { return s.node("a").Annotations[api.StatusAnnotation] == "" })
		begun := s.since()
		s.drain("real", "c")
		s.await("cordoned", 2*time.Second, func() bool { return s.node("c").Spec.Unschedulable })
		t.Logf("cordoned after %v", s.since()-begun)
		s.await("the other dry run is done", 2*time.Minute, func() bool {
			v := s.status("b").Verdicts
			return v != nil && v.At != nil
		})
		dry := s.server.Requests(func(r apiserver.Request) bool { return r.Subresource == "eviction" && !r.Evicts() })
		if most := mostUnderWay(dry); most != 1 {
			t.Errorf("%d pods of dry runs are asked about at one time, want 1", most)
		}
		if s.status("a").Verdicts != nil {
			t.Error("the verdicts of a request that is gone were written")
		}
	})
}
