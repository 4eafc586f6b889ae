package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// mostStuckPods bounds the gauge that names pods.
const mostStuckPods = 50

// plans exports gauges over the newest plan.
type plans struct {
	newest     func() map[types.UID]plan.NodePlan
	stuckAfter time.Duration
}

var (
	nodePods = prometheus.NewDesc("drainer_node_pods",
		"Pods of a node that is being drained, by state; the states are disjoint.", []string{"node", "state"}, nil)
	stuckPods = prometheus.NewDesc("drainer_stuck_pods",
		"Pods of a node that have been blocked, or overdue in terminating, for longer than --stuck-after, by reason.", []string{"node", "reason"}, nil)
	stuckSeconds = prometheus.NewDesc("drainer_stuck_pod_seconds",
		"How long a stuck pod has been blocked or overdue; the oldest 50.", []string{"node", "pod_namespace", "pod_name", "reason"}, nil)
	stuckOmitted = prometheus.NewDesc("drainer_stuck_pods_omitted",
		"Stuck pods that drainer_stuck_pod_seconds does not name.", nil, nil)
	nodesByPhase = prometheus.NewDesc("drainer_nodes",
		"Nodes with a drain request, by phase.", []string{"phase"}, nil)
	queuedNodes = prometheus.NewDesc("drainer_queued_nodes",
		"Nodes that are queued, by what they wait for.", []string{"reason"}, nil)
	started = prometheus.NewDesc("drainer_node_drain_start_timestamp_seconds",
		"When the drain of a node began that is not drained yet, in Unix time.", []string{"node"}, nil)
)

// RegisterPlans exports the gauges of the plans that newest returns.
func (m *Metrics) RegisterPlans(newest func() map[types.UID]plan.NodePlan, stuckAfter time.Duration) {
	m.Registry.MustRegister(plans{newest: newest, stuckAfter: stuckAfter})
}

// Describe implements prometheus.Collector.
func (plans) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{nodePods, stuckPods, stuckSeconds, stuckOmitted, nodesByPhase, queuedNodes, started} {
		ch <- d
	}
}

// stuckPod is one pod for the gauge that names pods.
type stuckPod struct {
	node    string
	state   *plan.PodState
	seconds float64
}

// Collect implements prometheus.Collector.
func (p plans) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	phases, queued := map[api.Phase]int{}, map[plan.Queueing]int{}
	var stuck []stuckPod
	for _, n := range p.newest() {
		if n.Phase == "" {
			continue
		}
		phases[n.Phase]++
		queued[n.Facts.Queued]++
		if n.Watch && n.Phase != api.Drained {
			stuck = append(stuck, p.collectNode(ch, n, now)...)
		}
	}
	for _, phase := range api.Phases() {
		ch <- gauge(nodesByPhase, float64(phases[phase]), string(phase))
	}
	for _, reason := range plan.Queueings() {
		ch <- gauge(queuedNodes, float64(queued[reason]), string(reason))
	}
	slices.SortFunc(stuck, func(a, b stuckPod) int {
		return cmp.Or(cmp.Compare(b.seconds, a.seconds), cmp.Compare(a.state.Pod.Key(), b.state.Pod.Key()))
	})
	named := min(len(stuck), mostStuckPods)
	for _, s := range stuck[:named] {
		ch <- gauge(stuckSeconds, s.seconds, s.node, s.state.Pod.Namespace, s.state.Pod.Name, string(s.state.Reason))
	}
	ch <- gauge(stuckOmitted, float64(len(stuck)-named))
}

// collectNode exports one node and returns its stuck pods.
func (p plans) collectNode(ch chan<- prometheus.Metric, n plan.NodePlan, now time.Time) []stuckPod {
	name, counts := n.Node.Name, n.Facts.Status.Pods
	ch <- gauge(started, float64(n.Memory.StartedAt.Unix()), name)
	for state, count := range map[plan.State]int{
		plan.Eligible: counts.Eligible, plan.Blocked: counts.Blocked, plan.Terminating: counts.Terminating,
		"gone": counts.Gone, plan.Ignored: counts.Ignored,
	} {
		ch <- gauge(nodePods, float64(count), name, string(state))
	}
	var stuck []stuckPod
	byReason := map[plan.Reason]int{}
	for _, r := range slices.Concat(plan.BlockedReasons(), plan.TerminatingReasons()) {
		byReason[r] = 0
	}
	for i := range n.Pods {
		s := &n.Pods[i]
		if s.Stuck(now, p.stuckAfter) {
			byReason[s.Reason]++
			stuck = append(stuck, stuckPod{node: name, state: s, seconds: now.Sub(s.StuckFrom()).Seconds()})
		}
	}
	for reason, count := range byReason {
		ch <- gauge(stuckPods, float64(count), name, string(reason))
	}
	return stuck
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}
