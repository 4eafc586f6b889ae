package plan

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestAdmission: a pod that would be refused is not sent.
func TestAdmission(t *testing.T) {
	unready := func(p *Pod) { p.Ready = false }
	for name, test := range map[string]struct {
		change  func(*Pod)
		budgets func(scene)
		reason  Reason // empty: sent
		spends  bool
	}{
		"no budget":                   {budgets: func(s scene) { s.budget("p", "other", 0, 1, 1, 1) }},
		"room":                        {budgets: func(s scene) { s.budget("p", "web", 1, 3, 2, 3) }, spends: true},
		"used up":                     {budgets: func(s scene) { s.budget("p", "web", 0, 2, 2, 3) }, reason: BudgetExhausted},
		"never, by the numbers":       {budgets: func(s scene) { s.budget("p", "web", 0, 3, 3, 3) }, reason: BudgetNeverAllows},
		"never, by the spec":          {budgets: func(s scene) { s.budget("p", "web", 0, 2, 3, 3).ZeroBySpec = true }, reason: BudgetNeverAllows},
		"not observed":                {budgets: func(s scene) { s.budget("p", "web", 1, 3, 2, 3).Observed = false }, reason: BudgetUnsynced},
		"sync failed":                 {budgets: func(s scene) { s.budget("p", "web", 0, 0, 0, 0).SyncFailed = "no scale" }, reason: BudgetSyncFailed},
		"unready, budget healthy":     {change: unready, budgets: func(s scene) { s.budget("p", "web", 0, 2, 2, 3) }},
		"unready, budget not healthy": {change: unready, budgets: func(s scene) { s.budget("p", "web", 0, 1, 2, 3) }, reason: BudgetExhausted},
		"unready, none expected":      {change: unready, budgets: func(s scene) { s.budget("p", "web", 0, 0, 0, 0) }, reason: BudgetExhausted},
		"unready, always allowed":     {change: unready, budgets: func(s scene) { s.budget("p", "web", 0, 1, 2, 3).AlwaysAllow = true }},
		"pending":                     {change: func(p *Pod) { p.Phase, p.Ready = corev1.PodPending, false }, budgets: func(s scene) { s.budget("p", "web", 0, 0, 2, 3) }},
		"finished":                    {change: func(p *Pod) { p.Phase, p.Ready = corev1.PodFailed, false }, budgets: func(s scene) { s.budget("p", "web", 0, 0, 2, 3) }},
		"two budgets, not asked":      {budgets: func(s scene) { s.budget("p", "web", 0, 2, 2, 3); s.budget("q", "web", 0, 2, 2, 3) }},
		"two budgets, asked": {budgets: func(s scene) {
			s.budget("p", "web", 0, 2, 2, 3)
			s.budget("q", "web", 0, 2, 2, 3)
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon}.with(Tries{RefusedBudgets: "uid-p uid-q "}))
		}, reason: MultipleBudgets},
		"three budgets, asked for two": {budgets: func(s scene) {
			for _, name := range []string{"p", "q", "r"} {
				s.budget(name, "web", 0, 2, 2, 3)
			}
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon}.with(Tries{RefusedBudgets: "uid-p uid-q "}))
		}},
		"reserved": {budgets: func(s scene) {
			s.budget("p", "web", 1, 3, 2, 3)
			s.Budgets["ns"].List[0].Free = 0
		}, reason: BudgetExhausted},
		"refused a moment ago": {budgets: func(s scene) {
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon}.with(Tries{RetryAt: noon.Add(time.Second), Outcome: Outcome{Reason: Webhook, Message: "no"}}))
		}, reason: Webhook},
		"refused by a budget that has changed": {budgets: func(s scene) {
			s.budget("p", "web", 1, 3, 2, 3)
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon}.with(Tries{RetryAt: noon.Add(time.Second), Outcome: Outcome{Reason: BudgetExhausted}, RefusedVersions: "0 "}))
		}, spends: true},
		"too many disruptions pending": {budgets: func(s scene) {
			b := s.budget("p", "web", 1, 3, 2, 3)
			b.Disrupted = map[string]bool{}
			for i := range maxDisrupted + 1 {
				b.Disrupted[fmt.Sprint(i)] = true
			}
		}, reason: BudgetExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n")
			pod := s.pod("n", "web-1")
			if test.change != nil {
				test.change(pod)
			}
			test.budgets(s)
			plan := Make(s.Snapshot)
			state := planOf(t, plan, "n").Pods[0]
			if state.Reason != test.reason || (state.State == Blocked) != (test.reason != "") {
				t.Errorf("state %s, reason %q; want reason %q", state.State, state.Reason, test.reason)
			}
			if sent := len(plan.Grants) == 1; sent != (test.reason == "") {
				t.Fatalf("sent: %v", sent)
			}
			if test.reason == "" && (plan.Grants[0].Budget.Name != "") != test.spends {
				t.Errorf("spends %v, want a budget: %v", plan.Grants[0].Budget, test.spends)
			}
		})
	}
}
