package drain_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

var loadSize = flag.Int("story.load", 50, "nodes of TestStoryLoad, of which a fifth is drained")

const (
	loadPodsOfNode = 30
	loadPodsOfApp  = 100
)

// TestStoryLoad: a fifth of the nodes of a full cluster is requested at once, under the
// default flags. Every node soon says that it was heard, the drains that may begin do
// soon, what waits in queues and is watched is bounded by what may drain at once, and
// every node is drained without waiting for longer than its share.
func TestStoryLoad(t *testing.T) {
	tell(t, func(s *story) {
		all := *loadSize
		requested, atOnce := s.fill(all), all/10
		s.flags.planning = max(25*time.Millisecond, time.Duration(all)*time.Millisecond/50)
		d := s.start()
		s.wait(10 * time.Second)
		l := s.observeNodes()
		asked := time.Now()
		s.drain("r", requested...)
		most := &load{}
		for left := len(requested); left > 0; s.cluster(func(*sim.Cluster) { left = len(requested) - len(l.drained) }) {
			if time.Since(asked) > 2*ideal(len(requested))+2*time.Minute {
				t.Fatalf("after %v %d of %d nodes are not drained", time.Since(asked), left, len(requested))
			}
			s.wait(5 * time.Second)
			most.look(d)
		}
		s.server.Observe(apiserver.Observer{})
		t.Logf("%d nodes with %d pods each, %d requested, %d at once: answered after %v to %v, cordoned after %v to %v, drained after %v to %v, each in %v at most; "+
			"most in queues: %v evictions, %v tasks; most pods watched: %v",
			all, loadPodsOfNode, len(requested), atOnce, first(l.answered).Sub(asked), last(l.answered).Sub(asked),
			first(l.cordoned).Sub(asked), last(l.cordoned).Sub(asked), first(l.drained).Sub(asked), last(l.drained).Sub(asked), l.longest(),
			most.evictions, most.tasks, most.pods)
		l.check(t, asked, atOnce)
		// Nodes that have just been drained may be watched for a moment longer.
		bound := float64(atOnce*loadPodsOfNode) * 1.5
		if most.pods > bound || most.evictions > bound || most.tasks > 2*float64(len(requested)) {
			t.Errorf("more than what may drain at once is watched, or waits: %+v", *most)
		}
	})
}

// ideal is how long the evictions from so many nodes take at least. Of the pods that have
// left, some come to nodes that are drained later.
func ideal(nodes int) time.Duration {
	return time.Duration(float64(nodes*loadPodsOfNode)/evictionQPS*1.25) * time.Second
}

// check fails the test if a node had to wait for too long.
func (l *milestones) check(t *testing.T, asked time.Time, atOnce int) {
	t.Helper()
	if late := last(l.answered).Sub(asked); late > 30*time.Second {
		t.Errorf("the last node answered after %v, want 30s at most", late)
	}
	if late := first(l.cordoned).Sub(asked); late > time.Second {
		t.Errorf("the first node was cordoned after %v, want 1s at most", late)
	}
	if longest := l.longest(); longest > ideal(atOnce)+2*time.Minute {
		t.Errorf("a node was drained %v after its cordon, want %v at most", longest, ideal(atOnce)+2*time.Minute)
	}
}

// fill adds nodes full of pods, of Deployments under budgets of a tenth, and returns
// every fifth node.
func (s *story) fill(all int) (requested []string) {
	s.cluster(func(c *sim.Cluster) {
		var nodes []string
		for i := range all {
			nodes = append(nodes, fmt.Sprintf("n%04d", i))
			c.AddNode(nodes[i], nil)
			if i%5 == 0 {
				requested = append(requested, nodes[i])
			}
		}
		apps := max(1, all*loadPodsOfNode/loadPodsOfApp)
		for i := range apps {
			var on []string
			for j := range loadPodsOfApp {
				on = append(on, nodes[(i+j*apps)%all])
			}
			name := fmt.Sprintf("app%04d", i)
			c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: name, Replicas: len(on), Behavior: quick}, on...)
			c.AddBudget("shop", name, name, specOf("maxUnavailable 10%"))
		}
	})
	return requested
}

// milestones are when nodes were first seen in a state, by name.
type milestones struct{ answered, cordoned, drained map[string]time.Time }

// observeNodes notes the milestones from now on.
func (s *story) observeNodes() *milestones {
	l := &milestones{answered: map[string]time.Time{}, cordoned: map[string]time.Time{}, drained: map[string]time.Time{}}
	note := func(reached bool, at map[string]time.Time, node string) {
		if _, known := at[node]; reached && !known {
			at[node] = time.Now()
		}
	}
	s.server.Observe(apiserver.Observer{Changed: func(c sim.Change, _ string) {
		n, is := c.Object.(*corev1.Node)
		if !is {
			return
		}
		note(n.Annotations[api.StatusAnnotation] != "", l.answered, n.Name)
		note(n.Spec.Unschedulable, l.cordoned, n.Name)
		note(n.Annotations[api.DrainedAnnotation] != "", l.drained, n.Name)
	}})
	return l
}

// first and last are the times of those that reach a milestone first, and last.
func first(at map[string]time.Time) time.Time {
	return slices.MinFunc(slices.Collect(maps.Values(at)), time.Time.Compare)
}

func last(at map[string]time.Time) time.Time {
	return slices.MaxFunc(slices.Collect(maps.Values(at)), time.Time.Compare)
}

// longest is the longest time from a cordon until the node was drained.
func (l *milestones) longest() (longest time.Duration) {
	for node, at := range l.drained {
		longest = max(longest, at.Sub(l.cordoned[node]))
	}
	return longest
}

// load is the most that was seen of what takes memory.
type load struct{ evictions, tasks, pods float64 }

func (l *load) look(d *replica) {
	l.evictions = max(l.evictions, d.metric("workqueue_depth", "name", "evictions"))
	l.tasks = max(l.tasks, d.metric("workqueue_depth", "name", "tasks"))
	l.pods = max(l.pods, d.metric("drainer_node_pods"))
}
