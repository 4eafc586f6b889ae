package plan

import (
	"testing"
	"time"
)

// TestWorse: the pod that has been blocked longest is reported, also after it left. Only
// a budget that is being computed again does not replace the reason for which it waited.
func TestWorse(t *testing.T) {
	pod := func(name string, state State, reason Reason, since time.Duration) PodState {
		return PodState{Pod: &Pod{Namespace: "ns", Name: name}, State: state, Reason: reason, Since: noon.Add(-since)}
	}
	was := WorstBlocker{Pod: "ns/a", Reason: BudgetExhausted, For: time.Minute}
	for name, test := range map[string]struct {
		now  PodState
		want WorstBlocker
	}{
		"blocked for longer":       {pod("b", Blocked, Webhook, time.Minute+1), WorstBlocker{Pod: "ns/b", Reason: Webhook, For: time.Minute + 1}},
		"blocked for as long":      {pod("b", Blocked, Webhook, time.Minute), was},
		"not blocked":              {pod("b", Terminating, Kubelet, time.Hour), was},
		"the same, computed again": {pod("a", Blocked, BudgetUnsynced, time.Hour), was},
		"the same":                 {pod("a", Blocked, BudgetExhausted, time.Hour), WorstBlocker{Pod: "ns/a", Reason: BudgetExhausted, For: time.Hour}},
		"another, computed again":  {pod("b", Blocked, BudgetUnsynced, time.Hour), WorstBlocker{Pod: "ns/b", Reason: BudgetUnsynced, For: time.Hour}},
	} {
		if got := was.worse([]PodState{test.now}, noon); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
