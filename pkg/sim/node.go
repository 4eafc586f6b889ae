package sim

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxPods is how many pods fit on a node: the kubelet's default.
const maxPods = 110

// AddNode adds a Ready node without pods other than those of DaemonSets.
func (c *Cluster) AddNode(name string, labels map[string]string) {
	c.Put(Nodes, &corev1.Node{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: metav1.NewTime(c.now),
		}}},
	})
	for _, uid := range slices.Sorted(maps.Keys(c.workloads)) {
		if c.workloads[uid].Kind == DaemonSet {
			c.after(0, step{deed: syncWorkload, uid: uid})
		}
	}
}

// Node returns a node, or nil. It must not be changed.
func (c *Cluster) Node(name string) *corev1.Node {
	o, found := c.Get(Nodes, Key{Name: name})
	if !found {
		return nil
	}
	return o.(*corev1.Node)
}

// UpdateNode stores a changed copy of a node that exists.
func (c *Cluster) UpdateNode(name string, change func(*corev1.Node)) {
	node := c.Node(name).DeepCopy()
	change(node)
	c.Put(Nodes, node)
}

func ready(node *corev1.Node) bool {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return node.Status.Conditions[i].Status == corev1.ConditionTrue
		}
	}
	return false
}

// schedulable is true if the scheduler may bind a new pod to the node.
func schedulable(node *corev1.Node) bool {
	repels := slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule })
	return ready(node) && !node.Spec.Unschedulable && !repels
}
