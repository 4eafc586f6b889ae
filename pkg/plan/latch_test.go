package plan

import (
	"fmt"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestMarkLimit: with more nodes than may be, nothing is requested; the rule latches
// once they have been marked for long enough, whatever follows.
func TestMarkLimit(t *testing.T) {
	for name, test := range map[string]struct {
		marked, young, holding int
		asked                  int
		latched                bool
	}{
		"as many as may be":            {marked: 2, asked: 2},
		"all of the cluster":           {marked: 50, latched: true},
		"one more":                     {marked: 3, latched: true},
		"one more, but for how long":   {marked: 2, young: 1},
		"drained ones count":           {marked: 1, holding: 2, latched: true},
		"drained ones and young ones":  {marked: 1, holding: 1, young: 1},
		"as many, and one is drained":  {marked: 1, holding: 1, asked: 1},
		"as many, and all are drained": {holding: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMarked(deadlock)
			for i := range test.marked {
				s.marked(fmt.Sprintf("marked-%02d", i))
			}
			for i := range test.young {
				s.marked(fmt.Sprintf("young-%02d", i)).Marks[0].Since = noon
			}
			for i := range test.holding {
				s.marked(fmt.Sprintf("drained-%02d", i), api.DrainAnnotation, firstRequest, api.MarksAnnotation, records(firstRequest, time.Hour)).
					Marks[0] = Mark{}
			}
			p := Make(s.Snapshot)
			asked, latches := 0, 0
			for _, m := range p.Marks {
				if m.Annotations[api.DrainAnnotation] != nil {
					asked++
				}
				if m.Annotations[api.LatchedAnnotation] != nil {
					latches++
				}
			}
			want := 0
			if test.latched {
				want = deadlock.MaxNodes + 1
			}
			if asked != test.asked || p.MarkStates[0].Latched != test.latched || latches != want {
				t.Errorf("%d drains are requested, latched %v, %d nodes say so", asked, p.MarkStates[0].Latched, latches)
			}
			if !test.latched {
				return
			}
			s.write(&p)
			// All but one become well.
			for _, n := range s.Nodes[1:] {
				n.Marks[0] = Mark{Cleared: true}
				delete(n.Annotations, api.DrainAnnotation)
			}
			p = Make(s.Snapshot)
			if !p.MarkStates[0].Latched || len(markPlan(&p, s.Nodes[0].Name)) > 0 {
				t.Errorf("latched %v, the plan changes %q", p.MarkStates[0].Latched, markPlan(&p, s.Nodes[0].Name))
			}
			for _, n := range s.Nodes {
				delete(n.Annotations, api.LatchedAnnotation)
			}
			if p = Make(s.Snapshot); p.MarkStates[0].Latched || len(p.Marks) == 0 {
				t.Error("the rule was not resumed")
			}
		})
	}
}

// TestLatchIsWrittenOnce: while the nodes stay too many, no further node has to say
// that the rule is latched.
func TestLatchIsWrittenOnce(t *testing.T) {
	s := newMarked(deadlock)
	for i := range 50 {
		s.marked(fmt.Sprintf("n-%02d", i))
	}
	p := Make(s.Snapshot)
	s.write(&p)
	if p = Make(s.Snapshot); len(p.Marks) > 0 {
		t.Errorf("%d more nodes are changed", len(p.Marks))
	}
}

// TestMarkCounts: a node counts as requested if its record says so, or the request's
// own ID; as silent only once somebody has removed the request of a node that is
// still marked.
func TestMarkCounts(t *testing.T) {
	for name, test := range map[string]struct {
		change            func(*Node)
		requested, silent int
	}{
		"requested":          {func(*Node) {}, 1, 0},
		"the record is lost": {func(n *Node) { delete(n.Annotations, api.MarksAnnotation) }, 1, 0},
		"another rule's": {func(n *Node) {
			n.Annotations[api.DrainAnnotation] = "label/broken/2030-01-31T11:00:00Z"
			n.Annotations[api.MarksAnnotation] = records("label/broken/2030-01-31T11:00:00Z", time.Hour)
		}, 1, 0},
		"removed": {func(n *Node) { delete(n.Annotations, api.DrainAnnotation) }, 0, 1},
		"removed and cleared": {func(n *Node) {
			delete(n.Annotations, api.DrainAnnotation)
			n.Marks[0] = Mark{Cleared: true}
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMarked(deadlock)
			n := s.marked("n", api.DrainAnnotation, firstRequest, api.MarksAnnotation, records(firstRequest, time.Hour))
			test.change(n)
			if p := Make(s.Snapshot); p.MarkStates[0].Requested != test.requested || p.MarkStates[0].Silent != test.silent {
				t.Errorf("%+v, want %d requested and %d silent", p.MarkStates[0], test.requested, test.silent)
			}
		})
	}
}

// TestFollowRules: a rule that is latched, or resumed, is told once.
func TestFollowRules(t *testing.T) {
	m := NewMemory()
	for i, step := range []struct {
		latched bool
		told    int
	}{{false, 0}, {true, 1}, {true, 0}, {false, 1}, {false, 0}} {
		events := m.followRules([]MarkState{{Rule: "condition/Deadlock", MaxNodes: 2, Latched: step.latched}})
		if len(events) != step.told {
			t.Fatalf("step %d: %d events, want %d", i, len(events), step.told)
		}
		for _, e := range events {
			if c, ok := e.(RuleChanged); !ok || c.Rule != "condition/Deadlock" || c.Latched != step.latched || c.Text == "" {
				t.Errorf("step %d: the event is %+v", i, e)
			}
		}
	}
}
