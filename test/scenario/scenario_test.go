package scenario_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/test/scenario"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// seeded draws numbers that follow from a seed.
type seeded struct{ *rand.Rand }

// IntN implements scenario.Draw.
func (s seeded) IntN(_ string, n int) int { return s.Rand.IntN(n) }

// simplest always draws 0.
type simplest struct{}

// IntN implements scenario.Draw.
func (simplest) IntN(string, int) int { return 0 }

func generate(seed uint64) *scenario.Scenario {
	return scenario.Generate(seeded{rand.New(rand.NewPCG(seed, 0))}, noon)
}

// TestSame: the same numbers make the same scenario, and others another.
func TestSame(t *testing.T) {
	first, again, other := generate(1).String(), generate(1).String(), generate(2).String()
	if first != again {
		t.Error("two scenarios of one seed differ")
	}
	if first == other {
		t.Error("two seeds make the same scenario")
	}
}

// TestSimplest: nothing goes wrong in the simplest scenario.
func TestSimplest(t *testing.T) {
	s := scenario.Generate(simplest{}, noon)
	if len(s.Faults)+len(s.Lags) > 0 || s.Calm != 0 {
		t.Errorf("the simplest scenario is\n%s", s)
	}
}

// TestFaulty: a fault happens to every so many requests of its class, in its
// time.
func TestFaulty(t *testing.T) {
	s := &scenario.Scenario{Faults: []scenario.Fault{{From: time.Second, Until: time.Minute, Class: scenario.Writes, Every: 2}}}
	f := s.Faulty()
	for i, q := range []struct {
		after time.Duration
		class scenario.Class
		want  bool
	}{
		{0, scenario.Writes, false},
		{time.Second, scenario.Writes, false},
		{2 * time.Second, scenario.Evictions, false},
		{3 * time.Second, scenario.Writes, true},
		{4 * time.Second, scenario.Writes, false},
		{time.Minute, scenario.Writes, false},
	} {
		if got := f.Of(q.after, q.class) != nil; got != q.want {
			t.Errorf("request %d has a fault: %v", i, got)
		}
	}
}

// TestLag: the longest lag of a resource counts, in its time.
func TestLag(t *testing.T) {
	s := &scenario.Scenario{Lags: []scenario.Lag{
		{From: 0, Until: time.Minute, Resource: sim.Pods, By: time.Second},
		{From: time.Second, Until: 2 * time.Second, Resource: sim.Pods, By: 3 * time.Second},
		{From: 0, Until: time.Minute, Resource: sim.Nodes, By: 2 * time.Second},
	}}
	for after, want := range map[time.Duration]time.Duration{0: time.Second, time.Second: 3 * time.Second, 2 * time.Second: time.Second, time.Minute: 0} {
		if got := s.LagOf(after, sim.Pods); got != want {
			t.Errorf("after %v watches lag by %v, want %v", after, got, want)
		}
	}
	if r := s.Rules(time.Millisecond); r.Patience != 3001*time.Millisecond || r.PodLag != 3001*time.Millisecond {
		t.Errorf("patience is %v, lag %v", r.Patience, r.PodLag)
	}
}
