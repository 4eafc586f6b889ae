package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestProgressInterval: progress is written 1, 3 and 10 s after a change of
// phase, which the first count of the pods is, too, and then every 10 s.
func TestProgressInterval(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	for i := range 100 {
		s.pod("n", fmt.Sprintf("web-%02d", i))
	}
	l := newLoop(s)
	l.step(0)
	counted := l.Now.Add(time.Second)
	var written []time.Duration
	for range 45 {
		if planOf(t, l.step(time.Second), "n").Write {
			written = append(written, l.Now.Sub(counted)/time.Second)
		}
		l.pods["n"] = l.pods["n"][1:]
	}
	if want := []time.Duration{0, 1, 3, 10, 20, 30, 40}; !slices.Equal(written, want) {
		t.Errorf("progress was written after %d s, want %d", written, want)
	}
}

// TestUndone: a status that somebody removes is written again, but not more
// often than progress would be.
func TestUndone(t *testing.T) {
	for name, undo := range map[string]func(*Node){
		"the status":             func(n *Node) { delete(n.Annotations, api.StatusAnnotation) },
		"a condition":            func(n *Node) { n.InProgress.Status = corev1.ConditionUnknown },
		"the absence of drained": func(n *Node) { n.Annotations[api.DrainedAnnotation] = "r" },
	} {
		s := newScene()
		n := s.draining("n")
		s.pod("n", "web-1")
		s.report(n)
		undo(n)
		for after, want := range map[time.Duration]bool{time.Second - 1: false, time.Second: true} {
			s.Now = noon.Add(after)
			if got := planOf(t, Make(s.Snapshot), "n").Write; got != want {
				t.Errorf("%s: written again after %v: %v, want %v", name, after, got, want)
			}
		}
	}
}

// TestUnseen: a report that the cache does not show yet is not written again;
// after 10 s the Node is read.
func TestUnseen(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.pod("n", "web-1", func(p *Pod) { p.Deadline = noon.Add(time.Hour) })
	s.report(n)
	delete(n.Annotations, api.StatusAnnotation)
	m := s.Memory.Nodes[n.UID]
	m.Written.Version = "2"
	s.Memory.Nodes[n.UID] = m
	for after, reads := range map[time.Duration]bool{time.Second: false, unseenFor - 1: false, unseenFor: true} {
		s.Now = noon.Add(after)
		if got := planOf(t, Make(s.Snapshot), "n"); got.Write || got.Read != reads {
			t.Errorf("after %v: write %v, read %v, want only read: %v", after, got.Write, got.Read, reads)
		}
	}
}

// TestRestartKeepsReport: a new process leaves what the Node says until it has
// counted the pods itself, but not for longer than 10 s.
func TestRestartKeepsReport(t *testing.T) {
	started := noon.Add(-time.Hour)
	before := Report{
		Status:     api.Status{Request: "r", Phase: api.Blocked, RequestedAt: &started, StartedAt: &started, Pods: api.PodCounts{Blocked: 3, Gone: 4}},
		InProgress: corev1.ConditionTrue, Drained: corev1.ConditionFalse,
	}
	s := newScene()
	s.Began = noon
	n := s.draining("n")
	clear(s.Memory.Nodes)
	delete(s.Pods, "n")
	show(n, before)
	for after, writes := range map[time.Duration]bool{0: false, progressInterval - 1: false, progressInterval: true} {
		s.Now = noon.Add(after)
		if plan := Make(s.Snapshot); planOf(t, plan, "n").Write != writes {
			t.Errorf("%v after the restart, pods not read: writes %v, want %v", after, !writes, writes)
		}
	}
	s.Now = noon
	if plan := Make(s.Snapshot); !plan.Wake.Equal(noon.Add(progressInterval)) {
		t.Errorf("plans again after %v, want %v", plan.Wake.Sub(noon), progressInterval)
	}
	s.pod("n", "web-1")
	if !planOf(t, Make(s.Snapshot), "n").Write {
		t.Error("the pods are counted and the report is not written")
	}
}

