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
	nodes      *nodeGauges
}

var (
	nodesByPhase = prometheus.NewDesc("drainer_nodes",
		"Nodes with a drain request, by phase.", []string{"phase"}, nil)
	unfinishable = prometheus.NewDesc("drainer_unfinishable_drains",
		"Nodes with a drain request, including queued ones, whose drain cannot finish until somebody acts.", nil, nil)
	queuedNodes = prometheus.NewDesc("drainer_queued_nodes",
		"Nodes that are queued, by what they wait for.", []string{"reason"}, nil)
	interrupted = prometheus.NewDesc("drainer_interrupted_drains",
		"Nodes whose drain has begun and is interrupted, by what it waits for: a window, or the end of a freeze.", []string{"reason"}, nil)
)

// RegisterPlans exports the gauges of the plans that newest returns: nil from a
// process that does not lead, and so knows of no nodes. With pools, the gauges of
// nodes have the label pool.
func (m *Metrics) RegisterPlans(newest func() map[types.UID]plan.NodePlan, stuckAfter time.Duration, pools bool) {
	m.Registry.MustRegister(plans{newest: newest, stuckAfter: stuckAfter, nodes: newNodeGauges(pools)})
}

// Describe implements prometheus.Collector.
func (p plans) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(p.nodes.all(), []*prometheus.Desc{nodesByPhase, unfinishable, queuedNodes, interrupted}, blockerDescs) {
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
	phases, queued, shut := map[api.Phase]int{}, map[plan.Queueing]int{}, map[plan.Queueing]int{}
	all, stuck := newBlockers(), 0
	for _, n := range nodes {
		if n.Phase == "" {
			continue
		}
		phases[n.Phase]++
		queued[n.Facts.Queued]++
		shut[n.Facts.Interrupted]++
		if n.Facts.Unfinishable {
			stuck++
		}
		p.collectPhase(ch, &n)
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
	for _, reason := range []plan.Queueing{plan.QueuedForWindow, plan.QueuedForFreeze} {
		ch <- gauge(interrupted, float64(shut[reason]), string(reason))
	}
	all.collect(ch, p.nodes)
}

// collectPhase exports the phase of a node for as long as it has a request.
func (p plans) collectPhase(ch chan<- prometheus.Metric, n *plan.NodePlan) {
	for _, phase := range api.Phases() {
		value := 0.
		if phase == n.Phase {
			value = 1
		}
		ch <- p.nodes.of(n.Node, p.nodes.phase, value, string(phase))
	}
}

// collectNode exports what is known of a node that is being drained.
func (p plans) collectNode(ch chan<- prometheus.Metric, n *plan.NodePlan, now time.Time) {
	of, counts := n.Node, n.Facts.Status.Pods
	ch <- p.nodes.of(of, p.nodes.started, float64(n.Memory.StartedAt.Unix()))
	for state, count := range map[plan.State]int{
		plan.Eligible: counts.Eligible, plan.Blocked: counts.Blocked, plan.Terminating: counts.Terminating,
		"gone": counts.Gone, plan.Ignored: counts.Ignored, plan.UnconfirmedPod: counts.Unconfirmed,
	} {
		ch <- p.nodes.of(of, p.nodes.pods, float64(count), string(state))
	}
	most := 0
	for _, r := range n.Memory.Returns {
		most = max(most, r.Count)
	}
	ch <- p.nodes.of(of, p.nodes.returns, float64(most))
	attached := 0
	if v := n.Facts.Status.Volumes; v != nil {
		attached = v.Attached
	}
	ch <- p.nodes.of(of, p.nodes.volumes, float64(attached))
	byReason := map[plan.Reason]int{}
	for i := range n.Pods {
		if s := &n.Pods[i]; s.Stuck(now, p.stuckAfter) {
			byReason[s.Reason]++
		}
	}
	for _, r := range slices.Concat(plan.BlockedReasons(), plan.TerminatingReasons()) {
		ch <- p.nodes.of(of, p.nodes.stuck, float64(byReason[r]), string(r))
	}
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}
