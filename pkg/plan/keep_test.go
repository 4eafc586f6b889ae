package plan

import (
	"testing"
	"time"

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
