package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestMoreCauses: a message that cannot name all causes says how many more
// there are.
func TestMoreCauses(t *testing.T) {
	s := newScene()
	s.draining("n")
	for i := range mostGroups + 3 {
		app := fmt.Sprintf("a%d", i)
		s.pod("n", app+"-0")
		s.budget(app, app, 0, 1, 1, 1)
	}
	if got := planOf(t, Make(s.Snapshot), "n").Report().Message; !strings.Contains(got, "and 3 more causes") {
		t.Errorf("the message is %q and does not say that there are 3 more causes", got)
	}
}

// TestOverdueBlocks: a pod that should be gone holds the drain up, since it was
// deleted; one within its grace period does not.
func TestOverdueBlocks(t *testing.T) {
	s := newScene()
	s.draining("n")
	for name, ends := range map[string]time.Duration{"late-0": -time.Minute, "leaving-0": time.Minute} {
		s.pod("n", name, func(p *Pod) { p.Deadline, p.Grace = noon.Add(ends), 30*time.Second })
	}
	got := planOf(t, Make(s.Snapshot), "n").Report().Status.Blockers
	if len(got) != 1 || got[0].Pod != "ns/late-0" || !got[0].Since.Equal(noon.Add(-90*time.Second)) {
		t.Errorf("the blockers are %+v, want ns/late-0 since it was deleted 90 s ago", got)
	}
}

// TestStuckFromThere: a plan that wakes when a pod gets stuck finds it stuck.
func TestStuckFromThere(t *testing.T) {
	pod := PodState{State: Blocked, Since: noon}
	for after, want := range map[time.Duration]bool{time.Minute - 1: false, time.Minute: true} {
		if got := pod.Stuck(noon.Add(after), time.Minute); got != want {
			t.Errorf("stuck after %v of a minute: %v, want %v", after, got, want)
		}
	}
}

// TestBlockedBy: only a budget that blocks the pod is named for it.
func TestBlockedBy(t *testing.T) {
	budgets := []*budgetWork{{Budget: &Budget{Namespace: "ns", Name: "a"}}}
	for reason, want := range map[Reason]int{BudgetExhausted: 1, BudgetNeverAllows: 1, MultipleBudgets: 1, BarePod: 0, Webhook: 0, Evacuating: 0} {
		pod := PodState{State: Blocked, Reason: reason, budgets: budgets}
		if got := pod.BlockedBy(); len(got) != want {
			t.Errorf("a pod blocked by %s is blocked by %d budgets, want %d", reason, len(got), want)
		}
	}
	sent := PodState{State: Eligible, Reason: BudgetExhausted, budgets: budgets}
	if got := sent.BlockedBy(); got != nil {
		t.Errorf("a pod that is not blocked is blocked by %v", got)
	}
}
