package plan

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// withLate is a loop with a cordoned node to which the pod web-1 came, whose
// eviction is granted.
func withLate(t *testing.T) (*loop, Grant) {
	t.Helper()
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	l := newLoop(s)
	l.pods["n"] = []*Pod{}
	for range 3 {
		l.step(time.Second)
	}
	l.come("n", "web-1")
	plan := l.step(time.Second)
	if len(plan.Grants) != 1 {
		t.Fatalf("granted %v", granted(plan))
	}
	return l, plan.Grants[0]
}

// TestReturnCounted: a pod that came after the cordon and was evicted makes the
// next one of its controller wait.
func TestReturnCounted(t *testing.T) {
	l, first := withLate(t)
	l.facts = append(l.facts, Answered{Grant: first, Outcome: Outcome{Reason: Admitted}, At: l.Now})
	l.step(time.Second)
	l.pods["n"] = []*Pod{}
	l.come("n", "web-2")
	plan := l.step(time.Second)
	if p := planOf(t, plan, "n").Pods; len(plan.Grants) > 0 || len(p) != 1 || p[0].Reason != Returning {
		t.Errorf("granted %v, the pods are %+v, want one that is returning", granted(plan), p)
	}
}

// TestReturnBeforeTheAnswer: the next pod of the controller waits, too, while the
// eviction of the one before is under way, which may take the API server long.
// One that came together with it does not.
func TestReturnBeforeTheAnswer(t *testing.T) {
	l, first := withLate(t)
	l.come("n", "web-1-too")
	sent := l.Now.Add(time.Second)
	l.InFlight = map[types.UID]Post{first.Pod.UID: {Sent: sent}}
	plan := l.step(500 * time.Millisecond)
	if len(plan.Grants) != 1 || plan.Grants[0].Pod.Name != "web-1-too" {
		t.Errorf("granted %v, want the pod that came together with the one under way", granted(plan))
	}
	l.pods["n"] = []*Pod{}
	l.come("n", "web-2")
	plan = l.step(time.Second)
	if p := planOf(t, plan, "n").Pods; len(plan.Grants) > 0 || len(p) != 1 || p[0].Reason != Returning {
		t.Errorf("granted %v, the pods are %+v, want one that is returning", granted(plan), p)
	}
	answered := sent.Add(time.Minute)
	l.facts = append(l.facts, Answered{Grant: first, Outcome: Outcome{Reason: Admitted}, At: answered, Took: answered.Sub(sent)})
	l.InFlight = nil
	if plan = l.step(time.Minute); len(plan.Grants) > 0 {
		t.Errorf("granted %v before the delay was over", granted(plan))
	}
	if plan = l.step(returnDelay + time.Second); len(plan.Grants) != 1 || plan.Grants[0].Pod.Name != "web-2" {
		t.Errorf("granted %v after the delay, want web-2", granted(plan))
	}
}

// TestReplaces: a pod waits only for one that came late to the same node, of the
// same controller, and whose eviction was sent before it came.
func TestReplaces(t *testing.T) {
	ours := Owner{UID: "rs"}
	for name, test := range map[string]struct {
		other      Pod
		otherLate  bool
		late       bool
		controller Owner
		seen       time.Time
		want       bool
	}{
		"came after it was sent": {Pod{Node: "n", Controller: ours}, true, true, ours, noon.Add(time.Second), true},
		"came together with it":  {Pod{Node: "n", Controller: ours}, true, true, ours, noon, false},
		"another node":           {Pod{Node: "m", Controller: ours}, true, true, ours, noon.Add(time.Second), false},
		"another controller":     {Pod{Node: "n", Controller: Owner{UID: "x"}}, true, true, ours, noon.Add(time.Second), false},
		"no controller":          {Pod{Node: "n"}, true, true, Owner{}, noon.Add(time.Second), false},
		"the drain's own, first": {Pod{Node: "n", Controller: ours}, false, true, ours, noon.Add(time.Second), false},
		"itself the drain's own": {Pod{Node: "n", Controller: ours}, true, false, ours, noon.Add(time.Second), false},
	} {
		m := NewMemory()
		m.Pods["a"] = &Entry{Pod: &test.other, Memory: PodMemory{Late: test.otherLate}}
		p := newPlanner(&Snapshot{Memory: m, InFlight: map[types.UID]Post{"a": {Sent: noon}}})
		got := p.replaces(&Pod{UID: "b", Node: "n", Controller: test.controller}, &PodMemory{Late: test.late, FirstSeen: test.seen})
		if got != test.want {
			t.Errorf("%s: it waits: %v, want %v", name, got, test.want)
		}
	}
}
