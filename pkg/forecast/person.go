package forecast

import (
	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// What people do to a cluster. Nothing happens if the node does not exist.

// Request asks for the drain of nodes, as kubectl annotate does.
func (l *Loop) Request(id string, nodes ...string) {
	for _, node := range nodes {
		l.Annotate(node, api.DrainAnnotation, id)
	}
}

// Cancel removes the request from nodes.
func (l *Loop) Cancel(nodes ...string) {
	for _, node := range nodes {
		l.Unannotate(node, api.DrainAnnotation)
	}
}

// Annotate writes an annotation of a node.
func (l *Loop) Annotate(node, key, value string) {
	l.edit(node, func(n *corev1.Node) {
		if n.Annotations == nil {
			n.Annotations = map[string]string{}
		}
		n.Annotations[key] = value
	})
}

// Unannotate removes an annotation of a node.
func (l *Loop) Unannotate(node, key string) {
	l.edit(node, func(n *corev1.Node) { delete(n.Annotations, key) })
}

// Cordon makes a node unschedulable, with a manager such as kubectl; Uncordon
// makes it schedulable, whoever cordoned it.
func (l *Loop) Cordon(node, manager string) {
	l.edit(node, func(n *corev1.Node) { cordonBy(n, manager, true) })
}

// Uncordon is the opposite of Cordon.
func (l *Loop) Uncordon(node, manager string) {
	l.edit(node, func(n *corev1.Node) { cordonBy(n, manager, false) })
}

// edit changes a node, unless the change changes nothing.
func (l *Loop) edit(node string, change func(*corev1.Node)) {
	was := l.cluster.Node(node)
	if was == nil {
		return
	}
	changed := was.DeepCopy()
	if change(changed); !sameNode(was, changed) {
		l.cluster.UpdateNode(node, func(n *corev1.Node) { changed.DeepCopyInto(n) })
	}
}
