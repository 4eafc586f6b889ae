package simulate_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// options drain the nodes with the daemon's defaults and no limit of nodes.
func options(nodes ...string) simulate.Options {
	share, err := plan.ParseShare("100%")
	if err != nil {
		panic(err) // It is constant.
	}
	return simulate.Options{
		Nodes: nodes, Latency: 10 * time.Millisecond, ControllerDelay: 50 * time.Millisecond, StopTime: time.Second, Limit: 24 * time.Hour,
		Daemon: forecast.Options{
			Config: plan.Config{
				MaxDraining: share, Settle: 5 * time.Second, StuckAfter: 5 * time.Minute, OnTimeout: api.Wait,
				BarePods: plan.BlockBarePods, EmptyDir: plan.EvictEmptyDir,
			},
			QPS: 50, Burst: 100, Workers: 10, EvictionTimeout: 40 * time.Second,
		},
	}
}

func run(t *testing.T, c *cluster, o simulate.Options) *simulate.Result {
	t.Helper()
	objects, err := simulate.ReadDump(strings.NewReader(c.dump(t)))
	if err != nil {
		t.Fatal(err)
	}
	result, err := simulate.Run(objects, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func text(t *testing.T, r *simulate.Result) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// shop is six pods under a budget of one, four of them on nodes a and b.
func shop() *cluster {
	c := newCluster("a", "b", "c")
	c.deployment("web", 10*time.Second, "a", "a", "a", "b", "c", "c")
	c.budget("web", "web", 1)
	return c
}

// TestForecast: pods that leave one after the other take as long as their
// replacements take to start; the node with fewer pods is done first.
func TestForecast(t *testing.T) {
	r := run(t, shop(), options("a", "b"))
	if !r.Complete || len(r.Blockers) > 0 || r.Evictions != 4 || r.Refused != 0 {
		t.Fatalf("the forecast is %+v", r)
	}
	// Three recoveries of 10 s, each with the reaction of controllers, and one stop.
	if r.EmptySeconds < 31 || r.EmptySeconds > 33 {
		t.Errorf("the last pod leaves after %v s", r.EmptySeconds)
	}
	if r.Nodes[0].Name != "b" || r.Nodes[1].Name != "a" || r.Nodes[1].Pods != 3 || *r.Nodes[0].DrainedSeconds >= *r.Nodes[1].DrainedSeconds {
		t.Errorf("the nodes are %+v", r.Nodes)
	}
	if len(r.Budgets) != 1 || r.Budgets[0].Name != "web" || r.Budgets[0].Evictions != 4 || r.Budgets[0].AtOnce != 1 || r.Budgets[0].Share < .8 {
		t.Errorf("the budgets are %+v", r.Budgets)
	}
	want := []simulate.StartTime{{Namespace: "shop", Controller: "web", Seconds: 10, Source: simulate.FromHistory, Pods: 6}}
	if !slices.Equal(r.StartTimes, want) {
		t.Errorf("the start times are %+v", r.StartTimes)
	}
}

// TestRemovalDelay: pods are gone later by the delay, which their grace period does not
// bound; what waits for a replacement does not wait for that.
func TestRemovalDelay(t *testing.T) {
	o := options("a", "b")
	without := run(t, shop(), o)
	o.RemovalDelay = time.Minute
	with := run(t, shop(), o)
	if later := with.EmptySeconds - without.EmptySeconds; later < 59.9 || later > 60.1 {
		t.Errorf("the last pod is gone %v s later, want a minute", later)
	}
	if out := text(t, with); !strings.Contains(out, "* each pod stops 1s after its eviction, or after its grace period if that is shorter, and is gone 1m0s later") {
		t.Errorf("the text does not say what is assumed:\n%s", out)
	}
}

// TestText: the text for people has the results for programs.
func TestText(t *testing.T) {
	out := text(t, run(t, shop(), options("a", "b")))
	for _, line := range []string{
		"2 of 2 nodes are drained after 3",
		"NODE   PODS   STARTS   EMPTY   DRAINED",
		"shop/web   1         4",
		"shop/web     6      10.0s   history",
		"* each pod stops 1s after its eviction",
		"* no DaemonSet",
	} {
		if strings.HasPrefix(line, "* no DaemonSet") {
			if strings.Contains(out, line) {
				t.Errorf("a DaemonSet is spoken of that no pod names:\n%s", out)
			}
			continue
		}
		if !strings.Contains(out, line) {
			t.Errorf("the text does not say %q:\n%s", line, out)
		}
	}
}

// TestSame: the same dump gives the same forecast.
func TestSame(t *testing.T) {
	if first, second := text(t, run(t, shop(), options("a", "b"))), text(t, run(t, shop(), options("a", "b"))); first != second {
		t.Errorf("two forecasts differ:\n%s\n%s", first, second)
	}
}

// TestStartTimes: a flag for a controller comes before one for its namespace,
// that before one for all, and that before the history.
func TestStartTimes(t *testing.T) {
	for name, test := range map[string]struct {
		start   time.Duration
		of      map[string]time.Duration
		seconds float64
		source  string
	}{
		"history":    {seconds: 10, source: simulate.FromHistory},
		"all":        {start: 3 * time.Second, seconds: 3, source: simulate.FromFlag},
		"namespace":  {start: 3 * time.Second, of: map[string]time.Duration{"shop": 4 * time.Second}, seconds: 4, source: simulate.FromFlag},
		"controller": {of: map[string]time.Duration{"shop": 4 * time.Second, "shop/web": 5 * time.Second}, seconds: 5, source: simulate.FromFlag},
		"another":    {of: map[string]time.Duration{"shop/db": 5 * time.Second}, seconds: 10, source: simulate.FromHistory},
	} {
		o := options("a")
		o.StartTime, o.StartTimes = test.start, test.of
		r := run(t, shop(), o)
		if got := r.StartTimes[0]; got.Seconds != test.seconds || got.Source != test.source {
			t.Errorf("%s: the start time is %+v", name, got)
		}
		// Two recoveries and a stop.
		if least := 2 * test.seconds; r.EmptySeconds < least+1 || r.EmptySeconds > least+2.5 {
			t.Errorf("%s: the last pod leaves after %v s", name, r.EmptySeconds)
		}
	}
}

// TestRestarted: a pod that has restarted does not show how long a start takes.
func TestRestarted(t *testing.T) {
	c := shop()
	for i := range c.Pods {
		c.Pods[i].Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: 1}}
	}
	if got := run(t, c, options("a")).StartTimes[0]; got.Source != simulate.FromDefault {
		t.Errorf("the start time is %+v", got)
	}
}

