package forecast_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// quick is the behavior of pods that start and stop within a second.
var quick = sim.Behavior{StartsIn: time.Second, StopsIn: time.Second}

// options are the daemon's defaults, with everything allowed at once.
func options() forecast.Options {
	return forecast.Options{
		Config: plan.Config{
			MaxDraining: share("100%"), Settle: 5 * time.Second, StuckAfter: 5 * time.Minute, OnTimeout: api.Wait,
			BarePods: plan.BlockBarePods, EmptyDir: plan.EvictEmptyDir,
		},
		QPS: 50, Burst: 100, Workers: 10, EvictionTimeout: 40 * time.Second, Latency: 5 * time.Millisecond, WatchLag: 5 * time.Millisecond,
	}
}

func share(text string) plan.Share {
	s, err := plan.ParseShare(text)
	if err != nil {
		panic(err) // A test's own mistake.
	}
	return s
}

func newCluster(nodes ...string) *sim.Cluster {
	c := sim.New(sim.Options{Start: noon, BudgetLag: 50 * time.Millisecond, ReplaceLag: 50 * time.Millisecond, ScheduleLag: 50 * time.Millisecond})
	for _, n := range nodes {
		c.AddNode(n, nil)
	}
	return c
}

func web(c *sim.Cluster, maxUnavailable int, nodes ...string) {
	c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: len(nodes), Behavior: quick}, nodes...)
	most := intstr.FromInt(maxUnavailable)
	c.AddBudget("shop", "web", "web", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &most})
}

// drained is true once the nodes are reported drained for the request.
func drained(l *forecast.Loop, id string, nodes ...string) func() bool {
	return func() bool {
		return !slices.ContainsFunc(nodes, func(n string) bool { return l.Cluster().Node(n).Annotations[api.DrainedAnnotation] != id })
	}
}

func await(t *testing.T, l *forecast.Loop, within time.Duration, done func() bool) {
	t.Helper()
	if !l.Run(l.Now().Add(within), done) {
		for _, o := range l.Cluster().List(sim.Nodes) {
			t.Logf("%s: %v", o.GetName(), o.GetAnnotations())
		}
		t.Fatalf("not so within %v", within)
	}
}

// TestDrain: a node is cordoned, its pods leave within their budget, and it is
// reported drained; the removal of the request uncordons it.
func TestDrain(t *testing.T) {
	c := newCluster("a", "b", "spare")
	web(c, 1, "a", "a", "a", "b")
	o := options()
	var sent []forecast.Verb
	var refused []plan.Answered
	o.Answered = func(r forecast.Request, _ error) { sent = append(sent, r.Verb) }
	o.Evicted = func(a plan.Answered) {
		if a.Outcome.Reason != plan.Admitted {
			refused = append(refused, a)
		}
	}
	l := forecast.New(c, o)
	l.Start()
	l.Request("r", "a")
	await(t, l, time.Minute, drained(l, "r", "a"))
	if took := l.Now().Sub(noon); took < 5*time.Second || took > 12*time.Second {
		t.Errorf("three pods one after the other took %v", took)
	}
	if len(refused) > 0 {
		t.Errorf("refused: %+v", refused)
	}
	if pods := c.PodsOn("a"); len(pods) > 0 || !c.Node("a").Spec.Unschedulable {
		t.Errorf("%d pods are left, node %+v", len(pods), c.Node("a").Spec)
	}
	if report, cordon := slices.Index(sent, forecast.Report), slices.Index(sent, forecast.Cordon); report > cordon {
		t.Errorf("the requests were %v", sent)
	}
	l.Cancel("a")
	await(t, l, time.Minute, func() bool {
		return !c.Node("a").Spec.Unschedulable && c.Node("a").Annotations[api.StatusAnnotation] == ""
	})
}

// TestOthersCordon: a cordon that was there before stays after the release, and
// a person's cordon is recorded.
func TestOthersCordon(t *testing.T) {
	c := newCluster("a", "b", "spare")
	l := forecast.New(c, options())
	l.Cordon("a", "kubectl")
	l.Start()
	l.Request("r", "a", "b")
	await(t, l, time.Minute, drained(l, "r", "a", "b"))
	l.Cancel("a", "b")
	await(t, l, time.Minute, func() bool { return !c.Node("b").Spec.Unschedulable })
	l.Run(l.Now().Add(time.Minute), nil)
	if !c.Node("a").Spec.Unschedulable {
		t.Error("the person's cordon was removed")
	}
}

