package watcher

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"drainer.dev/drainer/pkg/drain"
)

// TestDaemonSetReplaced: one that was made again under its name, between two
// lists, is there, and the old one is not.
func TestDaemonSetReplaced(t *testing.T) {
	woken := 0
	w := New(nil, labels.Everything(), nil, func() { woken++ })
	set := func(uid types.UID) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "ds", UID: uid}}
	}
	w.daemonSetReplaced(nil, set("old"))
	before := w.DaemonSets()
	w.daemonSetReplaced(set("old"), set("old"))
	if woken != 1 {
		t.Errorf("woken %d times, an update that changes nothing wakes nobody", woken)
	}
	w.daemonSetReplaced(set("old"), set("new"))
	if now := w.DaemonSets(); now["old"] || !now["new"] {
		t.Errorf("there are %v", now)
	}
	if !before["old"] {
		t.Error("a set that a plan may hold was changed")
	}
	w.daemonSetReplaced(cache.DeletedFinalStateUnknown{Obj: set("new")}, nil)
	if now := w.DaemonSets(); len(now) != 0 {
		t.Errorf("there are %v after the deletion was missed", now)
	}
}

// TestPodReplaced: a pod made again under its name takes the other's place.
func TestPodReplaced(t *testing.T) {
	p := &nodePods{pods: map[types.UID]*drain.Pod{}}
	p.set(&drain.Pod{Namespace: "ns", Name: "db-0", UID: "old"})
	p.set(&drain.Pod{Namespace: "ns", Name: "a", UID: "a"})
	p.set(&drain.Pod{Namespace: "ns", Name: "db-0", UID: "new"})
	list, _ := p.sorted()
	if len(list) != 2 || list[0].Name != "a" || list[1].UID != "new" {
		t.Errorf("there are %v", list)
	}
}

// TestHeartbeat: a node whose version alone has changed wakes nobody.
func TestHeartbeat(t *testing.T) {
	woken := 0
	w := New(nil, labels.Everything(), nil, func() { woken++ })
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "1"}}
	w.nodeSeen(node)
	node = node.DeepCopy()
	node.ResourceVersion = "2"
	w.nodeSeen(node)
	if woken != 1 || w.Nodes()[0].ResourceVersion != "2" {
		t.Errorf("woken %d times, version %s", woken, w.Nodes()[0].ResourceVersion)
	}
	node = node.DeepCopy()
	node.Spec.Unschedulable = true
	w.nodeSeen(node)
	if woken != 2 {
		t.Error("a cordon wakes nobody")
	}
}
