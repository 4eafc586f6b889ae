package drain_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
	"drainer.dev/drainer/test/invariant"
	"drainer.dev/drainer/test/scenario"
)

var (
	storySeed = flag.Uint64("story.seed", 1, "the seed of the first of the random stories; the others follow it")
	storyRuns = flag.Int("story.runs", 10, "how many random stories to run")
)

// TestStoryRandom: in random clusters, whatever people and others do and
// whatever goes wrong, the whole daemon violates no invariant.
//
// A seed gives the same cluster, people and faults. What happens at the same
// moment may still come in another order.
func TestStoryRandom(t *testing.T) {
	begun := time.Now()
	t.Cleanup(func() {
		fmt.Fprintf(os.Stderr, "random stories of the seeds %d to %d: %d evictions, %d stories failed, in %v\n",
			*storySeed, *storySeed+uint64(*storyRuns)-1, evictionsJudged.Load(), storiesFailed.Load(), time.Since(begun).Round(time.Second))
	})
	for seed := *storySeed; seed < *storySeed+uint64(*storyRuns); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := scenario.Generate(seeded{rand.New(rand.NewPCG(seed, 0))}, bubbleBegins)
			live(t, s, seed%2 == 0)
			if t.Failed() {
				t.Logf("to repeat it: go test ./pkg/drain -run 'TestStoryRandom$' -story.seed=%d -story.runs=1 -story.log", seed)
			}
		})
	}
}

// evictionsJudged counts the evictions that random stories have seen,
// storiesFailed those stories that failed: after enough of them the others are
// not told.
var (
	evictionsJudged atomic.Int64
	storiesFailed   atomic.Int32
)

const enoughFailed = 3

// bubbleBegins is when time begins in a bubble.
var bubbleBegins = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// seeded draws numbers from a seed.
type seeded struct{ *rand.Rand }

// IntN implements scenario.Draw.
func (s seeded) IntN(_ string, n int) int { return s.Rand.IntN(n) }

// live lets everything of a scenario happen to the daemon, which may wait for volumes,
// and fails the test if it violates an invariant.
func live(t *testing.T, c *scenario.Scenario, volumes bool) {
	t.Helper()
	tellIn(t, c.Options, func(s *story) {
		if storiesFailed.Load() >= enoughFailed {
			return
		}
		if *storyLog {
			fmt.Fprintln(os.Stderr, c)
		}
		rules := c.Rules(latency)
		rules.WaitsForVolumes = volumes
		r := &randomRun{story: s, Scenario: c, checker: invariant.New(rules)}
		r.prepare()
		if volumes {
			r.waitsForVolumes(r.flags.change)
			r.running.Go(r.attachVolumes)
		}
		r.happen()
		if !r.violated() {
			r.finish()
		}
		for _, v := range r.checker.Violations() {
			t.Error(v)
		}
		evictionsJudged.Add(int64(len(s.evictions(""))))
		if t.Failed() {
			storiesFailed.Add(1)
		}
	})
}

// patience is how long after everything has calmed down drains may take: a few
// times the longest wait of drainer, five minutes.
const patience = 30 * time.Minute

// randomRun is one scenario under way. The server's lock guards the checker.
type randomRun struct {
	*story
	*scenario.Scenario
	checker *invariant.Checker
	// daemon is the replica that runs; nil after a crash.
	daemon *replica
	// newest is its name; empty after a crash.
	newest string
}

// prepare configures the daemon, lets the checker look, and lets requests and
// watches go wrong.
func (r *randomRun) prepare() {
	r.flags = flags{
		evictionTimeout: defaults().evictionTimeout, drainTimeout: r.Timeout, onTimeout: r.OnTimeout,
		allowDelete: r.AllowDelete, neverDelete: r.NeverDelete,
		allowLastNode: r.AllowLastNode, barePods: plan.BarePods(r.BarePods), emptyDir: plan.EmptyDir(r.EmptyDir),
		limits: r.Limit, selectors: r.Selectors(),
	}
	r.flags.windows, r.flags.freezes = r.Times()
	r.flags.rules, r.flags.requests = r.PodRules(), r.ForNodes
	r.flags.change = func(c *plan.Config) {
		c.IgnoreUnreachableAfter, c.PaceWithoutBudget = r.UnreachableAfter, r.Paces
	}
	r.server.Observe(apiserver.Observer{Received: r.received, Handled: r.handled, Answered: r.answered, Changed: r.changed})
	for i := range r.Faults {
		r.server.Add(r.rule(&r.Faults[len(r.Faults)-1-i]))
	}
	for _, l := range r.Lags {
		r.running.Go(func() { r.lag(l) })
	}
}

// happen lets all steps happen, each at its time, and lasts until all is calm.
// The daemon starts once the cluster is built.
func (r *randomRun) happen() {
	built := slices.IndexFunc(r.Steps, func(s scenario.Step) bool { return s.After > 0 })
	if built < 0 {
		built = len(r.Steps)
	}
	for _, step := range r.Steps[:built] {
		step.Do(r)
	}
	r.Start()
	for _, step := range r.Steps[built:] {
		r.until(step.After)
		if r.violated() {
			return
		}
		step.Do(r)
	}
	r.until(r.Calm)
	if r.daemon == nil {
		r.Start()
	}
}

// violated is true once an invariant was: the rest may be endless.
func (r *randomRun) violated() (yes bool) {
	r.cluster(func(*sim.Cluster) { yes = len(r.checker.Violations()) > 0 })
	return yes
}