// TestUncordonRestored: a person's uncordon is undone.
func TestUncordonRestored(t *testing.T) {
	c := newCluster("a", "spare")
	web(c, 0, "a")
	l := forecast.New(c, options())
	l.Start()
	l.Request("r", "a")
	cordoned := func() bool { return c.Node("a").Spec.Unschedulable }
	await(t, l, time.Minute, cordoned)
	l.Uncordon("a", "kubectl")
	if cordoned() {
		t.Fatal("still cordoned")
	}
	await(t, l, time.Minute, cordoned)
}

// TestCrash: the daemon that starts after a crash continues where the previous
// one stopped.
func TestCrash(t *testing.T) {
	c := newCluster("a", "spare")
	web(c, 1, "a", "a", "a", "a", "a", "a")
	o := options()
	evictions := map[string]int{}
	o.Request = func(r forecast.Request) forecast.Fault {
		if r.Verb == forecast.Evict {
			evictions[r.Object.Name]++
		}
		return forecast.Fault{}
	}
	l := forecast.New(c, o)
	l.Start()
	l.Request("r", "a")
	await(t, l, time.Minute, func() bool { return len(evictions) == 3 })
	l.Crash()
	if l.Run(l.Now().Add(time.Minute), func() bool { return len(evictions) > 3 }) {
		t.Fatal("a dead daemon has evicted")
	}
	started := l.Cluster().Node("a").Annotations[api.StatusAnnotation]
	l.Start()
	await(t, l, time.Minute, drained(l, "r", "a"))
	was, _ := api.ParseStatus(started)
	is, _ := api.ParseStatus(c.Node("a").Annotations[api.StatusAnnotation])
	if was.StartedAt == nil || !was.StartedAt.Equal(*is.StartedAt) {
		t.Errorf("the start is %v, was %v", is.StartedAt, was.StartedAt)
	}
}

// TestFaults: whatever is answered, and whether or not it was carried out, the
// node gets drained once the faults stop, and no pod that was admitted is sent
// again.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]forecast.Fault{
		"no answer":            {Error: errors.New("connection reset")},
		"carried out, unknown": {Error: errors.New("connection reset"), CarriedOut: true},
		"hangs":                {Delay: time.Hour},
		"answers late":         {Wait: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster("a", "spare")
			web(c, 2, "a", "a", "a", "a", "a", "a")
			o := options()
			faults := 0
			o.Request = func(r forecast.Request) forecast.Fault {
				if r.Verb == forecast.Evict && faults < 3 || r.Verb == forecast.Report && faults < 5 {
					faults++
					return fault
				}
				return forecast.Fault{}
			}
			l := forecast.New(c, o)
			l.Start()
			l.Request("r", "a")
			await(t, l, 10*time.Minute, drained(l, "r", "a"))
			if faults < 4 {
				t.Errorf("%d faults", faults)
			}
		})
	}
}

// TestWebhook: an eviction takes effect after its webhook. One that hangs longer
// than the timeout is answered by nobody, and holds up nobody else.
func TestWebhook(t *testing.T) {
	c := newCluster("a", "spare")
	web(c, 6, "a", "a", "a", "a", "a", "a")
	c.Namespace("shop").Webhook = &sim.Webhook{Takes: 3 * time.Second}
	o := options()
	var first time.Time
	o.Changed = func(ch sim.Change) {
		if pod, is := ch.Object.(*corev1.Pod); is && pod.DeletionTimestamp != nil && first.IsZero() {
			first = ch.Object.GetDeletionTimestamp().Add(-30 * time.Second)
		}
	}
	l := forecast.New(c, o)
	l.Start()
	l.Request("r", "a")
	await(t, l, time.Minute, drained(l, "r", "a"))
	if took := first.Sub(noon); took < 3*time.Second {
		t.Errorf("a pod terminates after %v", took)
	}

	c = newCluster("a", "spare")
	web(c, 1, "a", "a")
	c.Namespace("shop").Webhook = &sim.Webhook{Takes: time.Hour}
	var answers []plan.Reason
	o = options()
	o.Evicted = func(a plan.Answered) {
		answers = append(answers, a.Outcome.Reason)
		if a.Took != 40*time.Second {
			t.Errorf("an eviction took %v", a.Took)
		}
	}
	l = forecast.New(c, o)
	l.Start()
	l.Request("r", "a")
	l.Run(noon.Add(time.Minute), nil)
	if len(answers) == 0 || answers[0] != plan.Unknown {
		t.Errorf("the answers are %v", answers)
	}
}

