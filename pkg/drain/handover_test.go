package drain

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
		"asked a while ago": {prepare: func(s scene) { s.Memory.Replica.AskedAt = noon.Add(-lookInterval) }, asks: true},
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
		if again := s.Memory.Replica.AskedAt.Add(lookInterval); name == "just asked" && !plan.Wake.Equal(again) {
			t.Errorf("%s: plans again at %v, want %v", name, plan.Wake, again)
		}
	}
}

// TestReplicaOf: who can take over is of the same controller, Ready, and on
// another node, which stays.
func TestReplicaOf(t *testing.T) {
	for name, test := range map[string]struct {
		change func(own, other *Pod)
		want   string
	}{
		"a Ready one elsewhere":       {change: func(_, _ *Pod) {}, want: "ns/drainer-2"},
		"not Ready":                   {change: func(_, other *Pod) { other.Ready = false }},
		"on the same node":            {change: func(own, other *Pod) { other.Node = own.Node }},
		"on a node that is to leave":  {change: func(_, other *Pod) { other.Node = "leaving" }},
		"terminating":                 {change: func(_, other *Pod) { other.Deadline = noon }},
		"of another controller":       {change: func(_, other *Pod) { other.Controller.UID = "x" }},
		"of none, and so is its like": {change: func(own, other *Pod) { own.Controller, other.Controller = Owner{}, Owner{} }},
	} {
		s := newScene()
		own, other := s.pod("n", "drainer-1"), s.pod("m", "drainer-2")
		test.change(own, other)
		if got := replicaOf([]*Pod{own, other}, own, map[string]bool{"n": true, "leaving": true}); got != test.want {
			t.Errorf("%s: %q can take over, want %q", name, got, test.want)
		}
	}
}

// TestFindReplica: who is found takes over, unless it has to leave, too, or
// nobody asks any more for the drain of the own node.
func TestFindReplica(t *testing.T) {
	pod := func(name, node string) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)},
			Spec:       corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
		}
	}
	for name, test := range map[string]struct {
		prepare  func(scene)
		pods     []corev1.Pod
		answered bool
		to       string
	}{
		"another replica":           {pods: []corev1.Pod{pod("own", "n"), pod("other", "m")}, answered: true, to: "ns/other"},
		"none":                      {pods: []corev1.Pod{pod("own", "n")}, answered: true},
		"one that leaves, too":      {prepare: func(s scene) { s.draining("m") }, pods: []corev1.Pod{pod("own", "n"), pod("other", "m")}, answered: true},
		"the request is taken back": {prepare: func(s scene) { delete(s.Nodes[0].Annotations, api.DrainAnnotation) }, pods: []corev1.Pod{pod("own", "n"), pod("other", "m")}},
		"the own pod has left":      {pods: []corev1.Pod{pod("other", "m")}},
	} {
		s := newScene()
		s.draining("n")
		if test.prepare != nil {
			test.prepare(s)
		}
		c := newTestController(t, s.Snapshot, &stubServer{pods: test.pods})
		over := false
		c.HandOver = func() { over = true }
		err := c.findReplica(t.Context(), errand{kind: replicaErrand, object: types.NamespacedName{Namespace: "ns", Name: "own"}, pod: "uid-own"})
		if err != nil {
			t.Fatal(err)
		}
		var m Memory
		for _, f := range c.takeFindings() {
			f(&m)
		}
		if over != (test.to != "") || m.Replica.Name != test.to || m.Replica.AnsweredAt.IsZero() == test.answered {
			t.Errorf("%s: handed over %v, known %+v; want an answer: %v, to %q", name, over, m.Replica, test.answered, test.to)
		}
	}
}