// TestCannotFinish: a pod that never leaves is named with its reason and a fix.
func TestCannotFinish(t *testing.T) {
	for name, test := range map[string]struct {
		change      func(*cluster)
		reason, fix string
		pods        int
	}{
		"a budget that never allows": {
			func(c *cluster) { c.Budgets = nil; c.budget("web", "web", 0) },
			"budget_never_allows", "let PDB shop/web allow a disruption", 3,
		},
		"two budgets": {
			func(c *cluster) { c.budget("web-2", "web", 1) },
			"multiple_budgets", "only one of the PDBs shop/web, shop/web-2", 3,
		},
		"a bare pod": {
			func(c *cluster) { c.Pods[0].OwnerReferences = nil; c.Pods[0].Labels = nil },
			"bare_pod", "--bare-pods=Evict", 1,
		},
		"pods that are not Ready": {
			func(c *cluster) { c.Pods[5].Status.Conditions[0].Status = corev1.ConditionFalse },
			"budget_exhausted", "make the pods under PDB shop/web Ready", 3,
		},
		"a kubelet that is away": {
			func(c *cluster) { c.Nodes[0].Status.Conditions[0].Status = corev1.ConditionFalse },
			"kubelet", "make the kubelet of the node Ready", 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := shop()
			test.change(c)
			r := run(t, c, options("a"))
			var found *simulate.Blocker
			for i := range r.Blockers {
				if r.Blockers[i].Reason == test.reason {
					found = &r.Blockers[i]
				}
			}
			if r.Complete || found == nil {
				t.Fatalf("complete: %v, blockers %+v", r.Complete, r.Blockers)
			}
			if found.Node != "a" || found.Pods != test.pods || !strings.Contains(found.Fix, test.fix) || found.Message == "" {
				t.Errorf("the blocker is %+v", found)
			}
			if out := text(t, r); !strings.Contains(out, "0 of 1 nodes are drained") || !strings.Contains(out, "  Fix: "+found.Fix) || !strings.Contains(out, "never") {
				t.Errorf("the text is\n%s", out)
			}
		})
	}
}

