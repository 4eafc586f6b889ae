package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestYield: a drain without progress gives its slot and its group to the next
// one, and says so.
func TestYield(t *testing.T) {
	busy := func(since time.Duration) func(scene) {
		return func(s scene) {
			s.Config.MaxDraining, s.Config.YieldAfter = shareOf("1"), time.Hour
			s.Config.Groups = []Group{{Label: "zone", MaxDraining: shareOf("1")}}
			s.spare(1)
			s.idle(s.draining("x"), since)
			s.asked("a")
		}
	}
	checkLimits(t, map[string]limitTest{
		"for long":         {prepare: busy(time.Hour), begin: []string{"a"}},
		"not for long":     {prepare: busy(time.Hour - time.Second), waits: QueuedForSlot, says: "1 of at most 1"},
		"never":            {prepare: func(s scene) { busy(9 * time.Hour)(s); s.Config.YieldAfter = 0 }, waits: QueuedForSlot, says: "1 of at most 1"},
		"and it continues": {prepare: func(s scene) { busy(time.Hour)(s); s.pod("x", "web-1") }, begin: []string{"a"}},
	})
	s := newScene()
	busy(time.Hour - time.Millisecond)(s)
	if wake := Make(s.Snapshot).Wake; !wake.Equal(noon.Add(time.Millisecond)) {
		t.Errorf("the next plan is made at %v", wake)
	}
	s = newScene()
	busy(time.Hour)(s)
	report := planOf(t, Make(s.Snapshot), "x").Report()
	if !strings.Contains(report.Message, "no progress for 1h00m: other nodes may begin in the meantime") || !report.Status.IdleSince.Equal(noon.Add(-time.Hour)) {
		t.Errorf("x says %q, idle since %v", report.Message, report.Status.IdleSince)
	}
}

// TestYieldOverdue: a drain that waits only for pods that have been past their grace
// periods for that long yields, too.
func TestYieldOverdue(t *testing.T) {
	overdue := func(since time.Duration) func(*Pod) {
		return func(p *Pod) { p.Deadline, p.Grace = noon.Add(-since), 30*time.Second }
	}
	for name, test := range map[string]struct {
		prepare func(scene)
		yields  bool
	}{
		"one for long":           {func(s scene) { s.pod("x", "web-1", overdue(time.Hour)) }, true},
		"one not for long":       {func(s scene) { s.pod("x", "web-1", overdue(time.Hour-time.Second)) }, false},
		"another not for long":   {func(s scene) { s.pod("x", "web-1", overdue(time.Hour)); s.pod("x", "web-2", overdue(time.Minute)) }, false},
		"another in its grace":   {func(s scene) { s.pod("x", "web-1", overdue(time.Hour)); s.pod("x", "web-2", overdue(-time.Second)) }, false},
		"another that can leave": {func(s scene) { s.pod("x", "web-1", overdue(time.Hour)); s.pod("x", "web-2") }, false},
		"another that cannot": {func(s scene) {
			s.pod("x", "web-1", overdue(time.Hour))
			s.pod("x", "stuck-1", func(p *Pod) { p.Controller = Owner{} })
		}, true},
		"another that was admitted": {func(s scene) {
			s.pod("x", "web-1", overdue(time.Hour))
			s.remember(s.pod("x", "web-2"), PodMemory{FirstSeen: noon, Target: true}.with(Tries{AdmittedAt: noon}))
		}, false},
		"paused": {func(s scene) {
			s.pod("x", "web-1", overdue(time.Hour))
			s.Nodes[1].Annotations[api.PausedAnnotation] = "true"
		}, false},
		"never, if that is not asked": {func(s scene) { s.pod("x", "web-1", overdue(9*time.Hour)); s.Config.YieldAfter = 0 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.Config.MaxDraining, s.Config.YieldAfter = shareOf("1"), time.Hour
			s.spare(1)
			x := s.draining("x")
			test.prepare(s)
			s.asked("a")
			s.Now = noon.Add(-2 * time.Hour)
			_, _ = s.planned(t, x)
			s.Now = noon
			plan := Make(s.Snapshot)
			if got := begun(plan); len(got) > 0 != test.yields {
				t.Errorf("%v begin, although x yields: %v", got, test.yields)
			}
			if says := strings.Contains(planOf(t, plan, "x").Report().Message, "other nodes may begin in the meantime"); says != test.yields {
				t.Errorf("x says %q", planOf(t, plan, "x").Report().Message)
			}
		})
	}
	s := newScene()
	s.Config.YieldAfter = time.Hour
	s.draining("x")
	s.pod("x", "web-1", overdue(9*time.Hour))
	if wake := Make(s.Snapshot).Wake; wake.IsZero() || wake.After(noon.Add(time.Hour)) {
		t.Errorf("the next plan is made at %v", wake)
	}
}