func (r *randomRun) until(after time.Duration) { r.wait(time.Until(r.begun.Add(after))) }

// finish waits until everything that can be is drained or released, or long
// enough, and ends the daemon. What cannot be drained at present may be a little
// later.
func (r *randomRun) finish() {
	end := time.Now().Add(patience)
	for idle := 0; idle < 6 && time.Now().Before(end) && !r.violated(); idle++ {
		r.wait(10 * time.Second)
		r.cluster(func(*sim.Cluster) {
			if r.checker.Unfinished(time.Now()) != "" {
				idle = 0
			}
		})
	}
	r.cluster(func(*sim.Cluster) { r.checker.Finish(time.Now()) })
	r.daemon.terminate()
	counters := map[string]int{}
	r.daemon.each("drainer_eviction_requests_total", func(labels map[string]string, m *dto.Metric) {
		counters[labels["code"]] += int(m.GetCounter().GetValue())
	})
	r.cluster(func(*sim.Cluster) { r.checker.Counted(time.Now(), counters) })
}

// The scenario's hands.

// Annotate implements scenario.Hands. A node that does not exist is left alone,
// as by the other methods.
func (r *randomRun) Annotate(node, key, value string) {
	r.editIf(node, "kubectl", func(n *corev1.Node) {
		if n.Annotations == nil {
			n.Annotations = map[string]string{}
		}
		n.Annotations[key] = value
	})
}

// Unannotate implements scenario.Hands.
func (r *randomRun) Unannotate(node, key string) {
	r.editIf(node, "kubectl", func(n *corev1.Node) { delete(n.Annotations, key) })
}

// Cordon implements scenario.Hands.
func (r *randomRun) Cordon(node, manager string) {
	r.editIf(node, manager, func(n *corev1.Node) { n.Spec.Unschedulable = true })
}

// Uncordon implements scenario.Hands.
func (r *randomRun) Uncordon(node, manager string) {
	r.editIf(node, manager, func(n *corev1.Node) { n.Spec.Unschedulable = false })
}

func (r *randomRun) editIf(node, manager string, change func(*corev1.Node)) {
	if r.node(node) != nil {
		if err := r.server.EditNode(node, manager, change); err != nil {
			r.Fatal(err)
		}
	}
}

// Cluster implements scenario.Hands.
func (r *randomRun) Cluster(change func(*sim.Cluster)) { r.cluster(change) }

// Crash implements scenario.Hands.
func (r *randomRun) Crash() {
	if r.daemon == nil {
		return
	}
	r.cluster(func(*sim.Cluster) { r.newest = "" })
	r.daemon.kill()
	r.daemon = nil
}

// Start implements scenario.Hands.
func (r *randomRun) Start() {
	r.Crash()
	r.cluster(func(*sim.Cluster) {
		r.checker.Started()
		r.newest = fmt.Sprintf("drainer-%d", r.replicas+1)
	})
	r.daemon = r.story.start()
}

// The checker's eyes. They are called with the server's lock held.

func (r *randomRun) actor(client string) invariant.Actor {
	switch client {
	case "":
		return invariant.Others
	case r.newest:
		return invariant.Daemon
	default:
		return invariant.Late
	}
}

func (r *randomRun) eviction(q apiserver.Request) invariant.Eviction {
	e := invariant.Eviction{Pod: types.NamespacedName{Namespace: q.Namespace, Name: q.Name}, By: r.actor(q.Client)}
	if deletes(q) {
		e.Deletes, e.UID, e.Grace = true, "", 0
		if o := optionsOf(r.T, q); o.Preconditions != nil && o.Preconditions.UID != nil && o.GracePeriodSeconds != nil {
			e.UID, e.Grace = *o.Preconditions.UID, *o.GracePeriodSeconds
		}
		return e
	}
	e.UID = preconditionOf(q)
	return e
}

func (r *randomRun) received(q apiserver.Request) {
	if evicts(q) || deletes(q) {
		r.checker.Received(time.Now(), r.eviction(q))
	}
}

func (r *randomRun) handled(q apiserver.Request, code int) {
	switch node, listed := listedNode(q); {
	case evicts(q), deletes(q):
		r.checker.Handled(time.Now(), r.eviction(q), code)
	case listed:
		r.checker.Listed(time.Now(), node)
	case listsAttachments(q):
		r.checker.ListedAttachments(time.Now())
	}
}

func (r *randomRun) answered(q apiserver.Request) {
	switch {
	case !evicts(q) || q.Client != r.newest:
	case q.Code == 0:
		r.checker.Answered("error")
	default:
		r.checker.Answered(strconv.Itoa(q.Code))
	}
}

func (r *randomRun) changed(c sim.Change, client string) {
	now, deleted := time.Now(), c.Type == watch.Deleted
	switch o := c.Object.(type) {
	case *corev1.Node:
		r.checker.Node(now, o, deleted, r.actor(client))
	case *corev1.ConfigMap:
		r.checker.Paused(now, !deleted)
	case *corev1.Pod:
		r.checker.Pod(now, o, deleted)
	case *policyv1.PodDisruptionBudget:
		r.checker.Budget(o, deleted)
	case *storagev1.VolumeAttachment:
		r.volumeChanged(o, deleted)
	case *appsv1.DaemonSet:
		r.checker.DaemonSet(now, o.UID, !deleted)
	}
}
