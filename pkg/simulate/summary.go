package simulate

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// result is the forecast.
func (r *run) result(chosen []string) *Result {
	result := &Result{
		Version: Version, At: r.begun, Complete: r.done(), Evictions: r.evictions, Refused: r.refused,
		Homeless: r.scene.cluster.Waiting(), StartTimes: r.scene.starts, Assumptions: r.assumptions(),
		Nodes: []NodeResult{}, Budgets: []BudgetResult{}, Blockers: []Blocker{},
	}
	end := r.moved
	for _, name := range chosen {
		times := r.nodes[name]
		result.Nodes = append(result.Nodes, r.node(name, times))
		if s := r.since(times.empty); !times.empty.IsZero() && s > result.EmptySeconds {
			result.EmptySeconds = s
		}
	}
	slices.SortStableFunc(result.Nodes, byDrained)
	result.MakespanSeconds = r.since(end)
	result.SlotSeconds, result.SlotShare = r.slotSeconds, result.share(r.slotSeconds)
	for _, key := range slices.SortedFunc(maps.Keys(r.budgets), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(r.budgets[b].BlockedSeconds, r.budgets[a].BlockedSeconds), cmp.Compare(a.String(), b.String()))
	}) {
		if b := r.budgets[key]; b.BlockedSeconds > 0 {
			b.Share = result.share(b.BlockedSeconds)
			result.Budgets = append(result.Budgets, *b)
		}
	}
	if !result.Complete {
		result.Blockers = r.blockers()
	}
	return result
}

// share is a time as a part of the makespan.
func (f *Result) share(seconds float64) float64 { return min(1, seconds/max(f.MakespanSeconds, 0.001)) }

// byDrained sorts nodes by when they are drained, those that are not last.
func byDrained(a, b NodeResult) int {
	switch {
	case a.DrainedSeconds == nil && b.DrainedSeconds == nil:
		return cmp.Compare(a.Name, b.Name)
	case a.DrainedSeconds == nil:
		return 1
	case b.DrainedSeconds == nil:
		return -1
	default:
		return cmp.Or(cmp.Compare(*a.DrainedSeconds, *b.DrainedSeconds), cmp.Compare(a.Name, b.Name))
	}
}

func (r *run) node(name string, times *nodeTimes) NodeResult {
	n := NodeResult{Name: name, Pods: times.pods, StartedSeconds: r.secondsOf(times.started), DrainedSeconds: r.secondsOf(times.drained)}
	if n.DrainedSeconds != nil {
		empty := cmp.Or(times.empty, times.started)
		n.EmptySeconds = r.secondsOf(empty)
	}
	if p := r.planOf(name); p != nil {
		report := p.Report()
		n.Phase, n.Message = string(p.Phase), report.Message
	}
	if n.DrainedSeconds != nil {
		// The newest plan may be older than the write that ended the drain.
		n.Phase, n.Message = string(api.Drained), ""
	}
	return n
}

func (r *run) planOf(node string) *plan.NodePlan {
	if r.plan == nil {
		return nil
	}
	for i := range r.plan.Nodes {
		if r.plan.Nodes[i].Node.Name == node {
			return &r.plan.Nodes[i]
		}
	}
	return nil
}
