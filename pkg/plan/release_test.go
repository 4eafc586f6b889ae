package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// releasing is a scene with a node that has been drained for a minute and may be
// for 30 s, with one pod, and that is to be released then.
func releasing(annotations ...string) (scene, *Node) {
	s := newScene()
	s.Config.Timeout, s.Config.OnTimeout = 30*time.Second, api.Release
	n := s.draining("n", annotations...)
	s.pod("n", "web-1")
	s.budget("web", "web", 0, 1, 1, 1)
	return s, n
}

// keep takes in what a plan decided about a node.
func (s scene) keep(p Plan) {
	for i := range p.Nodes {
		s.Memory.Nodes[p.Nodes[i].Node.UID] = p.Nodes[i].Memory
	}
}

// TestReleaseAtTimeout: a drain that gives up says so first, then takes the
// cordon back, and nothing else of it continues.
func TestReleaseAtTimeout(t *testing.T) {
	s, n := releasing()
	first := Make(s.Snapshot)
	plan := planOf(t, first, "n")
	r := plan.Report()
	if plan.Phase != api.TimedOut || r.InProgress != corev1.ConditionFalse || r.Drained != corev1.ConditionFalse || !r.Status.ReleasedAt.Equal(noon) {
		t.Errorf("the node says %s, %s, %s, %+v", plan.Phase, r.InProgress, r.Drained, r.Status)
	}
	if want := "timed out and released"; !strings.Contains(r.Message, want) || !strings.Contains(r.Message, "PDB ns/web") {
		t.Errorf("the message is %q, want %q and what the drain waited for", r.Message, want)
	}
	if !plan.Write || plan.Uncordon || plan.Cordon || plan.Watch || len(first.Grants) > 0 {
		t.Errorf("write %v, uncordon %v, cordon %v, watch %v, %d grants; want the report alone", plan.Write, plan.Uncordon, plan.Cordon, plan.Watch, len(first.Grants))
	}
	s.keep(first)
	s.report(n)
	plan = planOf(t, Make(s.Snapshot), "n")
	if !plan.Uncordon || plan.Cordon {
		t.Errorf("uncordon %v, cordon %v; want to take the cordon back", plan.Uncordon, plan.Cordon)
	}
	n.Unschedulable, n.OwnCordon = false, false
	plan = planOf(t, Make(s.Snapshot), "n")
	if plan.Acts() {
		t.Errorf("there is something left to do: %+v", plan)
	}
}

// TestAnnouncedRelease: a node that has to say something else says already that it was
// released, if it says so of this request.
func TestAnnouncedRelease(t *testing.T) {
	at := noon
	for name, test := range map[string]struct {
		write bool
		said  api.Status
		want  bool
	}{
		"nothing to say":  {false, api.Status{}, true},
		"not said":        {true, api.Status{Request: "r"}, false},
		"said":            {true, api.Status{Request: "r", ReleasedAt: &at}, true},
		"said of another": {true, api.Status{Request: "x", ReleasedAt: &at}, false},
	} {
		n := NodePlan{Write: test.write, Request: api.Request{ID: "r"}}
		n.Memory.Written.Report.Status = test.said
		if got := n.announcedRelease(); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestReleasedStays: nothing but another ID begins a drain again, and that begins
// at the end of the queue.
func TestReleasedStays(t *testing.T) {
	for name, test := range map[string]struct {
		change func(scene, *Node)
		phase  api.Phase
	}{
		"nothing":        {func(scene, *Node) {}, api.TimedOut},
		"more time":      {func(_ scene, n *Node) { n.Annotations[api.TimeoutAnnotation] = "10h" }, api.TimedOut},
		"another action": {func(_ scene, n *Node) { n.Annotations[api.OnTimeoutAnnotation] = "Wait" }, api.TimedOut},
		"no timeout":     {func(s scene, _ *Node) { s.Config.Timeout = 0 }, api.TimedOut},
		"a pause":        {func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" }, api.TimedOut},
		"a mistake":      {func(_ scene, n *Node) { n.Annotations[api.TimeoutAnnotation] = "soon" }, api.InvalidRequest},
		"a restart":      {func(s scene, n *Node) { delete(s.Memory.Nodes, n.UID) }, api.TimedOut},
		"another ID":     {func(s scene, n *Node) { n.Annotations[api.DrainAnnotation] = "r2" }, api.Draining},
		"another ID while nobody looked": {func(s scene, n *Node) {
			n.Annotations[api.DrainAnnotation] = "r2"
			delete(s.Memory.Nodes, n.UID)
		}, api.Draining},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := releasing()
			s.node("spare")
			s.keep(Make(s.Snapshot))
			s.report(n)
			n.Unschedulable, n.OwnCordon = false, false
			test.change(s, n)
			s.Now = s.Now.Add(time.Hour)
			p := Make(s.Snapshot)
			plan := planOf(t, p, "n")
			if plan.Phase != test.phase {
				t.Errorf("it is %s, want %s", plan.Phase, test.phase)
			}
			begins := test.phase == api.Draining
			if plan.Watch != begins || plan.Cordon || plan.Memory.HeldSlot != begins || len(p.Grants) > 0 || plan.Facts.Drained != corev1.ConditionFalse {
				t.Errorf("watch %v, cordon %v, slot %v, %d grants", plan.Watch, plan.Cordon, plan.Memory.HeldSlot, len(p.Grants))
			}
			if begins && !plan.Memory.RequestedAt.Equal(s.Now) {
				t.Errorf("it was requested at %v, want now", plan.Memory.RequestedAt)
			}
		})
	}
}

// TestReleaseWaits: what may not be judged yet is not released, and neither is a
// node that is done.
func TestReleaseWaits(t *testing.T) {
	for name, test := range map[string]struct {
		change   func(scene, *Node)
		released bool
	}{
		"overdue":     {func(scene, *Node) {}, true},
		"in time":     {func(s scene, _ *Node) { s.Config.Timeout = time.Hour }, false},
		"paused":      {func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" }, false},
		"mistaken":    {func(_ scene, n *Node) { n.Annotations[api.Prefix+"on-time-out"] = "Wait" }, false},
		"to continue": {func(_ scene, n *Node) { n.Annotations[api.OnTimeoutAnnotation] = "Wait" }, false},
		"to stop":     {func(_ scene, n *Node) { n.Annotations[api.OnTimeoutAnnotation] = "Stop" }, false},
		"drained": {func(s scene, n *Node) {
			m := s.Memory.Nodes[n.UID]
			m.FinishedAt = noon
			s.Memory.Nodes[n.UID] = m
			s.Pods["n"] = []*Entry{}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := releasing()
			test.change(s, n)
			plan := planOf(t, Make(s.Snapshot), "n")
			if plan.Memory.released() != test.released {
				t.Errorf("released %v, want %v", plan.Memory.released(), test.released)
			}
		})
	}
}
