package plan

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
)

// TestClassify: §3 of the design, line by line.
func TestClassify(t *testing.T) {
	finished := func(p *Pod) { p.Phase, p.Ready = corev1.PodSucceeded, false }
	bare := func(p *Pod) { p.Controller = Owner{} }
	daemon := func(p *Pod) {
		p.Controller = Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "ds"}
	}
	deleted := func(p *Pod) { p.Deadline, p.Grace = noon.Add(10*time.Second), 30*time.Second }
	for name, test := range map[string]struct {
		change  []func(*Pod)
		prepare func(scene)
		state   State
		reason  Reason
		sent    bool
	}{
		"of a ReplicaSet":          {state: Eligible, sent: true},
		"static":                   {change: []func(*Pod){func(p *Pod) { p.Static = true }}, state: Ignored},
		"of a DaemonSet":           {change: []func(*Pod){daemon}, prepare: func(s scene) { s.DaemonSets["ds"] = true }, state: Ignored},
		"finished of a DaemonSet":  {change: []func(*Pod){daemon, finished}, prepare: func(s scene) { s.DaemonSets["ds"] = true }, state: Ignored},
		"of a DaemonSet just gone": {change: []func(*Pod){daemon}, state: Eligible},
		"of a DaemonSet long gone": {change: []func(*Pod){daemon}, prepare: seenLongAgo, state: Eligible, sent: true},
		"of a DaemonSet gone for the grace": {change: []func(*Pod){daemon}, prepare: func(s scene) {
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon.Add(-time.Minute), Orphan: &Orphan{"ds", noon.Add(-daemonSetGrace)}})
		}, state: Eligible, sent: true},
		"of a DaemonSet gone for less": {change: []func(*Pod){daemon}, prepare: func(s scene) {
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon.Add(-time.Minute), Orphan: &Orphan{"ds", noon.Add(-daemonSetGrace + 1)}})
		}, state: Eligible},
		"of a DaemonSet not found before": {change: []func(*Pod){daemon}, prepare: func(s scene) {
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon.Add(-time.Minute)})
		}, state: Eligible},
		"adopted by another DaemonSet": {change: []func(*Pod){daemon}, prepare: func(s scene) {
			s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon.Add(-time.Minute), Orphan: &Orphan{"older", noon.Add(-time.Minute)}})
		}, state: Eligible},
		"of another kind's set":        {change: []func(*Pod){daemon, func(p *Pod) { p.Controller.APIVersion = "x.io/v1" }}, state: Eligible, sent: true},
		"finished":                     {change: []func(*Pod){finished}, state: Eligible, sent: true},
		"terminating":                  {change: []func(*Pod){deleted}, state: Terminating, reason: GracePeriod},
		"overdue":                      {change: []func(*Pod){deleted, func(p *Pod) { p.Deadline = noon.Add(-time.Minute) }}, state: Terminating, reason: Kubelet},
		"held by a finalizer":          {change: []func(*Pod){deleted, func(p *Pod) { p.Finalizers, p.Stopped = "x/y", true }}, state: Terminating, reason: Finalizer},
		"bare":                         {change: []func(*Pod){bare}, state: Blocked, reason: BarePod},
		"bare, to be evicted":          {change: []func(*Pod){bare}, prepare: func(s scene) { s.Config.BarePods = EvictBarePods }, state: Eligible, sent: true},
		"bare, to be skipped":          {change: []func(*Pod){bare}, prepare: func(s scene) { s.Config.BarePods = IgnoreBarePods }, state: Ignored},
		"bare and finished":            {change: []func(*Pod){bare, finished}, state: Eligible, sent: true},
		"with an emptyDir":             {change: []func(*Pod){func(p *Pod) { p.EmptyDir = true }}, state: Eligible, sent: true},
		"with an emptyDir to keep":     {change: []func(*Pod){func(p *Pod) { p.EmptyDir = true }}, prepare: func(s scene) { s.Config.EmptyDir = BlockEmptyDir }, state: Blocked, reason: EmptyDirVolume},
		"being sent":                   {prepare: func(s scene) { s.InFlight["uid-web-1"] = Post{Sent: noon} }, state: Eligible},
		"throttled":                    {prepare: func(s scene) { s.Throttled = noon.Add(time.Second) }, state: Blocked, reason: Throttled},
		"drainer's own, others stay":   {prepare: func(s scene) { s.Config.OwnPod = "uid-web-1"; s.pod("n", "other-1") }, state: Blocked, reason: Order},
		"drainer's own, alone":         {prepare: func(s scene) { s.Config.OwnPod = "uid-web-1"; s.node("spare") }, state: Eligible, sent: true},
		"drainer's own, nowhere to go": {prepare: func(s scene) { s.Config.OwnPod = "uid-web-1" }, state: Blocked, reason: Order},
		"drainer's own, not asked yet": {prepare: func(s scene) { s.handsOver(ReplicaMemory{}); s.node("spare") }, state: Blocked, reason: Order},
		"drainer's own, handing over": {prepare: func(s scene) {
			s.handsOver(ReplicaMemory{AskedAt: noon, AnsweredAt: noon, Name: "ns/web-2"})
			s.node("spare")
		}, state: Blocked, reason: Order},
		"drainer's own, asked long ago": {prepare: func(s scene) {
			s.handsOver(ReplicaMemory{AskedAt: noon, AnsweredAt: noon.Add(-time.Minute)})
			s.node("spare")
		}, state: Blocked, reason: Order},
		"drainer's own, no replica":                {prepare: func(s scene) { s.handsOver(ReplicaMemory{AskedAt: noon, AnsweredAt: noon}); s.node("spare") }, state: Eligible, sent: true},
		"drainer's own, no replica, nowhere to go": {prepare: func(s scene) { s.handsOver(ReplicaMemory{AskedAt: noon, AnsweredAt: noon}) }, state: Blocked, reason: Order},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n")
			s.pod("n", "web-1", test.change...)
			if test.prepare != nil {
				test.prepare(s)
			}
			plan := Make(s.Snapshot)
			got := planOf(t, plan, "n").Pods[0]
			if got.State != test.state || got.Reason != test.reason {
				t.Errorf("state %s, reason %q; want %s, %q", got.State, got.Reason, test.state, test.reason)
			}
			if sent := slices.Contains(granted(plan), "web-1"); sent != test.sent {
				t.Errorf("sent: %v, want %v", sent, test.sent)
			}
		})
	}
}

