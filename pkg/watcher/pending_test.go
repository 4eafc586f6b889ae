package watcher

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// TestUnscheduled: only what the scheduler finds no node for counts.
func TestUnscheduled(t *testing.T) {
	condition := func(status corev1.ConditionStatus, reason string) []corev1.PodCondition {
		return []corev1.PodCondition{{Type: corev1.PodReady}, {Type: corev1.PodScheduled, Status: status, Reason: reason}}
	}
	for name, test := range map[string]struct {
		conditions []corev1.PodCondition
		want       bool
	}{
		"not looked at": {nil, false},
		"no node":       {condition(corev1.ConditionFalse, corev1.PodReasonUnschedulable), true},
		"gated":         {condition(corev1.ConditionFalse, corev1.PodReasonSchedulingGated), false},
		"scheduled":     {condition(corev1.ConditionTrue, ""), false},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Status: corev1.PodStatus{Conditions: test.conditions}}
		if got := unscheduledOf(pod); got != (unscheduled{"u", test.want}) {
			t.Errorf("%s: %+v, want %v", name, got, test.want)
		}
	}
}

// TestPending: a change of the number wakes the planner soon.
func TestPending(t *testing.T) {
	var asked counter
	w := New(nil, "", plan.Selectors{}, &asked)
	w.CountPending()
	see := func(u unscheduled) { w.changePending(func(all map[types.UID]bool) { u.count(all) }) }
	see(unscheduled{"a", true})
	see(unscheduled{"a", true})
	see(unscheduled{"b", false})
	if w.Pending() != 1 || asked != (counter{soon: 1}) {
		t.Errorf("%d pods, asked %+v", w.Pending(), asked)
	}
	if see(unscheduled{"a", false}); w.Pending() != 0 || asked != (counter{soon: 2}) {
		t.Errorf("%d pods, asked %+v", w.Pending(), asked)
	}
}
