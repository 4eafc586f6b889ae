package plan

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// TestToldOnce: events about a pod are written once: that its annotations do not
// count at once, that it is blocked after 10 s, and that it is stuck when it is.
func TestToldOnce(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.pod("n", "web-0", func(p *Pod) { p.Instructions = []string{"drainer.dev/pod-order"} })
	s.budget("web", "web", 0, 1, 1, 1)
	s.node("spare")
	l := newLoop(s)
	// The first plan only asks for the cordon.
	l.step(0)
	l.step(time.Second)
	told := func() (ignored, blocked, stuck int) {
		for _, e := range l.events {
			switch e.(type) {
			case PodAnnotationsIgnored:
				ignored++
			case PodBlocked:
				blocked++
			case PodStuck:
				stuck++
			}
		}
		return ignored, blocked, stuck
	}
	since := l.Memory.Pods["uid-web-0"].Memory.BlockedSince
	for _, step := range []struct {
		after                   time.Duration
		ignored, blocked, stuck int
	}{
		{blockedAfter - 1, 1, 0, 0},
		{blockedAfter, 1, 1, 0},
		{2 * blockedAfter, 1, 1, 0},
		{l.Config.StuckAfter - 1, 1, 1, 0},
		{l.Config.StuckAfter, 1, 1, 1},
		{2 * l.Config.StuckAfter, 1, 1, 1},
	} {
		l.step(since.Add(step.after).Sub(l.Now))
		ignored, blocked, stuck := told()
		if ignored != step.ignored || blocked != step.blocked || stuck != step.stuck {
			t.Errorf("%v after it was blocked: annotations ignored, blocked, stuck were told %d, %d, %d times, want %d, %d, %d",
				step.after, ignored, blocked, stuck, step.ignored, step.blocked, step.stuck)
		}
	}
}

// TestEndsOnce: a request that a new one replaces, or that is removed, ends once
// with its result, and the removed one is released.
func TestEndsOnce(t *testing.T) {
	s := newScene()
	n := s.node("n", api.DrainAnnotation, "first")
	s.pod("n", "web-0")
	s.budget("web", "web", 0, 1, 1, 1)
	s.node("spare")
	l := newLoop(s)
	l.step(0)
	l.step(time.Second)
	n.Annotations[api.DrainAnnotation] = "second"
	for range 3 {
		l.step(time.Second)
	}
	delete(n.Annotations, api.DrainAnnotation)
	for range 3 {
		l.step(time.Second)
	}
	results, released := map[Result]int{}, 0
	for _, e := range l.events {
		switch e := e.(type) {
		case DrainEnded:
			results[e.Result]++
		case Released:
			released++
		}
	}
	if len(results) != 2 || results[ResultSuperseded] != 1 || results[ResultCancelled] != 1 || released != 1 {
		t.Errorf("the ends are %v and %d releases, want one superseded, one cancelled, one released", results, released)
	}
}

// TestPhasesTold: each phase of a drain is told once.
func TestPhasesTold(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	s.pod("n", "web-1")
	s.budget("p", "web", 0, 1, 1, 1)
	l := newLoop(s)
	for range 20 {
		l.step(time.Second)
	}
	l.pods["n"] = []*Pod{}
	for range 20 {
		l.step(time.Second)
	}
	var phases []api.Phase
	for _, e := range eventsOf[PhaseChanged](l) {
		phases = append(phases, e.Phase)
	}
	if want := []api.Phase{api.Draining, api.Blocked, api.Draining, api.Drained}; !slices.Equal(phases, want) {
		t.Errorf("the phases told are %v, want %v", phases, want)
	}
}

// TestVerdictsTold: a dry run is told once, with its verdicts, and not before them.
func TestVerdictsTold(t *testing.T) {
	s := newScene()
	n := s.node("n", api.DrainAnnotation, "look", api.DryRunAnnotation, "true")
	l := newLoop(s)
	told := func(when string, want int) {
		t.Helper()
		for range 20 {
			l.step(time.Second)
		}
		if got := len(eventsOf[PhaseChanged](l)); got != want {
			t.Errorf("%s: told %d times, want %d", when, got, want)
		}
	}
	told("before the verdicts", 0)
	run := NewJudgement([]*Pod{{Name: "bare"}}, Surroundings{}, &s.Config, l.Now).Done(l.Now)
	l.facts = append(l.facts, NodeJudged{Node: n.UID, Request: "look", DryRun: run})
	told("after the verdicts", 1)
	told("later", 1)
}

// TestCordonRestoredOnce: that somebody uncordons a node is told the first time.
func TestCordonRestoredOnce(t *testing.T) {
	s := newScene()
	n := s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	s.pod("n", "web-1")
	s.budget("p", "web", 0, 1, 1, 1)
	l := newLoop(s)
	for times := range 3 {
		for range 20 {
			l.step(time.Second)
		}
		if !n.Unschedulable {
			t.Fatal("the cordon is not restored")
		}
		if got := len(eventsOf[CordonRestored](l)); got != min(times, 1) {
			t.Errorf("uncordoned %d times, told %d times", times, got)
		}
		n.Unschedulable, n.OwnCordon = false, false
	}
}

