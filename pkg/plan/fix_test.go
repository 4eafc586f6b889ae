package plan

import (
	"strings"
	"testing"
)

// TestFixOfBudget: only a budget that cannot be computed is to be corrected; one that the
// disruption controller has not looked at yet may be fine.
func TestFixOfBudget(t *testing.T) {
	for reason, want := range map[Reason]string{
		BudgetSyncFailed: "correct PDB shop/web: the disruption controller cannot compute it",
		BudgetUnsynced:   "look at kube-controller-manager if this lasts: its disruption controller has not processed PDB shop/web yet",
	} {
		if fix := Fix(reason, "shop/web", ""); fix != want {
			t.Errorf("%s: %q, want %q", reason, fix, want)
		}
	}
}

// TestFixAlwaysAllow: AlwaysAllow is suggested where it would let the pod leave, and
// nowhere else.
func TestFixAlwaysAllow(t *testing.T) {
	for name, test := range map[string]struct {
		ready, always bool
		reason        Reason
		budgets       int
		want          bool
	}{
		"not Ready":              {false, false, BudgetExhausted, 1, true},
		"never allows":           {false, false, BudgetNeverAllows, 1, true},
		"cannot be computed":     {false, false, BudgetSyncFailed, 1, true},
		"Ready":                  {true, false, BudgetExhausted, 1, false},
		"allowed already":        {false, true, BudgetExhausted, 1, false},
		"several budgets":        {false, false, MultipleBudgets, 2, false},
		"not because of budgets": {false, false, BarePod, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := PodState{Pod: &Pod{Ready: test.ready}, Reason: test.reason}
			for range test.budgets {
				s.budgets = append(s.budgets, &budgetWork{Budget: &Budget{Namespace: "ns", Name: "web", AlwaysAllow: test.always}})
			}
			if fix := s.Fix(); strings.Contains(fix, "AlwaysAllow") != test.want || len(fix) > mostWords {
				t.Errorf("the fix is %q (%d bytes)", fix, len(fix))
			}
		})
	}
}
