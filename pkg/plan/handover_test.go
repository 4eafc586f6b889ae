package plan

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

func (s scene) handsOver(known ReplicaMemory) {
	s.Config.OwnPod, s.Config.HandsOver, s.Memory.Replica = "uid-web-1", true, known
}

// TestAskForReplica: another replica is looked for when drainer's own pod is
// the last, and again after a while.
func TestAskForReplica(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(scene)
		asks    bool
	}{
		"never asked":       {prepare: func(scene) {}, asks: true},
		"asked a while ago": {prepare: func(s scene) { s.Memory.Replica.AskedAt = noon.Add(-lookupInterval) }, asks: true},
		"just asked":        {prepare: func(s scene) { s.Memory.Replica.AskedAt = noon.Add(-time.Second) }},
		"others stay":       {prepare: func(s scene) { s.pod("n", "other-1") }},
		"paused":            {prepare: func(s scene) { s.Nodes[0].Annotations[api.PausedAnnotation] = "true" }},
		"without election":  {prepare: func(s scene) { s.Config.HandsOver = false }},
	} {
		s := newScene()
		s.draining("n")
		s.pod("n", "web-1")
		s.handsOver(ReplicaMemory{})
		test.prepare(s)
		plan := Make(s.Snapshot)
		if asks := plan.HandOver != nil; asks != test.asks {
			t.Errorf("%s: asks %v, want %v", name, asks, test.asks)
		}
		if again := s.Memory.Replica.AskedAt.Add(lookupInterval); name == "just asked" && !plan.Wake.Equal(again) {
			t.Errorf("%s: plans again at %v, want %v", name, plan.Wake, again)
		}
	}
}

// TestReplicaKnown: an answer about other replicas counts for three lookups.
func TestReplicaKnown(t *testing.T) {
	for age, want := range map[time.Duration]bool{0: true, 3*lookupInterval - 1: true, 3 * lookupInterval: false} {
		if got := (ReplicaMemory{AnsweredAt: noon.Add(-age)}).known(noon); got != want {
			t.Errorf("an answer %v old counts: %v, want %v", age, got, want)
		}
	}
	if (ReplicaMemory{}).known(time.Time{}.Add(1)) {
		t.Error("what was never asked counts as known")
	}
}

// TestReplicaOf: a replica that can take over is of the same controller, Ready,
// and on another node, which stays.
func TestReplicaOf(t *testing.T) {
	for name, test := range map[string]struct {
		change func(own, other *Pod)
		want   string
	}{
		"a Ready one elsewhere":           {change: func(_, _ *Pod) {}, want: "ns/drainer-2"},
		"not Ready":                       {change: func(_, other *Pod) { other.Ready = false }},
		"on the same node":                {change: func(own, other *Pod) { other.Node = own.Node }},
		"on a node that leaves":           {change: func(_, other *Pod) { other.Node = "leaving" }},
		"terminating":                     {change: func(_, other *Pod) { other.Deadline = noon }},
		"of another controller":           {change: func(_, other *Pod) { other.Controller.UID = "x" }},
		"of none, like drainer's own one": {change: func(own, other *Pod) { own.Controller, other.Controller = Owner{}, Owner{} }},
	} {
		s := newScene()
		own, other := s.pod("n", "drainer-1"), s.pod("m", "drainer-2")
		test.change(own, other)
		if got := ReplicaOf([]*Pod{own, other}, own, map[string]bool{"n": true, "leaving": true}); got != test.want {
			t.Errorf("%s: %q can take over, want %q", name, got, test.want)
		}
	}
}

// TestReplicaUnknown: while another replica cannot be looked for, drainer's own pod
// waits and says why; an answer that is still good counts in spite of that.
func TestReplicaUnknown(t *testing.T) {
	s := newScene()
	s.node("spare")
	s.draining("n")
	s.pod("n", "web-1")
	s.handsOver(ReplicaMemory{})
	says := func(want string) {
		t.Helper()
		state := &planOf(t, Make(s.Snapshot), "n").Pods[0]
		if got := state.Explanation(); !strings.Contains(got, want) || (state.State == Blocked) != (want != "") {
			t.Errorf("it is %s and says %q, want %q", state.State, got, want)
		}
	}
	says("it is not known yet whether another replica can take over")
	s.Memory.Apply(ReplicasListed{Problem: "listing the pods: forbidden"})
	says("whether another replica can take over: listing the pods: forbidden")
	s.Memory.Apply(ReplicasListed{At: noon})
	says("")
	s.Memory.Apply(ReplicasListed{Problem: "listing the pods: forbidden"})
	says("")
	s.Now = noon.Add(3 * lookupInterval)
	says("whether another replica can take over: listing the pods: forbidden")
	s.Memory.Apply(ReplicasListed{At: s.Now, Name: "ns/drainer-2"})
	says("ns/drainer-2 takes over first")
	if s.Memory.Replica.Problem != "" {
		t.Errorf("after an answer the problem is still %q", s.Memory.Replica.Problem)
	}
}
