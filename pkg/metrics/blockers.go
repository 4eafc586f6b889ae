package metrics

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"drainer.dev/drainer/pkg/plan"
)

// Bounds of the gauges that name pods, budgets and namespaces: a cluster has
// any number of them.
const (
	mostStuckPods  = 50
	mostBudgets    = 50
	mostNamespaces = 50
)

// The label of a namespace is pod_namespace: Prometheus adds the label
// namespace to targets, with the namespace that drainer runs in.
var (
	stuckOmitted = prometheus.NewDesc("drainer_stuck_pods_omitted",
		"Stuck pods that drainer_stuck_pod_seconds does not name.", nil, nil)
	budgetBlocked = prometheus.NewDesc("drainer_budget_blocked_pods",
		"Pods that a PodDisruptionBudget blocks, on all nodes being drained; only the 50 budgets that block the most.", []string{"pod_namespace", "budget"}, nil)
	budgetHeadroom = prometheus.NewDesc("drainer_budget_headroom_pods",
		"Healthy pods of a PodDisruptionBudget that blocks pods, minus the healthy pods that it requires; below 0 if it lacks some.", []string{"pod_namespace", "budget"}, nil)
	budgetsOmitted = prometheus.NewDesc("drainer_budgets_omitted",
		"PodDisruptionBudgets that block pods and that drainer_budget_blocked_pods does not name.", nil, nil)
	namespaceBlockers = prometheus.NewDesc("drainer_namespace_blockers",
		"Pods of a namespace that are blocked, or terminating past their grace period, on all nodes being drained; only the 50 namespaces with the most.", []string{"pod_namespace"}, nil)
	ruleBlocked = prometheus.NewDesc("drainer_rule_blocked_pods",
		"Pods that a rule of the configuration keeps from being evicted now, on all nodes being drained.", []string{"rule"}, nil)
	namespacesOmitted = prometheus.NewDesc("drainer_namespaces_omitted",
		"Namespaces with blockers that drainer_namespace_blockers does not name.", nil, nil)

	blockerDescs = []*prometheus.Desc{
		stuckOmitted, budgetBlocked, budgetHeadroom, budgetsOmitted, namespaceBlockers, namespacesOmitted, ruleBlocked,
	}
)

// blockers is what blocks drains, over all nodes.
type blockers struct {
	stuck      []stuckPod
	budgets    map[string]*blockingBudget
	namespaces map[string]int
	// rules counts the pods that each rule holds.
	rules map[string]int
}

type stuckPod struct {
	node    *plan.Node
	state   *plan.PodState
	seconds float64
}

type blockingBudget struct {
	*plan.Budget
	pods int
}

func newBlockers() *blockers {
	return &blockers{budgets: map[string]*blockingBudget{}, namespaces: map[string]int{}, rules: map[string]int{}}
}

// add counts the pods of a node.
func (b *blockers) add(n *plan.NodePlan, now time.Time, stuckAfter time.Duration) {
	for i := range n.Pods {
		s := &n.Pods[i]
		if since := s.StuckFrom(); since.IsZero() || now.Before(since) {
			continue
		}
		b.namespaces[s.Pod.Namespace]++
		if rule := s.Rule(); rule != "" {
			b.rules[rule]++
		}
		for _, budget := range s.BlockedBy() {
			key := budget.Key()
			if b.budgets[key] == nil {
				b.budgets[key] = &blockingBudget{Budget: budget}
			}
			b.budgets[key].pods++
		}
		if s.Stuck(now, stuckAfter) {
			b.stuck = append(b.stuck, stuckPod{node: n.Node, state: s, seconds: now.Sub(s.StuckFrom()).Seconds()})
		}
	}
}

// collect exports the oldest pods, and the budgets and namespaces with the most.
func (b *blockers) collect(ch chan<- prometheus.Metric, nodes *nodeGauges) {
	slices.SortFunc(b.stuck, func(a, b stuckPod) int {
		return cmp.Or(cmp.Compare(b.seconds, a.seconds), cmp.Compare(a.state.Pod.Key(), b.state.Pod.Key()))
	})
	named := min(len(b.stuck), mostStuckPods)
	for _, s := range b.stuck[:named] {
		ch <- nodes.of(s.node, nodes.stuckSeconds, s.seconds, s.state.Pod.Namespace, s.state.Pod.Name, string(s.state.Reason))
	}
	ch <- gauge(stuckOmitted, float64(len(b.stuck)-named))

	budgets := most(b.budgets, mostBudgets, func(b *blockingBudget) int { return b.pods })
	for _, key := range budgets {
		budget := b.budgets[key]
		ch <- gauge(budgetBlocked, float64(budget.pods), budget.Namespace, budget.Name)
		ch <- gauge(budgetHeadroom, float64(budget.CurrentHealthy-budget.DesiredHealthy), budget.Namespace, budget.Name)
	}
	ch <- gauge(budgetsOmitted, float64(len(b.budgets)-len(budgets)))

	namespaces := most(b.namespaces, mostNamespaces, func(pods int) int { return pods })
	for _, name := range namespaces {
		ch <- gauge(namespaceBlockers, float64(b.namespaces[name]), name)
	}
	ch <- gauge(namespacesOmitted, float64(len(b.namespaces)-len(namespaces)))
	for name, pods := range b.rules {
		ch <- gauge(ruleBlocked, float64(pods), name)
	}
}

// most are the keys of the largest values, at most limit of them. Ties are
// always broken in the same way, so that no series appears and disappears
// without a reason.
func most[V any](all map[string]V, limit int, size func(V) int) []string {
	keys := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(size(all[b]), size(all[a])), cmp.Compare(a, b))
	})
	return keys[:min(len(keys), limit)]
}
