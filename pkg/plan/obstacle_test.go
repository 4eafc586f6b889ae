package plan

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestObstacles: what waiting alone does not change is said, with how to fix it,
// of a drain under way and of one that is queued.
func TestObstacles(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(scene)
		// after is how long it has been so.
		after time.Duration
		want  string
	}{
		"nothing":       {func(s scene) { s.budget("web", "web", 1, 2, 1, 2) }, time.Hour, ""},
		"used up":       {func(s scene) { s.budget("web", "web", 0, 2, 2, 3) }, time.Hour, ""},
		"never allows":  {func(s scene) { s.budget("web", "web", 0, 1, 1, 1) }, 0, "budget_never_allows"},
		"surging":       {func(s scene) { s.budget("web", "web", 1, 2, 2, 1) }, 0, ""},
		"cannot sync":   {func(s scene) { s.budget("web", "web", 0, 1, 1, 1).SyncFailed = "no scale" }, 0, "budget_sync_failed"},
		"short, new":    {func(s scene) { s.budget("web", "web", 0, 1, 2, 3) }, time.Minute, ""},
		"short":         {func(s scene) { s.budget("web", "web", 0, 1, 2, 3) }, 6 * time.Minute, "budget_exhausted"},
		"no controller": {func(s scene) { s.Pods["n"][0].Pod.Controller = Owner{} }, 0, "bare_pod"},
		"will be deleted": {func(s scene) {
			s.Config.AllowDelete, s.Config.OnTimeout, s.Config.Timeout = true, api.Delete, 2*time.Hour
			s.budget("web", "web", 0, 1, 1, 1)
		}, 0, ""},
		"will not be deleted": {func(s scene) {
			s.Config.AllowDelete, s.Config.OnTimeout, s.Config.Timeout = true, api.Delete, 2*time.Hour
			s.Config.NeverDelete = []string{"ns"}
			s.budget("web", "web", 0, 1, 1, 1)
		}, 0, "budget_never_allows"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			s.pod("n", "web-1")
			test.prepare(s)
			s.planned(t, n)
			s.Now = s.Now.Add(test.after)
			judgeObstacle(t, s, n, test.want)
		})
		t.Run(name+", waiting", func(t *testing.T) {
			s := newScene()
			n := s.node("n", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z")
			pod := s.pod("n", "web-1")
			test.prepare(s)
			if plan, _ := s.planned(t, n); !plan.Foresee {
				t.Error("its pods are not listed")
			}
			s.Memory.Apply(NodeForeseen{Node: n.UID, Request: "r", Pods: Foresee(s.Snapshot, n, []*Pod{pod}), At: s.Now})
			s.Now = s.Now.Add(test.after)
			judgeObstacle(t, s, n, test.want)
		})
	}
}

func judgeObstacle(t *testing.T, s scene, n *Node, want string) {
	t.Helper()
	m := s.Memory.Nodes[n.UID]
	m.ToldUnfinishable = false
	s.Memory.Nodes[n.UID] = m
	plan, events := s.planned(t, n)
	r := plan.Report()
	e, told := eventOf[DrainUnfinishable](events)
	if want == "" {
		if len(r.Status.CannotFinish) > 0 || r.Unfinishable || told || strings.Contains(r.Message, "cannot finish") {
			t.Errorf("it cannot finish for %+v: %q", r.Status.CannotFinish, r.Message)
		}
		return
	}
	if len(r.Status.CannotFinish) != 1 || r.Status.CannotFinish[0].Reason != want || r.Status.CannotFinish[0].Fix == "" || !r.Unfinishable {
		t.Errorf("it cannot finish for %+v, want %s", r.Status.CannotFinish, want)
	}
	for what, text := range map[string]string{"message": r.Message, "event": e.Text} {
		if !strings.Contains(text, "cannot finish: ns/web-1 ") || !strings.Contains(text, "; to fix: ") {
			t.Errorf("the %s is %q", what, text)
		}
	}
	if _, events := s.planned(t, n); len(events) > 0 {
		t.Errorf("it is told again: %+v", events)
	}
}

// TestForeseen: the pods of a waiting node are listed regularly, only those
// that could not leave are kept, and what has been fixed is no longer reported.
func TestForeseen(t *testing.T) {
	s := newScene()
	n := s.node("n", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z")
	stays, leaves := s.pod("n", "web-1"), s.pod("n", "other-1")
	static := s.pod("n", "web-2", func(p *Pod) { p.Static = true })
	first, second := s.budget("a", "web", 1, 2, 1, 2), s.budget("b", "web", 1, 2, 1, 2)
	s.planned(t, n)
	kept := Foresee(s.Snapshot, n, []*Pod{stays, leaves, static})
	if len(kept) != 1 || kept[0] != stays {
		t.Fatalf("%d pods are kept, want the one under two budgets", len(kept))
	}
	s.Memory.Apply(NodeForeseen{Node: n.UID, Request: "r", Pods: kept, At: s.Now})
	s.Now = s.Now.Add(2 * time.Second)
	plan, _ := s.planned(t, n)
	if o := plan.Report().Status.CannotFinish; plan.Foresee || len(o) != 1 || o[0].Budget != first.Key()+", "+second.Key() {
		t.Errorf("listed again %v, obstacles %+v", plan.Foresee, o)
	}
	s.Now = s.Now.Add(time.Minute)
	all := s.Budgets["ns"]
	s.Budgets["ns"] = NamespaceBudgets{Epoch: all.Epoch + 1, List: all.List[:1]}
	if plan, _ = s.planned(t, n); plan.Facts.Unfinishable || !plan.Write {
		t.Errorf("it still cannot finish, or does not say so: %q", plan.Report().Message)
	}
	s.Now = s.Now.Add(6 * time.Minute)
	if plan, _ = s.planned(t, n); !plan.Foresee {
		t.Error("its pods are not listed again")
	}
	s.Memory.Apply(NodeForeseen{Node: n.UID, Request: "another", Pods: []*Pod{stays}, At: s.Now})
	if plan, _ = s.planned(t, n); !plan.Foresee {
		t.Error("the pods of another request count")
	}
}
