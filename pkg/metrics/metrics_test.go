package metrics

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// TestLint: the field's conventions hold for every metric.
func TestLint(t *testing.T) {
	m := New("v", "c")
	m.RegisterClient()
	m.NewQueues()
	m.Leader("drainer", false)
	m.RegisterPlans(plansOf(draining("n", 3)), time.Minute, false)
	problems, err := testutil.GatherAndLint(m.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestInitialised: series whose labels are known in advance start at 0.
func TestInitialised(t *testing.T) {
	m := New("v", "c")
	for name, want := range map[string]int{
		"drainer_eviction_requests_total":      len(plan.KnownAnswers()),
		"drainer_drains_total":                 len(plan.Results()),
		"drainer_drain_duration_seconds":       len(plan.Results()),
		"drainer_pod_blocked_duration_seconds": len(plan.BlockedReasons()),
	} {
		if n, err := testutil.GatherAndCount(m.Registry, name); err != nil || n != want {
			t.Errorf("%s has %d series (%v), want %d", name, n, err, want)
		}
	}
}

// TestAnswers: the answers are those that the counters have, of all reasons.
func TestAnswers(t *testing.T) {
	m := New("v", "c")
	for _, o := range []plan.Outcome{
		{Code: "201", Reason: plan.Admitted}, {Code: "429", Reason: plan.BudgetExhausted}, {Code: "429", Reason: plan.Throttled},
	} {
		m.Answered(o, time.Second)
	}
	if got, want := m.Answers(), (map[string]int{"201": 1, "429": 2}); !maps.Equal(got, want) {
		t.Errorf("the answers are %v, want %v", got, want)
	}
}

func TestObserver(t *testing.T) {
	m := New("v", "c")
	m.Answered(plan.Outcome{Code: "429", Reason: plan.BudgetExhausted}, time.Second)
	m.Answered(plan.Outcome{Code: "429", Reason: plan.BudgetExhausted}, time.Second)
	m.DrainEnded(plan.ResultCancelled, time.Minute)
	m.PodAdmitted(plan.BudgetExhausted, 20*time.Second)
	m.PodGone(3 * time.Second)
	if n := testutil.ToFloat64(m.requests.WithLabelValues("429", "budget_exhausted")); n != 2 {
		t.Errorf("%v refusals, want 2", n)
	}
	if n := testutil.ToFloat64(m.drains.WithLabelValues("cancelled")); n != 1 {
		t.Errorf("%v cancelled drains, want 1", n)
	}
	for _, want := range []string{
		`drainer_pod_blocked_duration_seconds_sum{reason="budget_exhausted"} 20`,
		`drainer_pod_termination_duration_seconds_sum 3`,
		`drainer_drain_duration_seconds_sum{result="cancelled"} 60`,
		`drainer_eviction_request_duration_seconds_count{code="429"} 2`,
	} {
		if text := exported(t, m); !strings.Contains(text, want) {
			t.Errorf("%q is not exported", want)
		}
	}
}

// exported is the text of /metrics.
func exported(t *testing.T, m *Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

// draining is a node with blocked pods.
func draining(name string, pods int) plan.NodePlan {
	n := plan.NodePlan{
		Node: &plan.Node{Name: name}, Phase: api.Blocked, Watch: true,
		Memory: plan.NodeMemory{Request: "r", StartedAt: time.Now().Add(-time.Hour)},
		Facts:  plan.Report{Status: api.Status{Pods: api.PodCounts{Blocked: pods, Gone: 2}}, InProgress: corev1.ConditionTrue},
	}
	for i := range pods {
		n.Pods = append(n.Pods, plan.PodState{
			Pod:   &plan.Pod{Namespace: "ns", Name: fmt.Sprintf("%s-pod-%03d", name, i)},
			State: plan.Blocked, Reason: plan.BudgetExhausted, Since: time.Now().Add(-time.Duration(i) * time.Minute),
		})
	}
	return n
}

func plansOf(nodes ...plan.NodePlan) func() map[types.UID]plan.NodePlan {
	plans := map[types.UID]plan.NodePlan{}
	for _, n := range nodes {
		plans[types.UID(n.Node.Name)] = n
	}
	return func() map[types.UID]plan.NodePlan { return plans }
}

// TestPlans: gauges of nodes end with their drains, and the number of those
// that name pods is limited.
func TestPlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := draining("done", 0)
		done.Phase = api.Drained
		queued := plan.NodePlan{Node: &plan.Node{Name: "queued"}, Phase: api.Queued, Facts: plan.Report{Queued: plan.QueuedForSlot, Unfinishable: true}}
		released := draining("released", 5)
		released.Phase, released.Release = "", true
		shut := draining("shut", 0)
		shut.Phase, shut.Facts.Interrupted = api.Paused, plan.QueuedForWindow
		busy := draining("busy", 70)
		busy.Memory.Returns = map[types.UID]plan.Return{"a": {Count: 2}, "b": {Count: 7}, "c": {Count: 1}}
		busy.Facts.Status.Volumes = &api.Volumes{Attached: 2}
		m := New("v", "c")
		// Of 70 pods those from the fifth minute on are stuck: 65.
		m.RegisterPlans(plansOf(busy, done, queued, released, shut), 5*time.Minute, false)
		text := exported(t, m)
		for _, want := range []string{
			`drainer_nodes{phase="Blocked"} 1`, `drainer_nodes{phase="Drained"} 1`, `drainer_nodes{phase="Queued"} 1`, `drainer_nodes{phase="Paused"} 1`,
			`drainer_interrupted_drains{reason="window"} 1`, `drainer_interrupted_drains{reason="freeze"} 0`,
			`drainer_unfinishable_drains 1`,
			`drainer_queued_nodes{reason="slot"} 1`, `drainer_queued_nodes{reason="not_before"} 0`,
			`drainer_node_pods{node="busy",state="blocked"} 70`, `drainer_node_pods{node="busy",state="gone"} 2`,
			`drainer_stuck_pods{node="busy",reason="budget_exhausted"} 65`, `drainer_stuck_pods{node="busy",reason="finalizer"} 0`,
			`drainer_stuck_pods_omitted 15`, `drainer_node_pod_returns{node="busy"} 7`, `drainer_node_attached_volumes{node="busy"} 2`,
			// A phase for every node with a request, and each phase of it.
			`drainer_node_phase{node="busy",phase="Blocked"} 1`, `drainer_node_phase{node="busy",phase="Drained"} 0`,
			`drainer_node_phase{node="done",phase="Drained"} 1`, `drainer_node_phase{node="queued",phase="Queued"} 1`,
			`drainer_stuck_pod_seconds{node="busy",pod_name="busy-pod-069",pod_namespace="ns",reason="budget_exhausted"} 4140`,
			fmt.Sprintf(`drainer_node_drain_start_timestamp_seconds{node="busy"} %v`, float64(time.Now().Add(-time.Hour).Unix())),
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not exported", want)
			}
		}
		if n := strings.Count(text, "drainer_stuck_pod_seconds{"); n != mostStuckPods {
			t.Errorf("%d pods are named, want %d", n, mostStuckPods)
		}
		for name, want := range map[string]int{"done": len(api.Phases()), "queued": len(api.Phases()), "released": 0} {
			if n := strings.Count(text, `node="`+name+`"`); n != want {
				t.Errorf("node %s has %d series of its own, want %d", name, n, want)
			}
		}
	})
}

