package watcher

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// counter counts what it is asked for.
type counter struct{ wakes, soon int }

func (c *counter) Wake()     { c.wakes++ }
func (c *counter) WakeSoon() { c.soon++ }

// TestDaemonSets: the set is replaced instead of changed, and an event without
// a change requests no plan.
func TestDaemonSets(t *testing.T) {
	var asked counter
	w := New(nil, "", plan.Selectors{}, &asked)
	w.changeDaemonSets(func(all map[types.UID]bool) { all["old"] = true })
	before := w.DaemonSets()
	w.changeDaemonSets(func(all map[types.UID]bool) { all["old"] = true })
	if asked.wakes != 1 {
		t.Errorf("woken %d times, an update that changes nothing wakes nobody", asked.wakes)
	}
	w.changeDaemonSets(func(all map[types.UID]bool) { delete(all, "old"); all["new"] = true })
	if now := w.DaemonSets(); now["old"] || !now["new"] {
		t.Errorf("there are %v", now)
	}
	if !before["old"] {
		t.Error("a set that a plan may hold was changed")
	}
}

// TestPodReplaced: a recreated pod replaces the old one of the same name.
func TestPodReplaced(t *testing.T) {
	p := &nodePods{pods: map[types.UID]*plan.Pod{}}
	p.set(&plan.Pod{Namespace: "ns", Name: "db-0", UID: "old"})
	p.set(&plan.Pod{Namespace: "ns", Name: "a", UID: "a"})
	p.set(&plan.Pod{Namespace: "ns", Name: "db-0", UID: "new"})
	list, complete := p.sorted()
	if len(list) != 2 || list[0].Name != "a" || list[1].UID != "new" || complete {
		t.Errorf("there are %v, complete: %v", list, complete)
	}
	p.replace([]*plan.Pod{{Namespace: "ns", Name: "b", UID: "b"}})
	if list, complete := p.sorted(); len(list) != 1 || list[0].UID != "b" || !complete {
		t.Errorf("after a list there are %v, complete: %v", list, complete)
	}
}

// TestPodWithoutNews: a change that no plan reads, such as the condition that
// the API server writes before it evicts a pod, wakes nobody and does not
// change the list.
func TestPodWithoutNews(t *testing.T) {
	var asked counter
	w := New(nil, "", plan.Selectors{}, &asked)
	p := &nodePods{pods: map[types.UID]*plan.Pod{}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", UID: "a", Labels: map[string]string{"app": "a"}}}
	w.podSeen(p, plan.PodOf(pod))
	before, _ := p.sorted()
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
	w.podSeen(p, plan.PodOf(pod))
	if after, _ := p.sorted(); asked != (counter{wakes: 1}) || &after[0] != &before[0] {
		t.Errorf("asked for %+v plans, the list is another one: %v", asked, &after[0] != &before[0])
	}
	pod.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	w.podSeen(p, plan.PodOf(pod))
	if list, _ := p.sorted(); asked != (counter{wakes: 1, soon: 1}) || list[0].Deadline.IsZero() {
		t.Errorf("asked for %+v plans, the pod terminates: %v", asked, !list[0].Deadline.IsZero())
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	pod.DeletionTimestamp = nil
	if w.podSeen(p, plan.PodOf(pod)); asked != (counter{wakes: 2, soon: 1}) {
		t.Errorf("asked for %+v plans", asked)
	}
}

// TestHeartbeat: a node of which only the version has changed wakes nobody.
func TestHeartbeat(t *testing.T) {
	var asked counter
	w := New(nil, "", plan.Selectors{}, &asked)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "1"}}
	w.nodeSeen(w.selectors.NodeOf(node))
	node.ResourceVersion = "2"
	w.nodeSeen(w.selectors.NodeOf(node))
	if asked.wakes != 1 || w.Nodes()[0].ResourceVersion != "2" {
		t.Errorf("woken %d times, version %s", asked.wakes, w.Nodes()[0].ResourceVersion)
	}
	node.Spec.Unschedulable = true
	w.nodeSeen(w.selectors.NodeOf(node))
	if asked.wakes != 2 {
		t.Error("a cordon wakes nobody")
	}
}

// TestServed: a node that the selector does not match is in the snapshot, and
// is not served.
func TestServed(t *testing.T) {
	selector, err := labels.Parse("pool=a")
	if err != nil {
		t.Fatal(err)
	}
	w := New(nil, "", plan.Selectors{Served: selector}, &counter{})
	for name, pool := range map[string]string{"a": "a", "b": "b"} {
		w.nodeSeen(w.selectors.NodeOf(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": pool}}}))
	}
	for _, n := range w.Nodes() {
		if n.Served != (n.Name == "a") {
			t.Errorf("node %s is served: %v", n.Name, n.Served)
		}
	}
}

// TestSink: whether a list is read or streamed, the same values arrive, and a
// foreign object is an error.
func TestSink(t *testing.T) {
	var got []types.UID
	s := sink[*appsv1.DaemonSet, types.UID]{
		convert: func(ds *appsv1.DaemonSet) types.UID { return ds.UID },
		put:     func(uid types.UID) { got = append(got, uid) },
		remove:  func(uid types.UID) { got = append(got, "-"+uid) },
		replace: func(all []types.UID) { got = append([]types.UID{"="}, all...) },
	}
	ds := func(uid types.UID) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{UID: uid}}
	}
	streamed, err := s.Transformer()(ds("b"))
	if err != nil {
		t.Fatal(err)
	}
	if _, whole := streamed.(*appsv1.DaemonSet); whole {
		t.Error("a streamed list keeps whole objects")
	}
	for _, step := range []func() error{
		func() error { return s.Replace([]any{ds("a"), streamed}, "1") },
		func() error { return s.Add(ds("c")) },
		func() error { return s.Update(ds("a")) },
		func() error { return s.Delete(ds("b")) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []types.UID{"=", "a", "b", "c", "a", "-b"}; len(got) != len(want) || got[0] != want[0] || got[5] != want[5] || got[2] != want[2] {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := s.Add(&corev1.Pod{}); err == nil {
		t.Error("a pod is taken for a DaemonSet")
	}
}