// TestQueue: --max-draining and the last node hold as in the daemon.
func TestQueue(t *testing.T) {
	o := options("a", "b")
	o.Daemon.Config.MaxDraining, _ = plan.ParseShare("1")
	r := run(t, shop(), o)
	if !r.Complete || *r.Nodes[1].StartedSeconds < *r.Nodes[0].DrainedSeconds {
		t.Errorf("the nodes are %+v", r.Nodes)
	}
	waited := *r.Nodes[1].StartedSeconds
	if math.Abs(r.SlotSeconds-waited) > 0.1 || math.Abs(r.SlotShare-waited/r.MakespanSeconds) > 0.01 {
		t.Errorf("nodes wait for a slot for %v s, %v of the whole; the second node starts after %v s of %v s",
			r.SlotSeconds, r.SlotShare, waited, r.MakespanSeconds)
	}
	if out, line := text(t, r), "Nodes wait for a slot of --max-draining for "; !strings.Contains(out, line) {
		t.Errorf("%q is missing in\n%s", line, out)
	}
	if r = run(t, shop(), options("a", "b")); r.SlotSeconds != 0 || strings.Contains(text(t, r), "--max-draining") {
		t.Errorf("without a limit, nodes wait for a slot for %v s", r.SlotSeconds)
	}
	r = run(t, shop(), options("a", "b", "c"))
	if r.Complete || len(r.Blockers) != 1 || r.Blockers[0].Reason != "last_node" || !strings.Contains(r.Blockers[0].Fix, "--allow-last-node") {
		t.Errorf("the blockers are %+v", r.Blockers)
	}
}

// TestNodeSelector: new pods go where their nodeSelector says, or nowhere.
func TestNodeSelector(t *testing.T) {
	c := shop()
	c.ReplicaSets[0].Spec.Template.Spec.NodeSelector = map[string]string{"name": "a"}
	r := run(t, c, options("a"))
	if r.Complete || r.Homeless != 1 {
		t.Fatalf("complete: %v, %d pods find no node", r.Complete, r.Homeless)
	}
	if out := text(t, r); !strings.Contains(out, "1 pods do not fit on any node") {
		t.Errorf("the text is\n%s", out)
	}
}

// TestExistingRequest: a request that already exists is part of the forecast.
func TestExistingRequest(t *testing.T) {
	c := shop()
	c.Nodes[0].Annotations = map[string]string{api.DrainAnnotation: "CHG-1", api.PausedAnnotation: "true"}
	r := run(t, c, options("a"))
	if r.Complete || len(r.Blockers) != 1 || r.Blockers[0].Reason != "paused" {
		t.Errorf("the blockers are %+v", r.Blockers)
	}
	c.Nodes[0].Annotations = map[string]string{api.DrainAnnotation: "CHG-1", api.NotBeforeAnnotation: noon.Add(2 * time.Hour).Format(time.RFC3339)}
	r = run(t, c, options("a"))
	if !r.Complete || r.EmptySeconds < 7100 || r.EmptySeconds > 7300 {
		t.Errorf("complete: %v, the last pod leaves after %v s", r.Complete, r.EmptySeconds)
	}
}

// TestPatience: what only has to wait can finish, however long it waits: for a grace
// period, a rule's atMost, or a window.
func TestPatience(t *testing.T) {
	for name, change := range map[string]func(*simulate.Options){
		"a pod that waits to complete": func(o *simulate.Options) {
			o.Daemon.Config.Rules = &plan.Rules{List: []*plan.Rule{{Name: "all", Action: plan.AwaitPod, AtMost: 40 * time.Minute}}}
			o.Daemon.Selectors.Rules = o.Daemon.Config.Rules
		},
		"a pod that stops slowly": func(o *simulate.Options) { o.StopTime = 0 },
		"a window": func(o *simulate.Options) {
			o.Daemon.Config.Windows = []plan.Window{{Schedule: hourly{}, Duration: time.Minute, LatestStart: time.Minute, Nodes: labels.Everything()}}
			o.Daemon.Selectors.Windows = o.Daemon.Config.Windows
		},
	} {
		c := newCluster("a", "b")
		c.deployment("web", time.Second, "a", "b")
		for i := range c.Pods {
			c.Pods[i].Spec.TerminationGracePeriodSeconds = new(int64(3000))
		}
		o := options("a")
		change(&o)
		if r := run(t, c, o); !r.Complete || r.MakespanSeconds < 15*60 {
			t.Errorf("%s: complete %v after %v s, %+v", name, r.Complete, r.MakespanSeconds, r.Blockers)
		}
	}
}

// hourly opens half an hour after each full hour.
type hourly struct{}

// Next implements plan.Schedule.
func (hourly) Next(at time.Time) time.Time {
	return at.Add(time.Hour / 2).Truncate(time.Hour).Add(time.Hour / 2)
}
