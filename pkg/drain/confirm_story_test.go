package drain_test

import (
	"fmt"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// stray is a pod that something binds to a node, past the scheduler.
func stray(c *sim.Cluster, name, node string) {
	c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: name, Replicas: 1, Behavior: quick}, node)
}

// TestStoryConfirmRetry: while a live list shows a pod that the watch does not,
// the list is repeated once a second and not more often.
func TestStoryConfirmRetry(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "busy")
		s.spares(20)
		s.deployment("web", "n")
		s.deployment("api", times(30, "busy")...)
		s.budget("api", "maxUnavailable 1")
		s.start()
		s.drain("r", "n", "busy")
		s.await("the pod gone", 10*time.Second, func() bool { return len(s.pods("n")) == 0 })
		s.wait(time.Second) // By now the daemon has seen that.
		resume := s.server.Stall(func(r apiserver.Request) bool { return listsPodsOf(r, "n") })
		s.cluster(func(c *sim.Cluster) { stray(c, "stray", "n") })
		s.wait(5 * time.Second)
		before := len(s.server.Requests(listsPods))
		s.wait(10 * time.Second)
		if lists := len(s.server.Requests(listsPods)) - before; lists < 5 || lists > 11 {
			t.Errorf("%d lists in 10 s, want one a second", lists)
		}
		if s.drained("r", "n")() {
			t.Error("a node with a pod is drained")
		}
		resume()
		s.await("drained", time.Minute, s.drained("r", "n"))
	})
}

func listsPodsOf(r apiserver.Request, node string) bool {
	return r.Resource == sim.Pods && r.Query.Get("fieldSelector") == "spec.nodeName="+node
}

// TestStoryDrainedStays: plans from before a node was found drained do not
// withdraw its report.
func TestStoryDrainedStays(t *testing.T) {
	tell(t, func(s *story) {
		var nodes []string
		for i := range 10 {
			nodes = append(nodes, fmt.Sprintf("n%d", i))
		}
		s.nodes(nodes...)
		s.spares(100)
		for i, node := range nodes {
			s.deployment(fmt.Sprintf("web%d", i), times(1+2*i, node)...)
			s.budget(fmt.Sprintf("web%d", i), "maxUnavailable 1")
		}
		s.server.Add(apiserver.Rule{Match: func(r apiserver.Request) bool { return listsPods(r) || writesStatus(r) }, Before: 30 * time.Millisecond, After: 30 * time.Millisecond})
		s.start()
		s.drain("r", nodes...)
		s.await("drained", 10*time.Minute, s.drained("r", nodes...))
		s.wait(time.Minute)
		for _, name := range nodes {
			was := false
			for _, n := range s.writes(name) {
				is := n.Annotations[api.DrainedAnnotation] == "r"
				if was && !is {
					t.Errorf("node %s was drained, and then it was not", name)
				}
				was = is
			}
		}
	})
}

// TestStoryAnotherRequest: the results for one request do not apply to the next
// one, even if that arrives while the first is being reported drained.
func TestStoryAnotherRequest(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.start()
		s.drain("r1", "n")
		s.await("the pod gone", 10*time.Second, func() bool { return len(s.pods("n")) == 0 })
		s.server.Add(apiserver.Rule{Match: writesStatus, After: 200 * time.Millisecond})
		s.await("drained for the first request", time.Minute, s.drained("r1", "n"))
		s.drain("r2", "n")
		asked := time.Now()
		s.await("drained for the second request", time.Minute, s.drained("r2", "n"))
		looked := s.server.Requests(func(r apiserver.Request) bool { return listsPods(r) && r.Began.After(asked) })
		if len(looked) == 0 {
			t.Error("the node is drained for the second request, and nobody has looked")
		}
		for _, n := range s.writes("n") {
			status, err := api.ParseStatus(n.Annotations[api.StatusAnnotation])
			if err == nil && status.Request == "r2" && status.FinishedAt != nil && n.Annotations[api.DrainedAnnotation] == "" {
				t.Errorf("the second request has finished before it is drained: %+v", status)
			}
		}
	})
}

// TestStoryDrainedDoesNotTimeOut: a node that is drained can wait for its
// release forever.
func TestStoryDrainedDoesNotTimeOut(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		d := s.start()
		s.annotate("n", api.TimeoutAnnotation, "2m")
		s.drain("r", "n")
		s.await("drained", time.Minute, s.drained("r", "n"))
		s.wait(time.Hour)
		if phase := s.phase("n"); phase != api.Drained {
			t.Errorf("after an hour the drained node is %s", phase)
		}
		if n := d.metric("drainer_drains_total", "result", "drained"); n != 1 {
			t.Errorf("one drain is counted as %v", n)
		}
		// The hour does not count against a pod that comes now, either.
		s.cluster(func(c *sim.Cluster) { stray(c, "stray", "n") })
		s.await("the stray pod gone, and drained again", time.Minute, func() bool { return len(s.pods("n")) == 0 && s.phase("n") == api.Drained })
		if n := d.metric("drainer_drains_total", "result", "timed_out"); n != 0 {
			t.Errorf("%v drains have timed out", n)
		}
		if notes := s.events("n")["TimedOut"]; notes != nil {
			t.Errorf("the node has the events %v", notes)
		}
	})
}
