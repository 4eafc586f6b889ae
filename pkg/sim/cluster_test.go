package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// podsIn returns the pods of a namespace, in order.
func (c *Cluster) podsIn(namespace string) []Object {
	return slices.DeleteFunc(c.List(Pods), func(o Object) bool { return o.GetNamespace() != namespace })
}

// placed lists the pods of a namespace and where they are, in order.
func placed(c *Cluster, namespace string) string {
	var pods []string
	for _, o := range c.podsIn(namespace) {
		p := o.(*corev1.Pod)
		text := p.Name + "@" + p.Spec.NodeName
		if p.DeletionTimestamp != nil {
			text += "!"
		} else if !podReady(p) {
			text += "?"
		}
		pods = append(pods, text)
	}
	return strings.Join(pods, " ")
}

// TestReplacement follows an evicted pod and its replacement.
func TestReplacement(t *testing.T) {
	c := New(Options{Start: noon, ReplaceLag: time.Second, ScheduleLag: time.Second})
	c.AddNode("n1", nil)
	c.AddNode("n2", nil)
	c.Run(Workload{
		Kind: Deployment, Namespace: "shop", Name: "web", Replicas: 2,
		Behavior: Behavior{StartsIn: 3 * time.Second, StopsIn: 4 * time.Second},
	}, "n1", "n1")
	c.Advance(noon.Add(time.Minute))
	c.UpdateNode("n1", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	if a := c.Evict(pod, metav1.DeleteOptions{}, false); a.Error != nil {
		t.Fatal(a.Error)
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{0, "web-1@n1! web-2@n1"},
		{time.Second, "web-1@n1! web-2@n1 web-3@?"},
		{2 * time.Second, "web-1@n1! web-2@n1 web-3@n2?"},
		{4 * time.Second, "web-2@n1 web-3@n2?"},
		{5 * time.Second, "web-2@n1 web-3@n2"},
		{time.Hour, "web-2@n1 web-3@n2"},
	} {
		c.Advance(noon.Add(time.Minute).Add(step.after))
		if got := placed(c, "shop"); got != step.want {
			t.Errorf("after %v: %s, want %s", step.after, got, step.want)
		}
	}
	if _, due := c.Next(); due {
		t.Error("something is due in a cluster at rest")
	}
}

// TestStatefulSet: a pod of a StatefulSet comes back under its name, and only
// once it is gone.
func TestStatefulSet(t *testing.T) {
	c := newCluster(2)
	c.Run(Workload{Kind: StatefulSet, Namespace: "shop", Name: "db", Replicas: 2, Behavior: Behavior{StopsIn: 5 * time.Second}}, "n1", "n2")
	old := c.Pod(Key{Namespace: "shop", Name: "db-0"}).UID
	c.UpdateNode("n1", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	if err := c.DeletePod(Key{Namespace: "shop", Name: "db-0"}, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Advance(noon.Add(4 * time.Second))
	if got := placed(c, "shop"); got != "db-0@n1! db-1@n2" {
		t.Errorf("before it is gone: %s", got)
	}
	c.Advance(noon.Add(6 * time.Second))
	if got := placed(c, "shop"); got != "db-0@n2 db-1@n2" {
		t.Errorf("after it is gone: %s", got)
	}
	if c.Pod(Key{Namespace: "shop", Name: "db-0"}).UID == old {
		t.Error("the new pod has the UID of the old one")
	}
}

// TestDaemonSet: every node gets its pod, also a cordoned one.
func TestDaemonSet(t *testing.T) {
	c := newCluster(1)
	c.Run(Workload{Kind: DaemonSet, Namespace: "kube-system", Name: "proxy"})
	c.AddNode("n2", nil)
	c.UpdateNode("n2", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	c.Advance(noon.Add(time.Second))
	if got := placed(c, "kube-system"); got != "proxy-1@n1 proxy-2@n2" {
		t.Errorf("the pods are %s", got)
	}
	if len(c.List(DaemonSets)) != 1 {
		t.Error("the DaemonSet is not listed")
	}
}

// TestPlace: a pod can be put on a cordoned node, and stays.
func TestPlace(t *testing.T) {
	c := newCluster(2)
	run(c, Workload{Kind: Deployment, Replicas: 1}, 1, 0)
	c.UpdateNode("n2", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	c.Place("shop", "web", "n2")
	c.Advance(noon.Add(time.Hour))
	if got := placed(c, "shop"); got != "web-1@n1 web-2@n2" {
		t.Errorf("the pods are %s", got)
	}
}

// TestScheduler: pods wait until a node takes them, and avoid tainted nodes.
func TestScheduler(t *testing.T) {
	c := newCluster(0)
	c.Run(Workload{Kind: Deployment, Namespace: "shop", Name: "web", Replicas: 1})
	c.Advance(noon.Add(time.Minute))
	if got := placed(c, "shop"); got != "web-1@?" {
		t.Errorf("without nodes: %s", got)
	}
	for name, taint := range map[string]corev1.TaintEffect{"a": corev1.TaintEffectNoSchedule, "b": corev1.TaintEffectPreferNoSchedule} {
		c.AddNode(name, nil)
		c.UpdateNode(name, func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: taint}} })
	}
	c.AddNode("c", nil)
	c.Advance(noon.Add(2 * time.Minute))
	if got := placed(c, "shop"); got != "web-1@c" {
		t.Errorf("with a node free of taints: %s", got)
	}
	c.UpdateNode("c", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	c.Scale("shop", "web", 2)
	c.Advance(noon.Add(3 * time.Minute))
	if got := placed(c, "shop"); got != "web-1@c web-2@b" {
		t.Errorf("with a node that is rather not to be used: %s", got)
	}
}

// TestKubelet: an absent kubelet finishes nothing, and a finalizer keeps a pod.
func TestKubelet(t *testing.T) {
	c := newCluster(1)
	run(c, Workload{Kind: Deployment, Replicas: 1}, 1, 0)
	c.UpdatePod(pod, func(p *corev1.Pod) { p.Finalizers = []string{"example.org/keep"} })
	c.UpdateNode("n1", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown })
	if err := c.DeletePod(pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Advance(noon.Add(time.Hour))
	if p := c.Pod(pod); p == nil || stopped(p) {
		t.Fatal("an absent kubelet has finished a pod")
	}
	c.UpdateNode("n1", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionTrue })
	c.Advance(noon.Add(2 * time.Hour))
	if p := c.Pod(pod); p == nil || !stopped(p) {
		t.Fatalf("with a finalizer the pod is %v", p)
	}
	c.UpdatePod(pod, func(p *corev1.Pod) { p.Finalizers = nil })
	if c.Pod(pod) != nil {
		t.Error("without its finalizer the pod stays")
	}
}

// TestDeterminism: the same calls give the same log.
func TestDeterminism(t *testing.T) {
	var logs [2]strings.Builder
	for i := range logs {
		c := newCluster(5)
		for _, name := range []string{"a", "b", "c"} {
			c.Run(Workload{Kind: Deployment, Namespace: "ns", Name: name, Replicas: 7, Behavior: Behavior{StartsIn: time.Second}})
			c.AddBudget("ns", name, name, maxUnavailable("2"))
		}
		c.Advance(noon.Add(time.Minute))
		for _, o := range c.podsIn("ns") {
			_ = c.Evict(keyOf(o), metav1.DeleteOptions{}, false)
		}
		c.Advance(noon.Add(time.Hour))
		for _, change := range c.Since(0) {
			fmt.Fprintln(&logs[i], change.Version, change.Type, change.Resource, keyOf(change.Object), change.Object.GetUID())
		}
	}
	if logs[0].String() != logs[1].String() {
		t.Error("two runs differ")
	}
}

// TestRestore: a restored cluster has the objects and the versions of its
// backup, and continues from there.
func TestRestore(t *testing.T) {
	c := newCluster(1)
	run(c, Workload{Kind: Deployment, Replicas: 1}, 1, 0)
	c.Advance(noon.Add(time.Minute))
	backup := c.Backup()
	version := c.Version()
	c.AddNode("n2", nil)
	c.UpdateNode("n1", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	if err := c.DeletePod(pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Advance(noon.Add(time.Hour))
	c.Restore(backup)
	if c.Version() != version || c.Node("n2") != nil || c.Node("n1").Spec.Unschedulable || placed(c, "shop") != "web-1@n1" {
		t.Errorf("the cluster is not that of the backup: version %d, want %d, pods %s", c.Version(), version, placed(c, "shop"))
	}
	c.AddNode("n3", nil)
	if changes := c.Since(version); len(changes) != 1 || changes[0].Version != version+1 || changes[0].Type != watch.Added {
		t.Errorf("the log after the restore is %v", changes)
	}
}
