package drain_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

var fleetSize = flag.Int("story.nodes", 1000, "nodes of the stories about large clusters, a tenth of which is drained")

// TestStoryBigStart: a tenth of all nodes is annotated at once, while the daemon
// runs or before it starts. They are cordoned soon, nothing is
// evicted before all of them are, so no pod moves to a node that is about to be
// drained, and none says that it is blocked.
func TestStoryBigStart(t *testing.T) {
	t.Run("while it runs", func(t *testing.T) { bigStart(t, *fleetSize, *fleetSize/10, true) })
	t.Run("before it starts", func(t *testing.T) { bigStart(t, *fleetSize, *fleetSize/10, false) })
}

func bigStart(t *testing.T, all, requested int, running bool) {
	tell(t, func(s *story) {
		nodes := s.crowd(all, requested)
		s.flags.planning = 25 * time.Millisecond
		if running {
			s.start()
			s.wait(10 * time.Second)
		}
		asked := time.Now()
		s.drain("r", nodes...)
		if !running {
			s.start()
		}
		s.await("all are cordoned", 2*time.Minute, func() bool { return len(s.cordons()) == requested })
		s.wait(15 * time.Second) // Blocked drains report that after 10 s.

		cordons := s.cordons()
		slices.SortFunc(cordons, func(a, b apiserver.Request) int { return a.Ended.Compare(b.Ended) })
		t.Logf("the first node was cordoned after %v, the last after %v", cordons[0].Ended.Sub(asked), cordons[requested-1].Ended.Sub(asked))
		if first := cordons[0].Ended.Sub(asked); first > 500*time.Millisecond {
			t.Errorf("the first node was cordoned after %v, want 500ms at most", first)
		}
		last := cordons[requested-1].Ended
		if last.Sub(asked) > 12*time.Second {
			t.Errorf("the last node was cordoned after %v, want 12s at most", last.Sub(asked))
		}
		// A write takes effect, and watches show it, half of the latency before it is
		// answered.
		early, cordoned := 0, last.Add(-latency/2)
		for _, e := range s.evictions("") {
			if e.Began.Before(cordoned) {
				early++
			}
		}
		if early > 0 {
			t.Errorf("%d evictions were sent before the last node was cordoned", early)
		}
		if n := s.haveBeen(api.Blocked); n > 0 {
			t.Errorf("%d nodes have said that they are blocked", n)
		}
	})
}

// TestStoryUncordonable: nodes that begin together wait for one that cannot be
// cordoned until none was cordoned for 2 s, and no longer.
func TestStoryUncordonable(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b")
		s.spares(20)
		s.deployment("web", "a", "b")
		s.server.Add(apiserver.Rule{
			Match:  func(r apiserver.Request) bool { return writesNode(r) && r.Name == "b" && r.Subresource == "" },
			Answer: apiserver.AnswerError(apierrors.NewInternalError(errors.New("webhook is away"))),
		})
		s.start()
		s.wait(10 * time.Second)
		s.drain("r", "a", "b")
		s.await("an eviction", time.Minute, func() bool { return len(s.evictions("")) > 0 })
		// The daemon counts from the event of the cordon, which can come before
		// the answer.
		if wait := s.evictions("")[0].Began.Sub(s.cordons()[0].Began); wait < 2*time.Second || wait > 2500*time.Millisecond {
			t.Errorf("the first eviction was sent %v after the cordon, want 2s", wait)
		}
	})
}

// crowd adds nodes. Some have two pods each, spread over the names: those are
// returned.
func (s *story) crowd(all, busy int) (nodes []string) {
	s.cluster(func(c *sim.Cluster) {
		for i := range all {
			name := fmt.Sprintf("n%04d", i)
			c.AddNode(name, nil)
			if i%(all/busy) == 0 {
				nodes = append(nodes, name)
			}
		}
		for i := range busy / 10 {
			var on []string
			for _, node := range nodes[i*10 : i*10+10] {
				on = append(on, times(2, node)...)
			}
			c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: fmt.Sprintf("app%02d", i), Replicas: len(on), Behavior: quick}, on...)
		}
	})
	return nodes
}

// cordons are the requests that have cordoned a node.
func (s *story) cordons() []apiserver.Request {
	return s.server.Requests(func(r apiserver.Request) bool {
		return writesNode(r) && r.Subresource == "" && r.Query.Get("fieldManager") == api.CordonFieldManager && r.Code == 200
	})
}
