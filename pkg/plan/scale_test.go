package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// ofReplicas are rules that block the pods of controllers with so many replicas.
func ofReplicas(n int32) *Rules {
	return &Rules{List: []*Rule{{Name: "single", Match: PodMatch{Replicas: n}, Action: BlockPod}}}
}

// TestReplicas: a rule that looks at the replicas of controllers matches those that
// have as many. Until they are read the pod is held; if they cannot be, the rule does
// not match, and the node says why.
func TestReplicas(t *testing.T) {
	read := func(replicas int32, problem string) map[types.UID]ScaleMemory {
		return map[types.UID]ScaleMemory{"rs-web": {Scale: &Scale{replicas, problem}, AskedAt: noon}}
	}
	kind := func(version, kind string) func(*Pod) {
		return func(p *Pod) { p.Controller.APIVersion, p.Controller.Kind = version, kind }
	}
	for name, test := range map[string]struct {
		scales  map[types.UID]ScaleMemory
		change  func(*Pod)
		state   State
		message string // of the node
		asks    bool
	}{
		"as many":              {scales: read(1, ""), state: Blocked, message: "because rule single does not let it be evicted"},
		"more":                 {scales: read(2, ""), state: Eligible},
		"none":                 {scales: read(0, ""), state: Eligible},
		"of a StatefulSet":     {scales: read(1, ""), change: kind("apps/v1", "StatefulSet"), state: Blocked},
		"not read":             {state: Blocked, message: "because rule single depends on how many replicas ReplicaSet web has, which drainer has not read yet", asks: true},
		"cannot be read":       {scales: read(0, "no"), state: Eligible, message: "rules with replicas do not match pod ns/web-1, because the replicas of ReplicaSet web cannot be known: no"},
		"of another kind":      {change: kind("batch/v1", "Job"), state: Eligible, message: "because the replicas of Job web cannot be known: drainer reads those of ReplicaSets and StatefulSets only"},
		"of another API":       {change: kind("apps.kruise.io/v1", "StatefulSet"), state: Eligible, message: "the replicas of StatefulSet web cannot be known"},
		"no controller":        {change: func(p *Pod) { p.Controller = Owner{} }, state: Blocked},
		"a rule that is first": {change: func(p *Pod) { p.Rules = []*Rule{{Name: "first", Action: EvictPod}} }, state: Eligible},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n")
			s.Config.Rules, s.Scales = ofReplicas(1), test.scales
			pod := s.pod("n", "web-1", under(s.Config.Rules.List...))
			if test.change != nil {
				test.change(pod)
			}
			p := Make(s.Snapshot)
			n := planOf(t, p, "n")
			if got := n.Pods[0]; got.State != test.state {
				t.Errorf("state %s, reason %q", got.State, got.Reason)
			}
			if message := n.Report().Message; !strings.Contains(message, test.message) {
				t.Errorf("the message is %q, want %q", message, test.message)
			}
			if asked := slices.Equal(p.ScaleReads, []ScaleRead{{"ns", pod.Controller}}); asked != test.asks || !asked && len(p.ScaleReads) > 0 {
				t.Errorf("to be read are %v", p.ScaleReads)
			}
			if n.Facts.Unfinishable && test.asks {
				t.Error("the drain counts as one that cannot finish")
			}
			if !s.Config.IsTarget(pod, Surroundings{Scales: s.Scales}) {
				t.Error("a live list would not take it for a target")
			}
		})
	}
}

// TestScaleReads: a scale is read once for all pods of a controller, again after a
// while, sooner if it is not known, and no longer once no pod asks for it.
func TestScaleReads(t *testing.T) {
	s := newScene()
	s.draining("n")
	s.Config.Rules = ofReplicas(1)
	for _, name := range []string{"web-1", "web-2"} {
		s.pod("n", name, under(s.Config.Rules.List...))
	}
	asks := func(after time.Duration) int {
		s.Now = noon.Add(after)
		s.Scales = s.Memory.Scales
		p := Make(s.Snapshot)
		s.Memory.Keep(&p, s.Config, s.Now)
		if len(s.Memory.Scales) > 0 && p.Wake.IsZero() {
			t.Errorf("after %v nothing is read, nor planned", after)
		}
		return len(p.ScaleReads)
	}
	if n := asks(0); n != 1 {
		t.Errorf("first %d are read, want 1", n)
	}
	if n := asks(20 * time.Second); n != 0 {
		t.Errorf("soon after %d are read", n)
	}
	if n := asks(40 * time.Second); n != 1 {
		t.Errorf("without an answer %d are read, want 1", n)
	}
	before := s.Memory.Scales
	s.Memory.Apply(ScaleAnswered{Controller: "rs-web", Scale: Scale{Replicas: 2}})
	s.Memory.Apply(ScaleAnswered{Controller: "other", Scale: Scale{Replicas: 2}})
	if before["rs-web"].Scale != nil || len(s.Memory.Scales) != 1 || !reflect.DeepEqual(s.Memory.Scales["rs-web"].Scale, &Scale{Replicas: 2}) {
		t.Errorf("known are %v, before %v", s.Memory.Scales, before)
	}
	if n := asks(4 * time.Minute); n != 0 {
		t.Errorf("with an answer %d are read", n)
	}
	if n := asks(7 * time.Minute); n != 1 {
		t.Errorf("later %d are read, want 1", n)
	}
	for _, e := range s.Pods["n"] {
		e.Rules = nil
	}
	if n := asks(14 * time.Minute); n != 0 || len(s.Memory.Scales) != 0 {
		t.Errorf("%d are read, and %v remembered, for nobody", n, s.Memory.Scales)
	}
	if (*Rules)(nil).LooksAtScales() || (&Rules{List: []*Rule{{}}}).LooksAtScales() || !ofReplicas(1).LooksAtScales() {
		t.Error("which rules look at scales is wrong")
	}
}

