package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// plans exports gauges over the newest plan.
type plans struct {
	newest     func() map[types.UID]plan.NodePlan
	stuckAfter time.Duration
}

var (
	nodePhase = prometheus.NewDesc("drainer_node_phase",
		"1 for the phase that a node with a drain request is in, 0 for the others.", []string{"node", "phase"}, nil)
	nodePods = prometheus.NewDesc("drainer_node_pods",
		"Pods of a node that is being drained, by state; the states are disjoint.", []string{"node", "state"}, nil)
	podReturns = prometheus.NewDesc("drainer_node_pod_returns",
		"How often pods of the same controller have come back to a node that is being drained, and been evicted again; of the controller with the most.",
		[]string{"node"}, nil)
	stuckPods = prometheus.NewDesc("drainer_stuck_pods",
		"Pods of a node that have been blocked, or overdue in terminating, for longer than --stuck-after, by reason.", []string{"node", "reason"}, nil)
	attachedVolumes = prometheus.NewDesc("drainer_node_attached_volumes",
		"Volumes that are still attached to a node whose pods are gone, and that its drain waits for.", []string{"node"}, nil)
	nodesByPhase = prometheus.NewDesc("drainer_nodes",
		"Nodes with a drain request, by phase.", []string{"phase"}, nil)
	unfinishable = prometheus.NewDesc("drainer_unfinishable_drains",
		"Nodes with a drain request, queued ones too, whose drain cannot finish until somebody acts.", nil, nil)
	queuedNodes = prometheus.NewDesc("drainer_queued_nodes",
		"Nodes that are queued, by what they wait for.", []string{"reason"}, nil)
	started = prometheus.NewDesc("drainer_node_drain_start_timestamp_seconds",
		"When the drain of a node began that is not drained yet, in Unix time.", []string{"node"}, nil)
)

// RegisterPlans exports the gauges of the plans that newest returns: nil from a
// process that does not lead, and so knows of no nodes.
func (m *Metrics) RegisterPlans(newest func() map[types.UID]plan.NodePlan, stuckAfter time.Duration) {
	m.Registry.MustRegister(plans{newest: newest, stuckAfter: stuckAfter})
}

// Describe implements prometheus.Collector.
func (plans) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(
		[]*prometheus.Desc{nodePhase, nodePods, podReturns, stuckPods, attachedVolumes, nodesByPhase, unfinishable, queuedNodes, started}, blockerDescs,
	) {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p plans) Collect(ch chan<- prometheus.Metric) {
	nodes := p.newest()
	if nodes == nil {
		return
	}
	now := time.Now()
	phases, queued := map[api.Phase]int{}, map[plan.Queueing]int{}
	all, stuck := newBlockers(), 0
	for _, n := range nodes {
		if n.Phase == "" {
			continue
		}
		phases[n.Phase]++
		queued[n.Facts.Queued]++
		if n.Facts.Unfinishable {
			stuck++
		}
		collectPhase(ch, &n)
		if n.Watch && n.Phase != api.Drained {
			p.collectNode(ch, &n, now)
			all.add(&n, now, p.stuckAfter)
		}
	}
	for _, phase := range api.Phases() {
		ch <- gauge(nodesByPhase, float64(phases[phase]), string(phase))
	}
	ch <- gauge(unfinishable, float64(stuck))
	for _, reason := range plan.Queueings() {
		ch <- gauge(queuedNodes, float64(queued[reason]), string(reason))
	}
	all.collect(ch)
}

// collectPhase exports the phase of a node for as long as it has a request.
func collectPhase(ch chan<- prometheus.Metric, n *plan.NodePlan) {
	for _, phase := range api.Phases() {
		value := 0.
		if phase == n.Phase {
			value = 1
		}
		ch <- gauge(nodePhase, value, n.Node.Name, string(phase))
	}
}

// collectNode exports what is known of a node that is being drained.
func (p plans) collectNode(ch chan<- prometheus.Metric, n *plan.NodePlan, now time.Time) {
	name, counts := n.Node.Name, n.Facts.Status.Pods
	ch <- gauge(started, float64(n.Memory.StartedAt.Unix()), name)
	for state, count := range map[plan.State]int{
		plan.Eligible: counts.Eligible, plan.Blocked: counts.Blocked, plan.Terminating: counts.Terminating,
		"gone": counts.Gone, plan.Ignored: counts.Ignored, plan.UnconfirmedPod: counts.Unconfirmed,
	} {
		ch <- gauge(nodePods, float64(count), name, string(state))
	}
	most := 0
	for _, r := range n.Memory.Returns {
		most = max(most, r.Count)
	}
	ch <- gauge(podReturns, float64(most), name)
	attached := 0
	if v := n.Facts.Status.Volumes; v != nil {
		attached = v.Attached
	}
	ch <- gauge(attachedVolumes, float64(attached), name)
	byReason := map[plan.Reason]int{}
	for i := range n.Pods {
		if s := &n.Pods[i]; s.Stuck(now, p.stuckAfter) {
			byReason[s.Reason]++
		}
	}
	for _, r := range slices.Concat(plan.BlockedReasons(), plan.TerminatingReasons()) {
		ch <- gauge(stuckPods, float64(byReason[r]), name, string(r))
	}
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}
