package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// planned makes and keeps a plan, lets the node show its report, and returns the
// plan of the node and the events.
func (s scene) planned(t *testing.T, n *Node) (*NodePlan, []Event) {
	t.Helper()
	p := Make(s.Snapshot)
	events := s.Memory.Keep(&p, s.Config, s.Now)
	plan := planOf(t, p, n.Name)
	if plan.Write {
		r := plan.Report()
		m := s.Memory.Nodes[n.UID]
		m.Written = m.Written.after(NodeWritten{Node: n.UID, Version: n.ResourceVersion, Report: &r, At: s.Now})
		s.Memory.Nodes[n.UID] = m
		show(n, r)
	}
	return plan, events
}

// eventOf is the event of a type; false if there is none.
func eventOf[E Event](events []Event) (E, bool) {
	for _, event := range events {
		if e, is := event.(E); is {
			return e, true
		}
	}
	var none E
	return none, false
}

// TestHeld: a node whose request was removed stays cordoned while others hold it,
// says so and no longer that it is drained, and is released afterwards.
func TestHeld(t *testing.T) {
	for name, restart := range map[string]bool{"one process": false, "another process": true} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			s.pod("n", "web-1")
			s.planned(t, n)
			delete(n.Annotations, api.DrainAnnotation)
			n.Annotations[api.HoldPrefix+"backup"] = "copies the disk"
			n.Annotations[api.HoldPrefix+"cfg"] = ""
			plan, events := s.planned(t, n)
			r := plan.Report()
			if plan.Phase != api.Held || plan.Release || plan.Acts() || plan.Watch || !plan.Write {
				t.Errorf("the plan is %+v, want the report alone", plan)
			}
			if r.InProgress != corev1.ConditionFalse || r.Drained != corev1.ConditionFalse || r.Status.Request != "r" || r.Status.StartedAt != nil {
				t.Errorf("the node says %s, %s, %+v", r.InProgress, r.Drained, r.Status)
			}
			if !strings.Contains(r.Message, "stays cordoned: held by backup (copies the disk), cfg") {
				t.Errorf("the message is %q", r.Message)
			}
			if e, ended := eventOf[DrainEnded](events); !ended || e.Result != ResultCancelled {
				t.Errorf("the events are %+v, want the end of the drain", events)
			}
			if e, told := eventOf[PhaseChanged](events); !told || e.Phase != api.Held || e.Request != "r" {
				t.Errorf("the events are %+v, want that it is held", events)
			}
			if restart {
				s.Memory.Nodes = map[types.UID]NodeMemory{}
			}
			s.Now = s.Now.Add(time.Hour)
			if plan, events := s.planned(t, n); plan.Phase != api.Held || plan.Facts.Status.Request != "r" || !restart && len(events) > 0 {
				t.Errorf("an hour later the phase is %q of %q, with the events %+v", plan.Phase, plan.Facts.Status.Request, events)
			}
			delete(n.Annotations, api.HoldPrefix+"backup")
			if plan, _ := s.planned(t, n); plan.Release {
				t.Error("it is released although one still holds it")
			}
			delete(n.Annotations, api.HoldPrefix+"cfg")
			plan, events = s.planned(t, n)
			if e, told := eventOf[Released](events); !plan.Release || !told || e.Request != "r" {
				t.Errorf("release %v, events %+v; want the release of r", plan.Release, events)
			}
			if _, ended := eventOf[DrainEnded](events); ended {
				t.Error("the drain ended twice")
			}
		})
	}
}