// TestReplicaAskedOnce: another replica is looked for once in an interval, and
// only when drainer's own pod is the last.
func TestReplicaAskedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		own  types.UID
		want int
	}{
		"its own pod is the last": {"uid-web-1", 4},
		"it runs elsewhere":       {"uid-web-9", 0},
	} {
		s := newScene()
		s.Config.OwnPod, s.Config.HandsOver = test.own, true
		s.node("n", api.DrainAnnotation, "r")
		s.node("spare")
		s.pod("n", "web-1")
		l := newLoop(s)
		l.step(0)
		l.step(time.Second)
		asked := 0
		for range 4 * int(lookupInterval/time.Second) {
			if l.step(time.Second).HandOver != nil {
				asked++
			}
		}
		if asked != test.want || l.Memory.Replica.AskedAt.IsZero() != (test.want == 0) {
			t.Errorf("%s: asked %d times in four intervals, last at %v, want %d times", name, asked, l.Memory.Replica.AskedAt, test.want)
		}
	}
}

// TestUncertainTerminates: an eviction without an answer counts as admitted once
// the pod is seen to terminate, from then on, and not before.
func TestUncertainTerminates(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	pod := s.pod("n", "web-1")
	l := newLoop(s)
	var plan Plan
	for range 3 {
		plan = l.step(time.Second)
	}
	if len(plan.Grants) != 1 {
		t.Fatalf("granted %v", granted(plan))
	}
	l.facts = append(l.facts, Answered{Grant: plan.Grants[0], Outcome: Outcome{Reason: Unknown, Code: NoAnswer}, At: l.Now})
	l.step(time.Second)
	if m := l.Memory.Pods[pod.UID].Memory.Tries(); !m.AdmittedAt.IsZero() || !m.Uncertain {
		t.Errorf("admitted at %v, uncertain: %v, want uncertain", m.AdmittedAt, m.Uncertain)
	}
	deleted := l.Now
	leaving := *pod
	leaving.Deadline, leaving.Grace = deleted.Add(30*time.Second), 30*time.Second
	l.pods["n"] = []*Pod{&leaving}
	l.step(time.Second)
	if m := l.Memory.Pods[pod.UID].Memory.Tries(); !m.AdmittedAt.Equal(deleted) || m.Uncertain {
		t.Errorf("admitted at %v, uncertain: %v, want since it was deleted at %v", m.AdmittedAt, m.Uncertain, deleted)
	}
}

// TestPassedOver: a pod that is passed over would not have changed, and one
// that was taken in is passed over, whatever its state and memory.
func TestPassedOver(t *testing.T) {
	config := Config{StuckAfter: 5 * time.Minute}
	plan := &NodePlan{}
	for _, state := range []PodState{
		{State: Eligible, Since: noon, Pod: &Pod{}},
		{State: Eligible, Since: noon, Pod: &Pod{Instructions: []string{"drainer.dev/x"}}},
		{State: Blocked, Since: noon, Reason: Webhook, Pod: &Pod{}},
		{State: Blocked, Since: noon, Reason: BarePod, Pod: &Pod{Instructions: []string{"drainer.dev/x"}}},
		{State: Terminating, Since: noon, Reason: GracePeriod, Pod: &Pod{Deadline: noon.Add(time.Minute)}},
	} {
		for _, now := range []time.Time{noon, noon.Add(blockedAfter), noon.Add(time.Hour)} {
			for _, blocked := range []time.Time{{}, noon, noon.Add(time.Second)} {
				for bits := range 64 {
					bit := func(i int) bool { return bits>>i&1 == 1 }
					memory := PodMemory{Target: bit(0), BlockedSince: blocked, ToldBlocked: bit(1), ToldStuck: bit(2), ToldIgnored: bit(3)}
					tries := Tries{Uncertain: bit(4)}
					if !blocked.IsZero() {
						memory.BlockedBy = Webhook
					}
					if bit(5) {
						tries.AdmittedAt = noon
					}
					memory = memory.with(tries)
					kept, events := memory.kept(plan, &state, config, now)
					if memory.says(&state, config, now) && (kept != memory || len(events) > 0) {
						t.Fatalf("%s by %q with %+v at %v is passed over, but becomes %+v with %d events", state.State, state.Reason, memory, now, kept, len(events))
					}
					if !kept.says(&state, config, now) {
						t.Fatalf("%s by %q with %+v at %v is not passed over although nothing is left to be said", state.State, state.Reason, kept, now)
					}
				}
			}
		}
	}
}