// TestWords: a report in which nothing but words changed is compared 1, 3 and
// 10 s after a change of phase and then every 10 s, and not written if they are
// the same.
func TestWords(t *testing.T) {
	for changed, next := range map[time.Duration]time.Duration{0: 1, 1: 3, 3: 10, 10: 20, 20: 30} {
		s := newScene()
		s.draining("n").Annotations[api.StatusAnnotation] = ""
		pod := s.pod("n", "web-1", func(p *Pod) { p.Deadline, p.Stopped = noon.Add(-2*time.Hour), true })
		l := newLoop(s)
		l.Memory.Nodes["uid-n"] = s.Memory.Nodes["uid-n"]
		l.step(0)
		var written []time.Duration
		for after := range 45 * time.Second / time.Second {
			if planOf(t, l.step(time.Second), "n").Write {
				written = append(written, after)
			}
			if after == changed {
				pod.Finalizers = "a/b"
			}
		}
		if want := []time.Duration{0, next}; !slices.Equal(written, want) {
			t.Errorf("words that changed after %d s were written after %d s, want %d", changed, written, want)
		}
	}
}

// TestPlaceInQueue: a change of nothing but the place in the queue is written
// once a minute, and later by a tenth of a second for each queued node.
func TestPlaceInQueue(t *testing.T) {
	for nodes, interval := range map[int]time.Duration{3: queueInterval, 1000: 100 * time.Second} {
		s := newScene()
		s.Config.MaxDraining, _ = ParseShare("1")
		s.draining("busy")
		s.pod("busy", "web-1")
		for i := range nodes {
			n := s.node(fmt.Sprintf("n%04d", i), api.DrainAnnotation, "r")
			s.Memory.Nodes[n.UID] = NodeMemory{Request: "r", RequestedAt: noon, Counted: true}
		}
		first, last := s.Nodes[1], s.Nodes[nodes]
		s.report(last)
		// One of nodes+1 requests is withdrawn.
		delete(first.Annotations, api.DrainAnnotation)
		for after, want := range map[time.Duration]bool{interval - 1: false, interval: true} {
			s.Now = noon.Add(after)
			if got := planOf(t, Make(s.Snapshot), last.Name).Write; got != want {
				t.Errorf("%d nodes, after %v: written: %v, want %v", nodes, after, got, want)
			}
		}
	}
}

// TestPhaseChanged: what is written at once.
func TestPhaseChanged(t *testing.T) {
	draining := api.Status{Request: "r", Phase: api.Draining, StartedAt: &noon}
	with := func(s api.Status, pods api.PodCounts) api.Status { s.Pods = pods; return s }
	other := draining
	other.Request = "s"
	blocked := draining
	blocked.Phase = api.Blocked
	queued := draining
	queued.StartedAt = nil
	asking, judged := draining, draining
	asking.Verdicts, judged.Verdicts = &api.Verdicts{}, &api.Verdicts{At: &noon}
	for name, test := range map[string]struct {
		was, is api.Status
		want    bool
	}{
		"nothing":                         {draining, draining, false},
		"the phase":                       {draining, blocked, true},
		"the request":                     {draining, other, true},
		"the start":                       {queued, draining, true},
		"the verdicts":                    {asking, judged, true},
		"what is asked for":               {draining, asking, false},
		"the first count":                 {draining, with(draining, api.PodCounts{Eligible: 2}), true},
		"the first count, with ignored":   {draining, with(draining, api.PodCounts{Eligible: 1, Ignored: 1}), true},
		"the first count, only ignored":   {draining, with(draining, api.PodCounts{Ignored: 1}), true},
		"a later count":                   {with(draining, api.PodCounts{Eligible: 2}), with(draining, api.PodCounts{Eligible: 1, Gone: 1}), false},
		"a later count, as many ignored":  {with(draining, api.PodCounts{Eligible: 1, Ignored: 1}), with(draining, api.PodCounts{Blocked: 1, Ignored: 1}), false},
		"a later count, none to be moved": {with(draining, api.PodCounts{Ignored: 1}), with(draining, api.PodCounts{Eligible: 1, Ignored: 1}), false},
	} {
		if got := phaseChanged(test.was, test.is); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestOlderVersion: versions are compared as numbers; what is none is not older.
func TestOlderVersion(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"1", "2", true},
		{"9", "10", true},
		{"2", "2", false},
		{"10", "9", false},
		{"", "2", false},
		{"1", "", false},
		{"x", "2", false},
		{"1", "x", false},
	} {
		if got := OlderVersion(test.a, test.b); got != test.want {
			t.Errorf("%q is older than %q: %v, want %v", test.a, test.b, got, test.want)
		}
	}
}
