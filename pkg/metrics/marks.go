package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"drainer.dev/drainer/pkg/plan"
)

var (
	markNodes = prometheus.NewDesc("drainer_mark_rule_nodes",
		"Nodes of a rule for marked nodes: marked, requested (they hold a request of the rule), and silent (marked, but somebody removed the request).",
		[]string{"rule", "state"}, nil)
	markLatched = prometheus.NewDesc("drainer_mark_rule_latched",
		"1 while a rule for marked nodes requests nothing until somebody resumes it, because too many nodes were marked; 0 otherwise.",
		[]string{"rule"}, nil)
)

// marks exports the state of the rules for marked nodes.
type marks func() []plan.MarkState

// RegisterMarks exports the state of the rules for marked nodes, as newest
// returns it: nil from a process that does not lead.
func (m *Metrics) RegisterMarks(newest func() []plan.MarkState) {
	m.Registry.MustRegister(marks(newest))
}

// Describe implements prometheus.Collector.
func (marks) Describe(ch chan<- *prometheus.Desc) { ch <- markNodes; ch <- markLatched }

// Collect implements prometheus.Collector.
func (m marks) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m() {
		for state, count := range map[string]int{"marked": s.Marked, "requested": s.Requested, "silent": s.Silent} {
			ch <- gauge(markNodes, float64(count), s.Rule, state)
		}
		latched := 0.
		if s.Latched {
			latched = 1
		}
		ch <- gauge(markLatched, latched, s.Rule)
	}
}