// TestNotHeld: a hold alone changes nothing, and what is not cordoned is released.
func TestNotHeld(t *testing.T) {
	s := newScene()
	alone := s.node("alone", api.HoldPrefix+"backup", "x")
	queued := s.node("queued", api.HoldPrefix+"backup", "x")
	queued.QueuedTaint, queued.OwnStatus = true, true
	draining := s.draining("draining", api.HoldPrefix+"backup", "x")
	p := Make(s.Snapshot)
	if len(p.Nodes) != 2 {
		t.Errorf("%d nodes are planned, want not %s", len(p.Nodes), alone.Name)
	}
	if !planOf(t, p, "queued").Release {
		t.Error("a node that is not cordoned is held")
	}
	if plan := planOf(t, p, "draining"); plan.Phase != api.Draining {
		t.Errorf("%s is %s", draining.Name, plan.Phase)
	}
}

// TestHeldAgain: a request that comes again begins from its start, in whatever process.
func TestHeldAgain(t *testing.T) {
	for name, restart := range map[string]bool{"one process": false, "another process": true} {
		s := newScene()
		s.node("spare")
		n := s.draining("n", api.HoldPrefix+"backup", "x")
		m := s.Memory.Nodes[n.UID]
		m.FinishedAt, m.Result = noon, ResultDrained
		s.Memory.Nodes[n.UID] = m
		s.Pods["n"] = []*Entry{}
		s.planned(t, n)
		delete(n.Annotations, api.DrainAnnotation)
		s.planned(t, n)
		if restart {
			s.Memory.Nodes = map[types.UID]NodeMemory{}
		}
		s.Now = s.Now.Add(time.Minute)
		n.Annotations[api.DrainAnnotation] = "r"
		if plan, _ := s.planned(t, n); plan.Phase != api.Draining || !plan.Memory.StartedAt.Equal(s.Now) || plan.Memory.Result != "" {
			t.Errorf("%s: the phase is %s, begun at %v, with the result %q", name, plan.Phase, plan.Memory.StartedAt, plan.Memory.Result)
		}
	}
}

// TestHeldAtTimeout: what is released at the timeout waits for others, too.
func TestHeldAtTimeout(t *testing.T) {
	s, n := releasing(api.HoldPrefix+"backup", "copies the disk")
	s.planned(t, n)
	plan, _ := s.planned(t, n)
	if plan.Phase != api.TimedOut || plan.Uncordon || plan.Cordon {
		t.Errorf("the phase is %s, uncordon %v, cordon %v", plan.Phase, plan.Uncordon, plan.Cordon)
	}
	if want := "timed out; the node stays cordoned: held by backup (copies the disk)"; !strings.HasPrefix(plan.Report().Message, want) {
		t.Errorf("the message is %q, want %q", plan.Report().Message, want)
	}
	delete(n.Annotations, api.HoldPrefix+"backup")
	if plan, _ := s.planned(t, n); !plan.Uncordon {
		t.Error("it is not uncordoned although nobody holds it")
	}
}

// TestClaims: what a request claims is said, whatever else there is to say.
func TestClaims(t *testing.T) {
	for _, test := range []struct{ by, reason, want string }{
		{"", "", ""},
		{"alice", "", "requested by alice"},
		{"", "kernel update", "reason: kernel update"},
		{"alice", "kernel update", "requested by alice; reason: kernel update"},
	} {
		s := newScene()
		n := s.draining("n", api.RequestedByAnnotation, test.by, api.ReasonAnnotation, test.reason)
		m := s.Memory.Nodes[n.UID]
		m.Phase = api.Queued
		s.Memory.Nodes[n.UID] = m
		for i := range 200 {
			s.pod("n", strings.Repeat("x", i+20)+"-1", func(p *Pod) { p.Controller = Owner{} })
		}
		plan, events := s.planned(t, n)
		r := plan.Report()
		if !strings.HasSuffix(r.Message, test.want) || len(r.Message) > mostMessage || r.Status.RequestedBy != test.by || r.Status.RequestReason != test.reason {
			t.Errorf("%+v: the message is %q, the status has %q and %q", test, r.Message, r.Status.RequestedBy, r.Status.RequestReason)
		}
		e, _ := eventOf[PhaseChanged](events)
		if e.Claims() != test.want || test.want != "" && strings.Contains(e.Message, test.want) {
			t.Errorf("%+v: the event claims %q and says %q", test, e.Claims(), e.Message)
		}
	}
}

