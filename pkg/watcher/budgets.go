package watcher

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/plan"
)

// Budgets is told of the PodDisruptionBudgets of the cluster.
type Budgets interface {
	// Observe notes what a budget says now, and returns true if it may allow more
	// disruptions than before.
	Observe(*plan.Budget) (more bool)
	// Forget forgets a budget, ForgetOthers all but these.
	Forget(types.NamespacedName)
	ForgetOthers(there map[types.NamespacedName]bool)
}

// FollowBudgets watches PodDisruptionBudgets, too. It is called before Run, and not on a
// server without policy/v1.
func (w *Watcher) FollowBudgets(budgets Budgets) { w.budgets = budgets }

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
	if w.budgets.Observe(b.Budget) {
		w.planner.Wake()
		return
	}
	w.planner.WakeSoon()
}

func (w *Watcher) budgetGone(b budget) {
	w.budgets.Forget(b.key)
	w.planner.Wake()
}

func (w *Watcher) budgetsListed(all []budget) {
	there := make(map[types.NamespacedName]bool, len(all))
	for _, b := range all {
		if b.Budget != nil {
			there[b.key] = true
			w.budgets.Observe(b.Budget)
		}
	}
	w.budgets.ForgetOthers(there)
	w.planner.Wake()
}
