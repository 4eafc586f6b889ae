package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryBudgetChangesWhileRead: an event of a budget that overtakes the answer
// to a read of it is no sign that the API server's storage was restored.
func TestStoryBudgetChangesWhileRead(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(2)
		s.deployment("web", "n", "m", "m")
		s.budget("web", "maxUnavailable 0")
		reads := func(r apiserver.Request) bool { return r.Verb == "get" && r.Resource == sim.Budgets && r.Name == "web" }
		s.server.Add(apiserver.Rule{Match: reads, Times: 1, After: 500 * time.Millisecond})
		d := s.start()
		s.drain("r", "n")
		s.await("blocked", time.Minute, s.reaches("n", api.Blocked))
		first := d.newest()
		s.await("a read of the budget", 2*time.Minute, func() bool { return len(s.server.Requests(reads)) > 0 })
		s.limit("web", "minAvailable 100%")
		s.wait(10 * time.Second)
		if d.newest() != first {
			t.Error("the process has ended")
		}
	})
}

// nodeFails lets writes to a node's spec fail, times times; 0 for as long as the
// rule stands.
func (s *story) nodeFails(times int) (remove func()) {
	return s.server.Add(apiserver.Rule{Times: times, Match: func(r apiserver.Request) bool {
		return r.Verb == "patch" && r.Resource == sim.Nodes && r.Name == "n" && r.Subresource == ""
	}, Answer: apiserver.AnswerText(502, "no", 0)})
}

// TestStoryCancelAfterFailures: a release does not wait for the next try of a
// cordon that has failed for long.
func TestStoryCancelAfterFailures(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.start()
		remove := s.nodeFails(0)
		s.drain("r", "n")
		s.wait(4*time.Minute + 10*time.Second)
		remove()
		s.unannotate("n", api.DrainAnnotation)
		s.await("the node is released", 2*time.Second, func() bool { return s.status("n").Request == "" })
	})
}

// TestStoryTaskForgotten: a task that failed is not retried forever once there
// is nothing left to do.
func TestStoryTaskForgotten(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		d := s.start()
		s.nodeFails(3)
		s.drain("r", "n")
		s.wait(900 * time.Millisecond)
		s.unannotate("n", api.DrainAnnotation)
		s.wait(time.Minute)
		before := d.metric("workqueue_adds_total", "name", "tasks")
		s.wait(10 * time.Minute)
		if added := d.metric("workqueue_adds_total", "name", "tasks") - before; added > 0 {
			t.Errorf("%v tasks were queued in ten minutes in which there was nothing to do", added)
		}
	})
}

// TestStorySlowTasks: reads that hang do not delay the cordon of another node, although
// there are more of them than workers.
func TestStorySlowTasks(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "z")
		s.flags.maxDraining = "2"
		s.spares(4)
		s.deployment("web", times(40, "n")...)
		looksUp := func(r apiserver.Request) bool {
			return r.Verb == "get" && r.Resource == sim.Pods && r.Name != "" && r.Subresource == ""
		}
		s.server.Add(apiserver.Rule{Match: evicts, Break: apiserver.BreakBefore})
		s.server.Add(apiserver.Rule{Match: looksUp, After: 25 * time.Second})
		s.start()
		s.drain("r", "n")
		s.await("lookups of more pods than there are workers", time.Minute, func() bool {
			return len(s.server.Requests(looksUp)) >= plan.TaskWorkers
		})
		s.wait(3 * time.Second)
		s.drain("r", "z")
		s.await("node z is cordoned", 2*time.Second, func() bool { return s.node("z").Spec.Unschedulable })
		s.wait(2 * time.Minute)
		if n := mostUnderWay(s.server.Requests(looksUp)); n != plan.MostTasks/2 {
			t.Errorf("%d lookups were under way at once, want %d: as many of a kind as may be", n, plan.MostTasks/2)
		}
	})
}
