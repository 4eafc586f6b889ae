package drain_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
	"drainer.dev/drainer/test/bubble"
)

var storyLog = flag.Bool("story.log", false, "print what the daemon logs in stories, and the requests of a story that fails")

// latency is how long the API server takes to answer a request.
const latency = 5 * time.Millisecond

// story is a script about the whole daemon in a cluster, in simulated time.
type story struct {
	*testing.T
	server *apiserver.Server
	// flags are those of the replicas that start from now on.
	flags flags
	begun time.Time
	ctx   context.Context
	// running are the replicas that have not ended.
	running sync.WaitGroup
	// replicas counts those started, for their names.
	replicas int
}

// TestMain keeps client-go from sleeping after an error, by a clock that all
// bubbles share: time in a bubble starts over.
func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	m.Run()
}

// tell runs a story in a bubble of simulated time. Everything that the story
// has started has ended when tell returns.
func tell(t *testing.T, script func(s *story)) {
	t.Helper()
	tellIn(t, sim.Options{BudgetLag: 50 * time.Millisecond, ReplaceLag: 50 * time.Millisecond, ScheduleLag: 50 * time.Millisecond}, script)
}

// tellIn tells a story in a cluster whose controllers are as fast as the options
// say.
func tellIn(t *testing.T, o sim.Options, script func(s *story)) {
	t.Helper()
	tellSkewed(t, 0, o, script)
}

// tellSkewed tells a story in a cluster whose clock is ahead of drainer's.
func tellSkewed(t *testing.T, skew time.Duration, o sim.Options, script func(s *story)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o.Start = time.Now().Add(skew)
		c := sim.New(o)
		s := &story{T: t, server: apiserver.New(c, latency), flags: defaults(), begun: time.Now()}
		ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), logger()))
		s.ctx = ctx
		var server sync.WaitGroup
		serving, stop := context.WithCancel(context.WithoutCancel(ctx))
		server.Go(func() { s.server.Run(serving) })
		defer server.Wait()
		defer stop()
		defer s.running.Wait()
		defer cancel()
		defer s.showRequests()
		script(s)
	})
}

func logger() logr.Logger {
	if !*storyLog {
		return logr.Discard()
	}
	return funcr.New(func(_, args string) { fmt.Fprintln(os.Stderr, time.Now().Format("15:04:05.000"), args) }, funcr.Options{Verbosity: 2})
}

func (s *story) showRequests() {
	if *storyLog && s.Failed() {
		for _, r := range s.server.Requests(nil) {
			if r.Resource != apiserver.Leases {
				fmt.Fprintln(os.Stderr, r)
			}
		}
	}
}

// nodes adds Ready nodes.
func (s *story) nodes(names ...string) {
	s.cluster(func(c *sim.Cluster) {
		for _, name := range names {
			c.AddNode(name, nil)
		}
	})
}

// spares adds Ready nodes for pods to move to.
func (s *story) spares(n int) {
	for i := range n {
		s.nodes(fmt.Sprintf("spare-%03d", i+1))
	}
}

// deployment runs a Deployment of the namespace shop with one pod for each node
// named. Its pods start and stop within a second.
func (s *story) deployment(name string, nodes ...string) {
	s.cluster(func(c *sim.Cluster) {
		c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: name, Replicas: len(nodes), Behavior: quick}, nodes...)
	})
}

// quick is the behavior of pods that start and stop within a second.
var quick = sim.Behavior{StartsIn: time.Second, StopsIn: time.Second}

// times repeats a node's name, for that many pods on it.
func times(n int, node string) []string { return strings.Fields(strings.Repeat(node+" ", n)) }

// budget adds a PodDisruptionBudget named after the Deployment, and waits until
// it is observed. Its limit is such as "maxUnavailable 1" or "minAvailable 50%".
func (s *story) budget(name, limit string) {
	s.cluster(func(c *sim.Cluster) { c.AddBudget("shop", name, name, specOf(limit)) })
	s.await("the budget is observed", time.Second, func() bool {
		var b *policyv1.PodDisruptionBudget
		s.cluster(func(c *sim.Cluster) { b = c.Budget(sim.Key{Namespace: "shop", Name: name}) })
		return b.Status.ObservedGeneration == b.Generation
	})
}

// limit changes the limit of a budget.
func (s *story) limit(name, limit string) {
	s.cluster(func(c *sim.Cluster) {
		c.UpdateBudget(sim.Key{Namespace: "shop", Name: name}, func(spec *policyv1.PodDisruptionBudgetSpec) {
			changed := specOf(limit)
			changed.Selector = spec.Selector
			*spec = changed
		})
	})
}

func specOf(limit string) policyv1.PodDisruptionBudgetSpec {
	field, text, _ := strings.Cut(limit, " ")
	value := intstr.Parse(text)
	if field == "maxUnavailable" {
		return policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &value}
	}
	return policyv1.PodDisruptionBudgetSpec{MinAvailable: &value}
}

// cluster looks at the cluster, or changes it.
func (s *story) cluster(f func(*sim.Cluster)) { s.server.Do(f) }

// annotate annotates a node, as kubectl annotate does.
func (s *story) annotate(node, key, value string) {
	s.Helper()
	s.edit(node, func(n *corev1.Node) {
		if n.Annotations == nil {
			n.Annotations = map[string]string{}
		}
		n.Annotations[key] = value
	})
}

// unannotate removes an annotation from a node.
func (s *story) unannotate(node, key string) {
	s.Helper()
	s.edit(node, func(n *corev1.Node) { delete(n.Annotations, key) })
}

// drain requests the drain of nodes.
func (s *story) drain(id string, nodes ...string) {
	s.Helper()
	for _, node := range nodes {
		s.annotate(node, api.DrainAnnotation, id)
	}
}

// edit changes a node as a person does.
func (s *story) edit(node string, change func(*corev1.Node)) {
	s.Helper()
	if err := s.server.EditNode(node, "kubectl", change); err != nil {
		s.Fatal(err)
	}
}

// wait lets time pass in the story.
func (s *story) wait(d time.Duration) { bubble.Sleep(d) }

// since is how long ago the story began.
func (s *story) since() time.Duration { return time.Since(s.begun) }

// await waits until something holds, and fails the story if it does not in
// time. The time is the cluster's, not the machine's.
func (s *story) await(what string, within time.Duration, holds func() bool) {
	s.Helper()
	if !s.eventually(within, holds) {
		s.Fatalf("after %v more, at %v: not %s", within, s.since(), what)
	}
}

// eventually waits until something holds, and says whether it does in time.
func (s *story) eventually(within time.Duration, holds func() bool) bool {
	end := time.NewTimer(within)
	defer end.Stop()
	for {
		changed := s.server.Changed()
		// What the daemon alone knows, such as metrics, changes without a request.
		again := time.NewTimer(time.Second)
		if holds() {
			again.Stop()
			return true
		}
		select {
		case <-changed:
		case <-again.C:
		case <-end.C:
			again.Stop()
			return holds()
		}
		again.Stop()
	}
}
