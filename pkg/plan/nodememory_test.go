package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestPausedTime: the time that a drain is paused does not count as time that it
// takes, and a new process knows it, too.
func TestPausedTime(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		s := newScene()
		n := s.node("n", api.DrainAnnotation, "r")
		s.node("spare")
		s.pod("n", "web-1")
		s.budget("p", "web", 0, 1, 1, 1)
		l := newLoop(s)
		began := l.Now
		l.step(0)
		l.step(time.Second)
		n.Annotations[api.PausedAnnotation] = "true"
		l.step(time.Second)
		delete(n.Annotations, api.PausedAnnotation)
		l.step(90 * time.Second)
		plan := planOf(t, l.step(progressInterval), "n")
		if got := plan.Facts.Status.PausedSeconds; got != 90 {
			t.Errorf("the status says that the drain was paused for %d s, want 90", got)
		}
		if restarts {
			l.restart()
		}
		l.pods["n"] = []*Pod{}
		for range 10 {
			l.step(time.Second)
		}
		m := l.Memory.Nodes[n.UID]
		ends := eventsOf[DrainEnded](l)
		if want := m.FinishedAt.Sub(began) - 90*time.Second; len(ends) != 1 || ends[0].Result != ResultDrained || ends[0].Took != want {
			t.Errorf("restarts %v: the ends are %+v, want one after %v", restarts, ends, want)
		}
	}
}

// TestPausedAt: the clock of a drain stands still while it is paused, and while
// its request cannot be read.
func TestPausedAt(t *testing.T) {
	for name, test := range map[string]struct {
		annotation, value string
		stands            bool
	}{
		"continues":  {api.TimeoutAnnotation, "1h", false},
		"paused":     {api.PausedAnnotation, "true", true},
		"unreadable": {api.TimeoutAnnotation, "soon", true},
	} {
		s := newScene()
		s.draining("n", test.annotation, test.value)
		s.pod("n", "web-1")
		if at := planOf(t, Make(s.Snapshot), "n").Memory.PausedAt; at.Equal(noon) != test.stands || at.IsZero() == test.stands {
			t.Errorf("%s: the clock stands since %v, want it to stand: %v", name, at, test.stands)
		}
	}
}

// TestTimeout: a drain times out when its time is over and not later; the plan
// wakes then, unless the clock stands still.
func TestTimeout(t *testing.T) {
	for name, test := range map[string]struct {
		timeout, paused string
		phase           api.Phase
		wake            time.Time
	}{
		"its time is over": {"1m", "false", api.TimedOut, time.Time{}},
		"not yet":          {"1m1s", "false", api.Draining, noon.Add(time.Second)},
		"paused":           {"1m1s", "true", api.Paused, time.Time{}},
	} {
		s := newScene()
		s.draining("n", api.TimeoutAnnotation, test.timeout, api.PausedAnnotation, test.paused)
		s.pod("n", "web-1", func(p *Pod) { p.Deadline = noon.Add(time.Hour) })
		plan := Make(s.Snapshot)
		if got := planOf(t, plan, "n").Phase; got != test.phase || !plan.Wake.Equal(test.wake) {
			t.Errorf("%s: the node is %s, plans again at %v; want %s, %v", name, got, plan.Wake, test.phase, test.wake)
		}
	}
}

// TestRestoredSlot: a new request on a node keeps the slot, in a new process,
// too, if the drain before held one; one that gave up did not.
func TestRestoredSlot(t *testing.T) {
	for name, test := range map[string]struct {
		phase      api.Phase
		inProgress corev1.ConditionStatus
		started    *time.Time
		want       api.Phase
	}{
		"draining":        {api.Draining, corev1.ConditionTrue, &noon, api.Draining},
		"gave up":         {api.TimedOut, corev1.ConditionFalse, &noon, api.Queued},
		"paused":          {api.Paused, corev1.ConditionTrue, &noon, api.Draining},
		"gave up, paused": {api.Paused, corev1.ConditionFalse, &noon, api.Queued},
		// Whether it gave up before it became invalid is not known: it counts.
		"invalid": {api.InvalidRequest, corev1.ConditionFalse, &noon, api.Draining},
		"queued":  {api.Queued, corev1.ConditionFalse, nil, api.Queued},
		// Nobody but a person writes this.
		"in progress, never begun": {api.Queued, corev1.ConditionTrue, nil, api.Queued},
	} {
		s := newScene()
		s.Config.MaxDraining, _ = ParseShare("1")
		s.draining("busy")
		s.pod("busy", "web-1")
		n := s.node("n", api.DrainAnnotation, "new")
		show(n, Report{
			Status:     api.Status{Request: "old", Phase: test.phase, RequestedAt: &noon, StartedAt: test.started},
			InProgress: test.inProgress, Drained: corev1.ConditionFalse,
		})
		if got := planOf(t, Make(s.Snapshot), "n").Phase; got != test.want {
			t.Errorf("%s: under the new request the node is %s, want %s", name, got, test.want)
		}
	}
}