func seenLongAgo(s scene) {
	s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon.Add(-time.Minute), Orphan: &Orphan{"ds", noon.Add(-time.Minute)}})
}

// TestReturning: what keeps coming back waits longer each time; what came
// together with the first one does not.
func TestReturning(t *testing.T) {
	seen := noon
	evicted := func(r Return, first, at time.Time) Return {
		pod := PodMemory{FirstSeen: first}.with(Tries{SentAt: at, AdmittedAt: at})
		return r.evicted(&pod)
	}
	r := evicted(Return{}, seen.Add(time.Second), seen.Add(2*time.Second))
	if r = evicted(r, seen.Add(time.Second), seen.Add(3*time.Second)); r.Count != 1 {
		t.Errorf("two that came together count %d", r.Count)
	}
	var delays []time.Duration
	for i := range 7 {
		delays = append(delays, r.delay())
		at := seen.Add(time.Duration(i+1) * time.Minute)
		r = evicted(r, at, at.Add(time.Second))
	}
	if delays[0] != returnDelay || delays[1] != 2*returnDelay || delays[6] != returnDelayMost {
		t.Errorf("the delays are %v", delays)
	}
}

// TestOrphaned: a pod whose DaemonSet is deleted leaves once that has been missing
// for a while, however long the pod has been there, and a plan comes then; a pod that
// another DaemonSet adopts waits again, until that is seen.
func TestOrphaned(t *testing.T) {
	s := newScene()
	s.node("spare")
	s.draining("n")
	pod := s.pod("n", "agent-1")
	pod.Controller = Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "agent", UID: "old"}
	s.DaemonSets["old"] = true
	l := newLoop(s)
	step := func(after time.Duration, sent bool, wake time.Duration) {
		t.Helper()
		p := l.step(after)
		if got := slices.Equal(granted(p), []string{"agent-1"}); got != sent || wake > 0 && !p.Wake.Equal(l.Now.Add(wake)) {
			t.Errorf("%v after the start: sent %v, want %v; wakes after %v, want %v", l.Now.Sub(l.Began), got, sent, p.Wake.Sub(l.Now), wake)
		}
	}
	step(0, false, 0)
	step(time.Hour, false, 0)
	delete(l.DaemonSets, "old")
	step(time.Minute, false, daemonSetGrace)
	step(daemonSetGrace-1, false, 1)
	adopted := *pod
	adopted.Controller.UID = "new"
	l.pods["n"] = []*Pod{&adopted}
	step(1, false, daemonSetGrace)
	l.DaemonSets["new"] = true
	step(daemonSetGrace, false, 0)
	delete(l.DaemonSets, "new")
	step(time.Minute, true, 0)
}

// TestUndecidedOfDrained: a pod whose DaemonSet is missing, or about which something else
// is not known yet, does not reopen the drain of a drained node before it is decided.
func TestUndecidedOfDrained(t *testing.T) {
	daemon := func(p *Pod) { p.Controller = Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "ds"} }
	unseen := func(p *Pod) {
		p.Rules = []*Rule{{Name: "team", Match: PodMatch{NamespaceLabels: labels.Everything()}, Action: IgnorePod}}
	}
	for name, test := range map[string]struct {
		change func(*Pod)
		memory PodMemory
		want   api.Phase
	}{
		"just missing":     {daemon, PodMemory{FirstSeen: noon.Add(-time.Hour)}, api.Drained},
		"missing for less": {daemon, PodMemory{FirstSeen: noon, Orphan: &Orphan{"ds", noon.Add(1 - daemonSetGrace)}}, api.Drained},
		"gone":             {daemon, PodMemory{FirstSeen: noon, Orphan: &Orphan{"ds", noon.Add(-daemonSetGrace)}}, api.Draining},
		"unknown":          {unseen, PodMemory{FirstSeen: noon.Add(1 - listPatience)}, api.Drained},
		"unknown for long": {unseen, PodMemory{FirstSeen: noon.Add(-listPatience)}, api.Draining},
		"known":            {func(*Pod) {}, PodMemory{FirstSeen: noon}, api.Draining},
	} {
		s := newScene()
		n := s.draining("n", api.DrainedAnnotation, "r")
		m := s.Memory.Nodes[n.UID]
		m.FinishedAt = noon.Add(-30 * time.Second)
		s.Memory.Nodes[n.UID] = m
		s.NamespaceLabels = map[string]labels.Set{}
		s.remember(s.pod("n", "web-1", test.change), test.memory)
		p := Make(s.Snapshot)
		if got := planOf(t, p, "n").Phase; got != test.want || got == api.Drained && p.Wake.After(noon.Add(listPatience)) {
			t.Errorf("%s: the node is %s, planned again at %v, want %s", name, got, p.Wake, test.want)
		}
	}
}
