package plan

import (
	"strings"
	"time"
)

// maxDisrupted is the number of unsettled disruptions above which the API server admits
// no eviction under a budget (registry/core/pod/storage/eviction.go).
const maxDisrupted = 2000

// admission predicts whether the API server would admit the pod's eviction
// now, by the rules of the eviction handler. A pod that would be refused is not
// sent. The last refusal counts as long as its wait lasts.
func (p *planner) admission(n *nodeWork, s *PodState) {
	tries := s.entry.Memory.Tries()
	if p.Now.Before(tries.RetryAt) && !budgetChanged(s) {
		s.Until = tries.RetryAt
		p.wakeAt(tries.RetryAt)
		p.block(n, s, tries.Outcome.Reason.blocks(), tries.Outcome.Message)
		return
	}
	if p.Now.Before(p.Throttled) {
		s.Until = p.Throttled
		p.wakeAt(p.Throttled)
		p.block(n, s, Throttled, tries.Outcome.Message)
		return
	}
	switch len(s.budgets) {
	case 0:
		s.send = freely
	case 1:
		p.underOneBudget(n, s, s.budgets[0])
	default:
		// The server refuses it, and is asked only once for each set of budgets.
		if tries.RefusedBudgets == setOf(s.budgets) {
			p.block(n, s, MultipleBudgets, tries.Outcome.Message)
			return
		}
		s.send = freely
	}
}

func (p *planner) underOneBudget(n *nodeWork, s *PodState, b *budgetWork) {
	healthy := b.CurrentHealthy >= b.DesiredHealthy && b.DesiredHealthy > 0
	switch {
	case !s.Pod.Ready && (b.AlwaysAllow || healthy):
		s.send = freely
	case b.SyncFailed != "":
		p.block(n, s, BudgetSyncFailed, b.SyncFailed)
	case !b.Observed:
		p.block(n, s, BudgetUnsynced, "")
	case b.free > 0 && len(b.Disrupted) <= maxDisrupted:
		// This includes a budget that never allows a disruption: while a rollout surges,
		// there may be room now.
		s.send = spending
	case b.Controller != "" && s.entry.Memory.Tries().Outcome.Reason == Evacuating:
		// The webhook comes before the budget, and is asked again.
		p.block(n, s, Evacuating, s.entry.Memory.Tries().Outcome.Message)
	default:
		p.block(n, s, b.exhausted(), "")
	}
}

// exhausted is why a budget without room blocks.
func (b *budgetWork) exhausted() Reason {
	if b.Allowed == 0 && b.NeverAllows() {
		return BudgetNeverAllows
	}
	return BudgetExhausted
}

// budgetChanged is true if a budget refused the pod and has changed since: the
// refusal is out of date.
func budgetChanged(s *PodState) bool {
	tries := s.entry.Memory.Tries()
	return tries.Outcome.Reason.byBudget() && tries.RefusedVersions != versionsOf(s.budgets)
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
	if b.granted {
		p.wakeAt(p.Now.Add(apart))
		return true
	}
	if b.sent.IsZero() {
		return false
	}
	p.wakeAt(b.sent.Add(apart))
	return p.Now.Before(b.sent.Add(apart))
}

// budgetWork is a budget in one plan.
type budgetWork struct {
	*Budget
	// free is what is left of it.
	free int
	// sent is when the last eviction under it was sent that is under way;
	// granted is true once this plan lets another one be sent.
	sent    time.Time
	granted bool
	// waiting counts the pods that wait to be sent under it.
	waiting int
	// asking is true while a pod under it is being sent, or granted.
	asking bool
	// oldest is the pod that it blocks longest, oldestOn its node.
	oldest   *PodState
	oldestOn *nodeWork
	// occupied is true while a pod under it is on its way out.
	occupied bool
	// polled is true once it was checked whether it has to be read.
	polled bool
}

// namespaceWork is the budgets of a namespace in one plan.
type namespaceWork struct {
	NamespaceBudgets
	budgets []budgetWork
}

func namespacesOf(s *Snapshot) map[string]*namespaceWork {
	all := make(map[string]*namespaceWork, len(s.Budgets))
	for name, budgets := range s.Budgets {
		n := &namespaceWork{NamespaceBudgets: budgets, budgets: make([]budgetWork, len(budgets.List))}
		for i, b := range budgets.List {
			n.budgets[i] = budgetWork{Budget: b.Budget, free: b.Free}
		}
		all[name] = n
	}
	return all
}

// matching lists the budgets that select the pod.
func (p *planner) matching(e *Entry) []*budgetWork {
	n := p.namespace(e.Namespace)
	if n == nil {
		return nil
	}
	matched := e.matched
	if e.matchedEpoch != n.Epoch {
		// Nobody called Match. The answer is the same, and is found again next
		// time.
		matched = placesOf(e.Labels, n.List)
	}
	if len(matched) == 0 {
		return nil
	}
	// One array for all pods of the plan; what was cut from it stays valid if
	// it has to grow.
	begin := len(p.matches)
	for _, i := range matched {
		p.matches = append(p.matches, &n.budgets[i])
	}
	return p.matches[begin:len(p.matches):len(p.matches)]
}

// namespace is the budgets of a namespace, nil if it has none. Pods come
// sorted: mostly it is the one that was asked for before.
func (p *planner) namespace(name string) *namespaceWork {
	if p.lastNamespace != name {
		p.lastNamespace, p.last = name, p.namespaces[name]
	}
	return p.last
}

// setOf names a set of budgets.
func setOf(budgets []*budgetWork) string {
	return joined(budgets, func(b *budgetWork) string { return string(b.UID) })
}

// versionsOf names the versions of a set of budgets.
func versionsOf(budgets []*budgetWork) string {
	return joined(budgets, func(b *budgetWork) string { return b.ResourceVersion })
}

func joined(budgets []*budgetWork, text func(*budgetWork) string) string {
	if len(budgets) == 1 {
		return text(budgets[0])
	}
	var b strings.Builder
	for _, budget := range budgets {
		b.WriteString(text(budget))
		b.WriteByte(' ')
	}
	return b.String()
}