// TestInvalidKeepsSlot: an annotation that becomes invalid neither takes the slot
// of a drain nor returns it to a drain that gave up, in a new process, too.
func TestInvalidKeepsSlot(t *testing.T) {
	for name, test := range map[string]struct {
		gaveUp, restarts bool
		id               string
		want             api.Phase
	}{
		"a drain":                     {false, false, "r", api.Queued},
		"a drain, after a restart":    {false, true, "r", api.Queued},
		"another request":             {false, false, "other", api.Queued},
		"a drain that gave up":        {true, false, "r", api.Draining},
		"one that gave up, restarted": {true, true, "r", api.Queued},
	} {
		s := newScene()
		s.Config.MaxDraining, _ = ParseShare("1")
		n := s.draining("n")
		s.pod("n", "web-1")
		if test.gaveUp {
			n.Annotations[api.OnTimeoutAnnotation], n.Annotations[api.TimeoutAnnotation] = "Stop", "30s"
		}
		s.Memory.Keep(new(Make(s.Snapshot)), s.Config, s.Now)
		n.Annotations[api.GracePeriodAnnotation], n.Annotations[api.DrainAnnotation] = "none", test.id
		s.report(n)
		s.Memory.Keep(new(Make(s.Snapshot)), s.Config, s.Now)
		if test.restarts {
			delete(s.Memory.Nodes, n.UID)
		}
		s.node("next", api.DrainAnnotation, "r")
		s.node("spare")
		plan := Make(s.Snapshot)
		if got := planOf(t, plan, "n").Phase; got != api.InvalidRequest {
			t.Errorf("%s: the node is %s", name, got)
		}
		if got := planOf(t, plan, "next").Phase; got != test.want {
			t.Errorf("%s: beside it the next node is %s, want %s", name, got, test.want)
		}
	}
}

// TestGaveUpPaused: a drain that gave up is not in progress, also while it is
// paused.
func TestGaveUpPaused(t *testing.T) {
	for action, want := range map[string]corev1.ConditionStatus{"Stop": corev1.ConditionFalse, "Wait": corev1.ConditionTrue} {
		s := newScene()
		n := s.draining("n", api.OnTimeoutAnnotation, action, api.TimeoutAnnotation, "30s", api.PausedAnnotation, "true")
		s.pod("n", "web-1")
		plan := planOf(t, Make(s.Snapshot), n.Name)
		if plan.Phase != api.Paused || plan.Facts.InProgress != want {
			t.Errorf("%s: the node is %s, in progress is %s, want Paused, %s", action, plan.Phase, plan.Facts.InProgress, want)
		}
	}
}

// TestBlockedSince: as many pods as were counted are blocked since then, and no
// more of them.
func TestBlockedSince(t *testing.T) {
	since := noon.Add(-time.Hour)
	r := restored{more: map[Reason]api.MoreBlockers{Webhook: {Count: 2, Since: since}}}
	shared := r
	for i, want := range []bool{true, true, false, false} {
		if at, restored := r.blockedSince(Webhook); restored != want || restored && !at.Equal(since) {
			t.Errorf("pod %d is blocked since %v, restored: %v, want %v", i, at, restored, want)
		}
	}
	if _, restored := shared.blockedSince(BarePod); restored {
		t.Error("a pod that is blocked by something else is taken for one of those counted")
	}
	if shared.more[Webhook].Count != 2 {
		t.Error("a map that other plans share is changed")
	}
}

// TestRestoredTold: what a previous process has said in an event is not said again.
func TestRestoredTold(t *testing.T) {
	for name, test := range map[string]struct {
		status                api.Status
		unfinishable, verdict bool
	}{
		"nothing to say":     {api.Status{Verdicts: &api.Verdicts{}}, false, false},
		"it cannot finish":   {api.Status{CannotFinish: []api.Obstacle{{Pod: "ns/a"}}}, true, false},
		"it has its verdict": {api.Status{Verdicts: &api.Verdicts{At: &noon}}, false, true},
	} {
		s := newScene()
		n := s.node("n", api.DrainAnnotation, "r")
		test.status.Version, test.status.Request, test.status.Phase = 1, "r", api.Draining
		n.Annotations[api.StatusAnnotation] = test.status.Format()
		m := nodeMemoryOf(n, "r", NodeMemory{}, false, noon)
		if m.Phase != api.Draining || m.ToldUnfinishable != test.unfinishable || m.ToldVerdicts != test.verdict {
			t.Errorf("%s: phase %s, told that it cannot finish %v, the verdicts %v", name, m.Phase, m.ToldUnfinishable, m.ToldVerdicts)
		}
	}
}