// TestPools: with pools every series of a node has the label pool, once, and no
// other series has it; without them none has.
func TestPools(t *testing.T) {
	busy, gpu, none := draining("busy", 3), draining("gpu", 1), draining("none", 0)
	busy.Node.PoolValue = "workers"
	gpu.Node.Pool, gpu.Node.PoolValue = "accelerated", "workers"
	for _, pools := range []bool{false, true} {
		m := New("v", "c")
		m.RegisterPlans(plansOf(busy, gpu, none), time.Second, pools)
		nodes := 0
		for _, line := range strings.Split(exported(t, m), "\n") {
			of := ""
			for name, pool := range map[string]string{"busy": "workers", "gpu": "accelerated", "none": ""} {
				if strings.Contains(line, `node="`+name+`"`) {
					nodes++
					of = `pool="` + pool + `"`
				}
			}
			if !pools {
				of = ""
			}
			if of == "" && strings.Contains(line, "pool=") || of != "" && strings.Count(line, of) != 1 {
				t.Errorf("with pools %v: %s", pools, line)
			}
		}
		if nodes < 3*len(api.Phases()) {
			t.Errorf("with pools %v the nodes have %d series", pools, nodes)
		}
	}
}

// TestStandsBy: a replica that does not lead exports no metrics about nodes,
// not even zeros.
func TestStandsBy(t *testing.T) {
	m := New("v", "c")
	m.RegisterPlans(func() map[types.UID]plan.NodePlan { return nil }, time.Minute, false)
	text := exported(t, m)
	for _, name := range []string{"drainer_nodes{", "drainer_queued_nodes{", "drainer_interrupted_drains{", "drainer_stuck_pods_omitted ", "drainer_budgets_omitted "} {
		if strings.Contains(text, "\n"+name) {
			t.Errorf("%s is exported", name)
		}
	}
	m = New("v", "c")
	m.RegisterPlans(plansOf(), time.Minute, false)
	wantLines(t, exported(t, m), `drainer_nodes{phase="Blocked"} 0`, `drainer_queued_nodes{reason="slot"} 0`, `drainer_stuck_pods_omitted 0`)
}

// TestQueuesReset: the metrics of a queue that was shut down while it worked do
// not report work forever.
func TestQueuesReset(t *testing.T) {
	m := New("v", "c")
	q := m.NewQueues()
	q.NewUnfinishedWorkSecondsMetric("evictions").Set(7)
	q.NewLongestRunningProcessorSecondsMetric("evictions").Set(7)
	for _, reset := range []bool{false, true} {
		if reset {
			q.Reset()
		}
		text := exported(t, m)
		for _, name := range []string{"workqueue_unfinished_work_seconds", "workqueue_longest_running_processor_seconds"} {
			if there := strings.Contains(text, name+`{name="evictions"} 7`); there == reset {
				t.Errorf("%s is exported: %v, reset: %v", name, there, reset)
			}
		}
	}
}