// TestYieldOverdueProgress: what leaves beside a pod that is overdue is progress.
func TestYieldOverdueProgress(t *testing.T) {
	s := newScene()
	s.Config.MaxDraining, s.Config.YieldAfter = shareOf("1"), time.Hour
	s.spare(1)
	x := s.draining("x")
	s.pod("x", "web-1", func(p *Pod) { p.Deadline, p.Grace = noon.Add(-9*time.Hour), 30*time.Second })
	s.pod("x", "web-2")
	s.asked("a")
	_, _ = s.planned(t, x)
	s.Pods["x"] = s.Pods["x"][:1]
	for after, yields := range []bool{0: false, 59: false, 60: true} {
		s.Now = noon.Add(time.Duration(after) * time.Minute)
		plan := Make(s.Snapshot)
		if begins := !planOf(t, plan, "a").Memory.StartedAt.IsZero(); begins != yields {
			t.Fatalf("%v after the last pod left, the next drain begins: %v", s.Now.Sub(noon), begins)
		}
		s.Memory.Keep(&plan, s.Config, s.Now)
	}
}

// TestYieldEnds: a drain that makes progress again does not say that it makes none.
func TestYieldEnds(t *testing.T) {
	s := newScene()
	s.Config.YieldAfter = time.Hour
	s.spare(1)
	s.idle(s.draining("x"), time.Hour)
	s.pod("x", "web-1")
	if report := planOf(t, Make(s.Snapshot), "x").Report(); strings.Contains(report.Message, "no progress") || report.Status.IdleSince != nil {
		t.Errorf("x says %q, idle since %v", report.Message, report.Status.IdleSince)
	}
}

// TestYieldAfterRestart: another process knows from the Node since when a drain
// has made no progress, once it has seen that it still makes none.
func TestYieldAfterRestart(t *testing.T) {
	since := noon.Add(-time.Hour)
	s := newScene()
	s.Config.MaxDraining, s.Config.YieldAfter = shareOf("1"), time.Hour
	s.spare(1)
	x := s.draining("x")
	s.idle(x, 0)
	delete(s.Memory.Nodes, x.UID)
	x.Annotations[api.StatusAnnotation] = api.Status{Request: "r", Phase: api.Blocked, StartedAt: &since, IdleSince: &since, Pods: api.PodCounts{Blocked: 1}}.Format()
	s.asked("a")
	plan := Make(s.Snapshot)
	if got := begun(plan); len(got) > 0 {
		t.Errorf("%v begin at once", got)
	}
	if got := planOf(t, plan, "x").Memory.IdleSince; !got.Equal(since) {
		t.Errorf("idle since %v, want %v", got, since)
	}
	s.Memory.Keep(&plan, s.Config, noon)
	if got := begun(Make(s.Snapshot)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v begin then, want a", got)
	}
	// A pod that left while nobody looked is progress.
	delete(s.Memory.Nodes, x.UID)
	x.Annotations[api.StatusAnnotation] = api.Status{Request: "r", Phase: api.Blocked, StartedAt: &since, IdleSince: &since, Pods: api.PodCounts{Blocked: 2}}.Format()
	if got := planOf(t, Make(s.Snapshot), "x").Memory.IdleSince; got.Equal(since) {
		t.Error("x is idle since before a pod left it")
	}
}
