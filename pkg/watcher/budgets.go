package watcher

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/plan"
)

// budget is a PodDisruptionBudget that was seen; the plan's Budget is nil if
// its selector cannot be read.
type budget struct {
	key types.NamespacedName
	*plan.Budget
}

func (w *Watcher) budgetOf(pdb *policyv1.PodDisruptionBudget) budget {
	seen := budget{key: types.NamespacedName{Namespace: pdb.Namespace, Name: pdb.Name}}
	b, err := plan.BudgetOf(pdb)
	if err != nil {
		// The API server also treats it as matching nothing.
		klog.FromContext(w.ctx).Error(err, "Ignoring a budget")
		return seen
	}
	seen.Budget = b
	return seen
}

func (w *Watcher) budgetSeen(b budget) {
	if b.Budget == nil {
		w.budgetGone(b)
		return
	}
	if w.ledger.Observe(b.Budget) {
		w.planner.Wake()
		return
	}
	w.planner.WakeSoon()
}

func (w *Watcher) budgetGone(b budget) {
	w.ledger.Forget(b.key)
	w.planner.Wake()
}

func (w *Watcher) budgetsListed(all []budget) {
	there := make(map[types.NamespacedName]bool, len(all))
	for _, b := range all {
		if b.Budget != nil {
			there[b.key] = true
			w.ledger.Observe(b.Budget)
		}
	}
	w.ledger.ForgetOthers(there)
	w.planner.Wake()
}
