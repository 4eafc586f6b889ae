package plan

import (
	"strings"
	"testing"
)

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
