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
func (p *planner) admission(s *PodState) {
	memory := s.memory
	if p.Now.Before(memory.RetryAt) && !budgetChanged(s) {
		s.Until = memory.RetryAt
		p.wakeAt(memory.RetryAt)
		p.block(s, memory.Outcome.Reason.blocks(), memory.Outcome.Message)
		return
	}
	if p.Now.Before(p.Throttled) {
		s.Until = p.Throttled
		p.wakeAt(p.Throttled)
		p.block(s, Throttled, memory.Outcome.Message)
		return
	}
	switch len(s.budgets) {
	case 0:
		s.send = freely
	case 1:
		p.underOneBudget(s, s.budgets[0])
	default:
		// The refusal is the server's to pronounce: once for this set.
		if memory.AskedSets == setOf(s.budgets) {
			p.block(s, MultipleBudgets, memory.Outcome.Message)
			return
		}
		s.send = freely
	}
}

func (p *planner) underOneBudget(s *PodState, b *budgetWork) {
	healthy := b.CurrentHealthy >= b.DesiredHealthy && b.DesiredHealthy > 0
	switch {
	case !s.Pod.Ready && (b.AlwaysAllow || healthy):
		s.send = freely
	case b.SyncFailed != "":
		p.block(s, BudgetSyncFailed, b.SyncFailed)
	case !b.Observed:
		p.block(s, BudgetUnsynced, "")
	case b.NeverAllows():
		p.block(s, BudgetNeverAllows, "")
	case b.free > 0 && len(b.Disrupted) <= maxDisrupted:
		s.send = spending
	default:
		p.block(s, BudgetExhausted, "")
	}
}

// budgetChanged is true if a budget refused the pod and does not look any more
// as it did then: what it said is out of date.
func budgetChanged(s *PodState) bool {
	return s.memory.Outcome.Reason.byBudget() && s.memory.RefusedVersions != versionsOf(s.budgets)
}

// apart is how long the next eviction under a budget waits for the answer to
// the one before. The API server writes every disruption into the budget, and
// where two evictions meet there one of them is put off by half a second, over
// and over (registry/core/pod/storage/eviction.go, EvictionsRetry). An answer
// usually takes a tenth of this; one that takes longer hangs elsewhere.
const apart = 100 * time.Millisecond

// crowded is true while the next eviction under the budget has to wait for the
// one before.
func (p *planner) crowded(b *budgetWork) bool {
	if b.given {
		p.wakeAt(p.Now.Add(apart))
		return true
	}
	if b.sent.IsZero() {
		return false
	}
	p.wakeAt(b.sent.Add(apart))
	return p.Now.Before(b.sent.Add(apart))
}

// latest is the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// budgetWork is a budget in one plan.
type budgetWork struct {
	*Budget
	// free is what is left of it.
	free int
	// sent is when the last eviction under it was sent that is under way;
	// given is true once this plan lets another one be sent.
	sent  time.Time
	given bool
	// waiting counts the pods that want to be sent under it.
	waiting int
	// asking is true while a pod under it is being sent.
	asking bool
	// oldest is the pod that it blocks longest, home its node.
	oldest *PodState
	home   *nodeWork
	// polled is true once it was looked at whether it has to be read.
	polled bool
}

// namespaceWork is the budgets of a namespace in one plan.
type namespaceWork struct {
	epoch   uint64
	budgets []budgetWork
}

func namespacesOf(s *Snapshot) map[string]*namespaceWork {
	all := make(map[string]*namespaceWork, len(s.Budgets))
	for name, budgets := range s.Budgets {
		n := &namespaceWork{epoch: budgets.Epoch, budgets: make([]budgetWork, len(budgets.List))}
		for i, b := range budgets.List {
			n.budgets[i] = budgetWork{Budget: b.Budget, free: b.Free}
		}
		all[name] = n
	}
	return all
}

// matching lists the budgets that select the pod.
func (p *planner) matching(pod *Pod) []*budgetWork {
	n := p.namespace(pod.Namespace)
	if n == nil {
		return nil
	}
	if pod.matchedEpoch != n.epoch {
		pod.matched, pod.matchedEpoch = pod.matched[:0], n.epoch
		for i := range n.budgets {
			if n.budgets[i].Selector.Matches(pod.Labels) {
				pod.matched = append(pod.matched, i)
			}
		}
	}
	if len(pod.matched) == 0 {
		return nil
	}
	// One array for all pods of the plan; what was cut from it stays valid if
	// it has to grow.
	begin := len(p.matches)
	for _, i := range pod.matched {
		p.matches = append(p.matches, &n.budgets[i])
	}
	return p.matches[begin:len(p.matches):len(p.matches)]
}

// namespace is the budgets of a namespace, nil if it has none. Pods come
// sorted: mostly it is the one that was asked for before.
func (p *planner) namespace(name string) *namespaceWork {
	if p.lastNamespace != name || p.last == nil {
		p.lastNamespace, p.last = name, p.namespaces[name]
	}
	return p.last
}

// setOf names a set of budgets.
func setOf(budgets []*budgetWork) string {
	if len(budgets) == 1 {
		return string(budgets[0].UID)
	}
	var b strings.Builder
	for _, budget := range budgets {
		b.WriteString(string(budget.UID))
		b.WriteByte(' ')
	}
	return b.String()
}

// versionsOf names how a set of budgets looks.
func versionsOf(budgets []*budgetWork) string {
	if len(budgets) == 1 {
		return budgets[0].ResourceVersion
	}
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
