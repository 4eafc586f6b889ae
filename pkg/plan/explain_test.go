package plan

import "testing"

// TestCause: what is said of a pod that a budget holds names the budget, if there is
// one.
func TestCause(t *testing.T) {
	web := []*budgetWork{{Budget: &Budget{Namespace: "ns", Name: "web", CurrentHealthy: 1, DesiredHealthy: 2}}}
	for name, test := range map[string]struct {
		pod  PodState
		want string
	}{
		"used up":        {PodState{Reason: BudgetExhausted, budgets: web}, "by PDB ns/web (needs 2 healthy, has 1)"},
		"used up, gone":  {PodState{Reason: BudgetExhausted, Message: "m"}, "by budget exhausted: m"},
		"never allows":   {PodState{Reason: BudgetNeverAllows, budgets: web}, "by PDB ns/web (needs 2 healthy, has 1), which never allows a disruption"},
		"unsynced":       {PodState{Reason: BudgetUnsynced, budgets: web}, "by PDB ns/web, which the disruption controller has not processed"},
		"unsynced, gone": {PodState{Reason: BudgetUnsynced, Message: "m"}, "by budget unsynced: m"},
		"no scale":       {PodState{Reason: BudgetSyncFailed, Message: "m", budgets: web}, "by PDB ns/web, which cannot be computed: m"},
		"no scale, gone": {PodState{Reason: BudgetSyncFailed, Message: "m"}, "by budget sync failed: m"},
		"two budgets":    {PodState{Reason: MultipleBudgets, budgets: append(web, web...)}, "by PDBs ns/web, ns/web: the Eviction API refuses a pod under more than one"},
		"a bare pod":     {PodState{Reason: BarePod, Message: "m"}, "because m"},
		"throttled":      {PodState{Reason: Throttled, Message: "m"}, "because the API server throttles evictions"},
		"forbidden":      {PodState{Reason: Forbidden, Message: "m"}, "by forbidden: m"},
		"a finalizer":    {PodState{State: Terminating, Reason: Finalizer, Message: "m"}, "terminating, overdue: m"},
		"no kubelet":     {PodState{State: Terminating, Reason: Kubelet, Message: "m"}, "terminating, overdue: the kubelet has not stopped it"},
		"order, no rule": {PodState{Reason: Order, Message: "m"}, "by order: m"},
	} {
		if got := test.pod.cause(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
