package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"drainer.dev/drainer/pkg/plan"
)

// nodeGauges are the gauges with the label node.
type nodeGauges struct {
	phase, pods, returns, stuck, volumes, started, stuckSeconds *prometheus.Desc
	// pools adds the label pool: one value for each node.
	pools bool
}

func newNodeGauges(pools bool) *nodeGauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		labels = append([]string{"node"}, labels...)
		if pools {
			labels = append(labels, "pool")
		}
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &nodeGauges{
		pools: pools,
		phase: desc("drainer_node_phase", "1 for the phase that a node with a drain request is in, 0 for the others.", "phase"),
		pods:  desc("drainer_node_pods", "Pods of a node that is being drained, by state; the states are disjoint.", "state"),
		returns: desc("drainer_node_pod_returns",
			"How often pods of the same controller have come back to a node that is being drained, and been evicted again; for the controller with the most."),
		stuck: desc("drainer_stuck_pods",
			"Pods of a node that have been blocked, or terminating past their grace period, for longer than --stuck-after, by reason.", "reason"),
		volumes: desc("drainer_node_attached_volumes",
			"Volumes that are still attached to a node whose pods are gone, and that its drain waits for."),
		started: desc("drainer_node_drain_start_timestamp_seconds",
			"When the drain of a node that is not drained yet began, in Unix time."),
		stuckSeconds: desc("drainer_stuck_pod_seconds",
			"How long a stuck pod has been blocked or overdue; the oldest 50.", "pod_namespace", "pod_name", "reason"),
	}
}

func (g *nodeGauges) all() []*prometheus.Desc {
	return []*prometheus.Desc{g.phase, g.pods, g.returns, g.stuck, g.volumes, g.started, g.stuckSeconds}
}

// of is a gauge of a node, with the values of the labels other than node and pool.
func (g *nodeGauges) of(n *plan.Node, desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	labels = append([]string{n.Name}, labels...)
	if g.pools {
		labels = append(labels, n.PoolName())
	}
	return gauge(desc, value, labels...)
}
