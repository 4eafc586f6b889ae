package plan

import (
	"fmt"
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
		"nothing":      {func(s scene) { s.budget("web", "web", 1, 2, 1, 2) }, time.Hour, ""},
		"used up":      {func(s scene) { s.budget("web", "web", 0, 2, 2, 3) }, time.Hour, ""},
		"never allows": {func(s scene) { s.budget("web", "web", 0, 1, 1, 1) }, 0, "budget_never_allows"},
		"never allows, and what manages it was not asked": {func(s scene) { s.budget("web", "web", 0, 1, 1, 1).Controller = "VMI vm" }, time.Hour, ""},
		"surging":       {func(s scene) { s.budget("web", "web", 1, 2, 2, 1) }, 0, ""},
		"cannot sync":   {func(s scene) { s.budget("web", "web", 0, 1, 1, 1).SyncFailed = "no scale" }, 0, "budget_sync_failed"},
		"short, new":    {func(s scene) { s.budget("web", "web", 0, 1, 2, 3) }, time.Minute, ""},
		"short":         {func(s scene) { s.budget("web", "web", 0, 1, 2, 3) }, 6 * time.Minute, "budget_exhausted"},
		"no controller": {func(s scene) { s.Pods["n"][0].Pod.Controller = Owner{} }, 0, "bare_pod"},
		"will be deleted": {func(s scene) {
			s.Config.AllowDelete, s.Config.OnTimeout, s.Config.Timeout = true, api.Delete, 2*time.Hour
			s.budget("web", "web", 0, 1, 1, 1)
		}, 0, ""},
		"will be deleted by its rule": {func(s scene) {
			s.Config.AllowDelete = true
			under(&Rule{Name: "r", Action: EvictPod, DeleteAfter: time.Hour})(s.Pods["n"][0].Pod)
			s.budget("web", "web", 0, 1, 1, 1)
		}, 0, ""},
		"its rule deletes nothing": {func(s scene) {
			s.Config.AllowDelete = true
			under(&Rule{Name: "r", Action: EvictPod})(s.Pods["n"][0].Pod)
			s.budget("web", "web", 0, 1, 1, 1)
		}, 0, "budget_never_allows"},
		"has no timeout at which it is deleted": {func(s scene) {
			s.Config.AllowDelete, s.Config.OnTimeout = true, api.Delete
			s.budget("web", "web", 0, 1, 1, 1)
		}, 0, "budget_never_allows"},
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
			s.foreseen(n, []*Pod{pod})
			s.Now = s.Now.Add(test.after)
			judgeObstacle(t, s, n, test.want)
		})
	}
}

// TestObstacleOfManager: a budget that a controller manages is an obstacle once it has
// refused an eviction.
func TestObstacleOfManager(t *testing.T) {
	for probed, want := range map[time.Time]string{{}: "", noon: "budget_never_allows"} {
		s := newScene()
		n := s.draining("n")
		s.pod("n", "web-1")
		b := s.budget("web", "web", 0, 1, 1, 1)
		b.Controller = "VirtualMachineInstance vm"
		s.Memory.Budgets[b.UID] = BudgetMemory{ProbedAt: probed}
		s.planned(t, n)
		judgeObstacle(t, s, n, want)
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

// TestObstaclesText: each obstacle is said with how many pods it holds, and no more
// obstacles than a status has room for.
func TestObstaclesText(t *testing.T) {
	two := []api.Obstacle{
		{Pod: "ns/a", Pods: 1, Message: "waits", Fix: "scale it"},
		{Pod: "ns/b", Pods: 3, Message: "is held", Fix: "let it go"},
	}
	want := "cannot finish: ns/a waits; to fix: scale it; cannot finish: ns/b (and 2 more) is held; to fix: let it go"
	if got := obstaclesText(two); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s := newScene()
	n := s.draining("n")
	for i := range api.MaxObstacles + 1 {
		app := fmt.Sprintf("app%d", i)
		s.pod("n", app+"-1")
		s.budget(app, app, 0, 1, 1, 1)
	}
	plan, _ := s.planned(t, n)
	if got := plan.Report().Status.CannotFinish; len(got) != api.MaxObstacles {
		t.Errorf("%d obstacles are listed, want %d", len(got), api.MaxObstacles)
	}
}
