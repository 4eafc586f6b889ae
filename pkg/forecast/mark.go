package forecast

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"drainer.dev/drainer/pkg/plan"
)

// mark writes what the newest plan wants changed at a node that something marked, if
// the Node is still as that plan knows it.
func (d *daemon) mark(t task) {
	m, planned := d.marks[t.node]
	if !planned {
		d.ended(t, nothing, nil)
		return
	}
	d.writeWith(Mark, m.Node, nil, []plan.Fact{plan.MarksWritten{Plan: m}}, func(node *corev1.Node) error {
		if node.ResourceVersion != m.Node.ResourceVersion {
			return apierrors.NewConflict(nodes, node.Name, fmt.Errorf("the object has been modified"))
		}
		annotate(node, m.Annotations)
		return nil
	}, func(err error) { d.ended(t, done, err) })
}

// annotate changes annotations, and removes those without a value.
func annotate(node *corev1.Node, annotations map[string]*string) {
	if node.Annotations = maps.Clone(node.Annotations); node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	for key, value := range annotations {
		if value == nil {
			delete(node.Annotations, key)
			continue
		}
		node.Annotations[key] = *value
	}
}