// TestDrainRecord: the end of a drain says what there is to say of it.
func TestDrainRecord(t *testing.T) {
	s := newScene()
	n := s.draining("n", api.RequestedByAnnotation, "alice", api.ReasonAnnotation, "kernel update")
	m := s.Memory.Nodes[n.UID]
	m.Deletions, m.Gone = map[string]int{"ns/db": 2}, 7
	s.Memory.Nodes[n.UID] = m
	blocked := s.pod("n", "web-1")
	s.budget("web", "web", 0, 1, 1, 1)
	s.planned(t, n)
	s.Now = s.Now.Add(time.Minute)
	s.planned(t, n)
	s.Pods["n"] = []*Entry{}
	s.Now = s.Now.Add(time.Minute)
	s.planned(t, n)
	cancelled := *n
	cancelled.Annotations = map[string]string{api.StatusAnnotation: n.Annotations[api.StatusAnnotation]}
	s.Nodes[0] = &cancelled
	_, events := s.planned(t, &cancelled)
	e, ended := eventOf[DrainEnded](events)
	if !ended || e.Request != "r" || e.RequestedBy != "alice" || e.Reason != "kernel update" || e.Gone != 7 ||
		len(e.Deletions) != 1 || !e.EndedAt.Equal(s.Now) || !e.StartedAt.Equal(m.StartedAt) {
		t.Errorf("the end is %+v", e)
	}
	if want := (WorstBlocker{Pod: blocked.Key(), Budget: "ns/web", Reason: BudgetNeverAllows, For: time.Minute}); e.Worst != want {
		t.Errorf("the worst blocker is %+v, want %+v", e.Worst, want)
	}
}

// TestConditionConflict: a conflict is told once, the node says it, and a condition
// of others is not written again and again.
func TestConditionConflict(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.pod("n", "web-1")
	plan, _ := s.planned(t, n)
	r := plan.Report()
	said := NodeWritten{Node: n.UID, Version: "2", Report: &r, Conflict: "condition Drained by kubectl", At: s.Now}
	if e, told := eventOf[ConditionConflict](s.Memory.Apply(said)); !told || e.Node.Name != "n" || e.Text != said.Conflict {
		t.Errorf("the event is %+v", e)
	}
	if events := s.Memory.Apply(said); len(events) > 0 {
		t.Errorf("it is told again: %+v", events)
	}
	n.ResourceVersion, n.Drained.Status = "3", corev1.ConditionTrue
	s.Now = s.Now.Add(time.Hour)
	s.planned(t, n)
	s.Now = s.Now.Add(time.Hour)
	s.Memory.Apply(NodeWritten{Node: n.UID, Version: "2", Report: &r, Conflict: said.Conflict, At: s.Now})
	n.Annotations[api.StatusAnnotation] = r.Status.Format()
	n.Drained.Status = corev1.ConditionTrue
	s.Now = s.Now.Add(9 * time.Second)
	p := Make(s.Snapshot)
	if again := planOf(t, p, "n"); wrongMarks(again) {
		t.Error("a condition that others own is to be changed")
	}
	n.Drained.Status = ""
	if again := planOf(t, Make(s.Snapshot), "n"); !wrongMarks(again) {
		t.Error("a condition that is missing is not to be written")
	}
	if w := planOf(t, p, "n").Report().Status.Warnings; len(w) != 1 || w[0] != said.Conflict {
		t.Errorf("the warnings are %q", w)
	}
	if s.Memory.Apply(NodeWritten{Node: n.UID, Version: "4", Report: &r, At: s.Now}); s.Memory.Nodes[n.UID].Conflict != "" {
		t.Error("the conflict stays although it has ended")
	}
}