// TestReplicasForeseen: a queued node's pods whose rules look at replicas are kept until
// those are read, so that what would keep the drain from finishing is told before it
// begins; and the replicas are read.
func TestReplicasForeseen(t *testing.T) {
	for replicas, blocked := range map[int32]bool{1: true, 2: false} {
		s := newScene()
		n := s.node("n", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z")
		s.Config.Rules = ofReplicas(1)
		pods := []*Pod{s.pod("n", "web-1", under(s.Config.Rules.List...)), s.pod("n", "other-1")}
		step := func() (Plan, bool) {
			s.Scales = s.Memory.Scales
			p := Make(s.Snapshot)
			s.Memory.Keep(&p, s.Config, s.Now)
			return p, planOf(t, p, "n").Facts.Unfinishable
		}
		step()
		s.foreseen(n, pods)
		p, unfinishable := step()
		if len(p.ScaleReads) != 1 || p.ScaleReads[0].Controller.UID != pods[0].Controller.UID || unfinishable {
			t.Errorf("before the replicas are read: reads %+v, cannot finish %v", p.ScaleReads, unfinishable)
		}
		s.Memory.Apply(ScaleAnswered{Controller: pods[0].Controller.UID, Scale: Scale{Replicas: replicas}})
		if p, unfinishable = step(); len(p.ScaleReads) != 0 || unfinishable != blocked {
			t.Errorf("with %d replicas: reads %+v, cannot finish %v, want %v", replicas, p.ScaleReads, unfinishable, blocked)
		}
	}
}

// TestReplicasOfDrained: a process that has just begun does not know yet how many
// replicas a controller has. Until it does, which is soon, a node that says Drained
// continues to say so, although the pod may have to leave; a node that is not drained waits.
func TestReplicasOfDrained(t *testing.T) {
	done := noon.Add(-time.Minute)
	read := map[types.UID]ScaleMemory{"rs-web": {Scale: &Scale{Replicas: 1}, AskedAt: noon}}
	for name, test := range map[string]struct {
		status api.Status
		after  time.Duration
		scales map[types.UID]ScaleMemory
		want   api.Phase
	}{
		"drained, not read yet":       {status: api.Status{Phase: api.Drained, FinishedAt: &done}, want: api.Drained},
		"drained, not read for long":  {status: api.Status{Phase: api.Drained, FinishedAt: &done}, after: listPatience, want: api.Draining},
		"drained, just before":        {status: api.Status{Phase: api.Drained, FinishedAt: &done}, after: listPatience - 1, want: api.Drained},
		"drained, and it is a target": {status: api.Status{Phase: api.Drained, FinishedAt: &done}, scales: read, want: api.Draining},
		"not drained":                 {status: api.Status{Phase: api.Draining}, want: api.Draining},
	} {
		test.status.Request, test.status.StartedAt = "r", &done
		s := newScene()
		n := s.draining("n", api.StatusAnnotation, test.status.Format())
		delete(s.Memory.Nodes, n.UID)
		s.Config.Rules, s.Scales = ofReplicas(1), test.scales
		s.pod("n", "web-1", under(s.Config.Rules.List...))
		s.Began, s.Now = noon, noon.Add(test.after)
		p := Make(s.Snapshot)
		if got := planOf(t, p, "n").Phase; got != test.want || got == api.Drained && p.Wake.After(noon.Add(listPatience)) {
			t.Errorf("%s: the node is %s and planned again at %v, want %s", name, got, p.Wake, test.want)
		}
	}
}