// TestLag: a watch that lags delays the drain, and no request is sent twice.
func TestLag(t *testing.T) {
	run := func(lag time.Duration) (time.Duration, int) {
		c := newCluster("a", "spare")
		web(c, 1, "a", "a", "a", "a")
		o := options()
		o.Lag = func(ch sim.Change) time.Duration {
			if ch.Resource == sim.Budgets {
				return lag
			}
			return 0
		}
		evictions := 0
		o.Evicted = func(plan.Answered) { evictions++ }
		l := forecast.New(c, o)
		l.Start()
		l.Request("r", "a")
		await(t, l, 5*time.Minute, drained(l, "r", "a"))
		return l.Now().Sub(noon), evictions
	}
	fast, few := run(0)
	slow, many := run(5 * time.Second)
	if slow < fast+10*time.Second || few != 4 || many != 4 {
		t.Errorf("took %v with %d evictions, with lag %v with %d", fast, few, slow, many)
	}
}

// TestSame: the same calls give the same run, to the last write.
func TestSame(t *testing.T) {
	run := func() string {
		var log strings.Builder
		l := crowd(7, func(o *forecast.Options) {
			o.Changed = func(ch sim.Change) {
				fmt.Fprintln(&log, ch.Version, ch.Resource, ch.Type, ch.Object.GetName(), ch.Object.GetAnnotations())
			}
			o.Planned = func(s *plan.Snapshot, p *plan.Plan) { fmt.Fprintln(&log, s.Now, len(p.Grants), p.Wake) }
		})
		l.Run(noon.Add(2*time.Minute), nil)
		return log.String()
	}
	if first, second := run(), run(); first != second || len(first) < 1000 {
		t.Errorf("two runs differ: %d and %d bytes", len(first), len(second))
	}
}

// crowd is a cluster of 8 nodes and 60 pods under 5 budgets, half of whose nodes
// are to be drained.
func crowd(seed uint64, change func(*forecast.Options)) *forecast.Loop {
	r := rand.New(rand.NewPCG(seed, 0))
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	c := newCluster(names...)
	for i := range 5 {
		name := fmt.Sprintf("app-%d", i)
		var on []string
		for range 12 {
			on = append(on, names[r.IntN(len(names))])
		}
		c.Run(sim.Workload{Kind: sim.Deployment, Namespace: "shop", Name: name, Replicas: len(on), Behavior: sim.Behavior{
			StartsIn: time.Duration(1+r.IntN(5)) * time.Second, StopsIn: time.Duration(1+r.IntN(5)) * time.Second,
		}}, on...)
		most := intstr.FromInt(1 + r.IntN(3))
		c.AddBudget("shop", name, name, policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &most})
	}
	o := options()
	change(&o)
	l := forecast.New(c, o)
	l.Start()
	l.Request("r", names[:4]...)
	return l
}

// BenchmarkCrowd drains half of a cluster of 8 nodes, 60 pods and 5 budgets.
func BenchmarkCrowd(b *testing.B) {
	plans := 0
	for i := range b.N {
		l := crowd(uint64(i), func(o *forecast.Options) {
			o.Planned = func(*plan.Snapshot, *plan.Plan) { plans++ }
		})
		if !l.Run(noon.Add(time.Hour), drained(l, "r", "n0", "n1", "n2", "n3")) {
			b.Fatalf("cluster %d is not drained", i)
		}
	}
	b.ReportMetric(float64(plans)/float64(b.N), "plans/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "clusters/s")
}

// conditionOf is a node's condition.
func conditionOf(n *corev1.Node, kind corev1.NodeConditionType) corev1.ConditionStatus {
	for _, c := range n.Status.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}

// TestConditions: a drained node says so by its conditions, and a released one
// has none.
func TestConditions(t *testing.T) {
	c := newCluster("a", "spare")
	l := forecast.New(c, options())
	l.Start()
	l.Request("r", "a")
	await(t, l, time.Minute, drained(l, "r", "a"))
	if n := c.Node("a"); conditionOf(n, corev1.NodeDrained) != corev1.ConditionTrue || conditionOf(n, corev1.NodeDrainInProgress) != corev1.ConditionFalse {
		t.Errorf("conditions %+v", n.Status.Conditions)
	}
	l.Cancel("a")
	await(t, l, time.Minute, func() bool { return conditionOf(c.Node("a"), corev1.NodeDrained) == corev1.ConditionUnknown })
}
