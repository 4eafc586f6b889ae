package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

const incident = "INC-42 database failover"

// TestControlOf: what cannot be understood pauses, and says how to resume.
func TestControlOf(t *testing.T) {
	for name, test := range map[string]struct {
		is   corev1.ConfigMap
		want Control
	}{
		"empty":    {corev1.ConfigMap{}, Control{}},
		"a reason": {corev1.ConfigMap{Data: map[string]string{"paused": incident}}, Control{Paused: incident}},
		"a typo":   {corev1.ConfigMap{Data: map[string]string{"pause": incident}}, Control{Paused: `"pause" is not a key`, Mistaken: true}},
		"blank":    {corev1.ConfigMap{Data: map[string]string{"paused": ""}}, Control{Paused: "remove the key to resume", Mistaken: true}},
		"bytes":    {corev1.ConfigMap{BinaryData: map[string][]byte{"x": nil}}, Control{Paused: `"x" is not a key`, Mistaken: true}},
		"bytes for a reason": {corev1.ConfigMap{
			BinaryData: map[string][]byte{"paused": []byte(incident)},
		}, Control{Paused: "remove the key to resume", Mistaken: true}},
		"long": {corev1.ConfigMap{Data: map[string]string{"paused": strings.Repeat("x", 10000)}}, Control{Paused: strings.Repeat("x", mostControl-len("…")) + "…"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ControlOf(&test.is)
			if got.Mistaken != test.want.Mistaken || !strings.Contains(got.Paused, test.want.Paused) || test.want.Paused == "" && got.Paused != "" {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// TestPausedEverywhere: nothing is started, cordoned or evicted; a release and
// what is drained are left as they are; every node says why.
func TestPausedEverywhere(t *testing.T) {
	s := newScene()
	s.node("spare")
	busy := s.draining("busy")
	s.pod("busy", "web-1")
	begun := s.node("begun", api.DrainAnnotation, "r")
	begun.OwnStatus = true
	s.Memory.Nodes[begun.UID] = NodeMemory{Request: "r", RequestedAt: noon, StartedAt: noon, Phase: api.Draining, Counted: true}
	empty := s.draining("empty")
	done := s.draining("done")
	m := s.Memory.Nodes[done.UID]
	m.FinishedAt = noon
	s.Memory.Nodes[done.UID] = m
	s.node("waits", api.DrainAnnotation, "r").QueuedTaint = true
	s.node("wrong", api.DrainAnnotation, "r", api.PausedAnnotation, "yes")
	s.node("cancelled").OwnCordon = true
	dry := s.node("dry", api.DrainAnnotation, "r", api.DryRunAnnotation, "true")
	s.report(dry)
	s.report(begun)

	for paused, want := range map[bool]struct {
		granted []string
		phases  map[string]api.Phase
		cordon  bool
	}{
		false: {[]string{"web-1"}, map[string]api.Phase{
			"busy": api.Draining, "begun": api.Draining, "empty": api.Draining, "done": api.Drained, "waits": api.Draining, "wrong": api.InvalidRequest, "cancelled": "",
		}, true},
		true: {[]string{}, map[string]api.Phase{
			"busy": api.Paused, "begun": api.Paused, "empty": api.Paused, "done": api.Drained, "waits": api.Paused, "wrong": api.InvalidRequest, "cancelled": "",
		}, false},
	} {
		s.Control = Control{}
		if paused {
			s.Control.Paused = incident
		}
		s.report(empty)
		p := Make(s.Snapshot)
		if got := granted(p); !slices.Equal(got, want.granted) {
			t.Errorf("paused %v: granted %v, want %v", paused, got, want.granted)
		}
		for name, phase := range want.phases {
			n := planOf(t, p, name)
			if n.Phase != phase {
				t.Errorf("paused %v: %s is %q, want %q", paused, name, n.Phase, phase)
			}
			if phase == "" {
				if !n.Release {
					t.Errorf("paused %v: %s is not released", paused, name)
				}
				continue
			}
			if says := strings.Contains(n.Report().Message, incident); says != paused {
				t.Errorf("paused %v: %s says %q", paused, name, n.Report().Message)
			}
		}
		if n := planOf(t, p, "begun"); n.Cordon != want.cordon {
			t.Errorf("paused %v: the node that has begun is cordoned: %v", paused, n.Cordon)
		}
		if n := planOf(t, p, "waits"); n.Memory.started() == paused || n.Untaint == paused || n.Taint {
			t.Errorf("paused %v: the node that waits begins: %v, untaint %v, taint %v", paused, n.Memory.started(), n.Untaint, n.Taint)
		}
		if n := planOf(t, p, empty.Name); !n.Confirm {
			t.Errorf("paused %v: the empty node is not confirmed", paused)
		}
		s.report(dry)
		if n := planOf(t, Make(s.Snapshot), dry.Name); n.Judge == paused || strings.Contains(n.Report().Message, incident) != paused {
			t.Errorf("paused %v: a dry run asks the API server: %v, and says %q", paused, n.Judge, n.Report().Message)
		}
		if n := planOf(t, p, busy.Name); (n.Report().InProgress != corev1.ConditionTrue) || n.Release {
			t.Errorf("paused %v: the drain under way says %v, release %v", paused, n.Report().InProgress, n.Release)
		}
	}
}

// TestPausedEverywhereTime: the time for which everything is paused does not count towards
// the timeout, and what has given up says so all the while.
func TestPausedEverywhereTime(t *testing.T) {
	s := newScene()
	s.node("spare")
	s.draining("n", api.TimeoutAnnotation, "2m")
	s.draining("stopped", api.TimeoutAnnotation, "30s", api.OnTimeoutAnnotation, "Stop")
	s.pod("n", "web-1")
	s.pod("stopped", "web-2")
	s.budget("web", "web", 0, 1, 1, 1)
	l := newLoop(s)
	l.step(0)
	l.step(time.Minute)
	s.Control.Paused = incident
	l.step(0)
	p := l.step(time.Hour)
	if n := planOf(t, p, "n"); n.Phase != api.Paused {
		t.Errorf("after an hour it is %s, want Paused", n.Phase)
	}
	if n := planOf(t, p, "stopped"); n.Phase != api.TimedOut || !strings.Contains(n.Report().Message, incident) {
		t.Errorf("what has given up is %s: %s", n.Phase, n.Report().Message)
	}
	s.Control = Control{}
	if n := planOf(t, l.step(0), "n"); n.Phase == api.TimedOut || n.Phase == api.Paused {
		t.Errorf("it continues as %s", n.Phase)
	}
	if n := planOf(t, l.step(61*time.Second), "n"); n.Phase != api.TimedOut {
		t.Errorf("a minute later it is %s, want TimedOut", n.Phase)
	}
}

// TestControlChanged: a change is told once.
func TestControlChanged(t *testing.T) {
	m := NewMemory()
	told := 0
	for _, c := range []Control{{}, {Paused: "a"}, {Paused: "a"}, {Paused: "b", Mistaken: true}, {}} {
		told += len(m.follow(c))
	}
	if told != 3 {
		t.Errorf("told %d changes, want 3", told)
	}
}
