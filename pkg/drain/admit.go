package drain

import (
	"strings"
	"time"
)

// maxDisrupted is above how many unsettled disruptions the API server admits
// no more under one budget (registry/core/pod/storage/eviction.go).
const maxDisrupted = 2000

// admission predicts whether the API server would admit the pod's eviction
// now, by the rules of eviction-api's own handler. A pod that would be refused
// is not sent. The last refusal counts as long as its wait lasts.
func (p *planner) admission(s PodState, memory *PodMemory) PodState {
	if p.Now.Before(memory.RetryAt) && !p.budgetChanged(s, memory) {
		s.Until = memory.RetryAt
		p.wakeAt(memory.RetryAt)
		return p.blocked(s, memory, memory.Outcome.Reason.blocks(), memory.Outcome.Message)
	}
	if p.Now.Before(p.Throttled) {
		s.Until = p.Throttled
		p.wakeAt(p.Throttled)
		return p.blocked(s, memory, Throttled, memory.Outcome.Message)
	}
	switch len(s.Budgets) {
	case 0:
		s.send = freely
		return s
	case 1:
		return p.underOneBudget(s, memory)
	default:
		// The refusal is the server's to pronounce: once for this set.
		if memory.AskedSets == setOf(s.Budgets) {
			return p.blocked(s, memory, MultipleBudgets, memory.Outcome.Message)
		}
		s.send = freely
		return s
	}
}

func (p *planner) underOneBudget(s PodState, memory *PodMemory) PodState {
	b := s.Budgets[0]
	healthy := b.CurrentHealthy >= b.DesiredHealthy && b.DesiredHealthy > 0
	switch {
	case !s.Pod.Ready && (b.AlwaysAllow || healthy):
		s.send = freely
		return s
	case b.SyncFailed != "":
		return p.blocked(s, memory, BudgetSyncFailed, b.SyncFailed)
	case !b.Observed:
		return p.blocked(s, memory, BudgetUnsynced, "")
	case b.NeverAllows():
		return p.blocked(s, memory, BudgetNeverAllows, "")
	case p.free[b] > 0 && len(b.Disrupted) <= maxDisrupted:
		s.send = spending
		return s
	default:
		return p.blocked(s, memory, BudgetExhausted, "")
	}
}

// budgetChanged is true if a budget refused the pod and does not look any more
// as it did then: what it said is out of date.
func (p *planner) budgetChanged(s PodState, memory *PodMemory) bool {
	return memory.Outcome.Reason.byBudget() && p.Budgets != nil && memory.RefusedVersions != versionsOf(s.Budgets)
}

// matching lists the budgets that select the pod.
func (p *planner) matching(pod *Pod) []*Budget {
	var budgets []*Budget
	for _, b := range p.Budgets[pod.Namespace] {
		if b.Selector.Matches(pod.Labels) {
			budgets = append(budgets, b.Budget)
		}
	}
	return budgets
}

// setOf names a set of budgets.
func setOf(budgets []*Budget) string {
	var b strings.Builder
	for _, budget := range budgets {
		b.WriteString(string(budget.UID))
		b.WriteByte(' ')
	}
	return b.String()
}

// versionsOf names how a set of budgets looks.
func versionsOf(budgets []*Budget) string {
	var b strings.Builder
	for _, budget := range budgets {
		b.WriteString(budget.ResourceVersion)
		b.WriteByte(' ')
	}
	return b.String()
}

const (
	// proofInterval is how often a stuck pod is really sent under one budget,
	// so that the API server itself says, and counts, that it is stuck.
	proofInterval = 5 * time.Minute
	// The first and the longest interval of looking at a blocking budget
	// without having been told of a change.
	pollInterval     = 30 * time.Second
	pollIntervalMost = 5 * time.Minute
	// settleInterval is how long an admitted eviction may not show in its
	// budget before the budget is read.
	settleInterval = 10 * time.Second
)
