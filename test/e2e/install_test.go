package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestHandBackBefore: the documented way to leave nothing behind, while drainer
// runs.
func TestHandBackBefore(t *testing.T) {
	e := setup(t, 5)
	drainer := e.start("--max-draining=1")
	_, _, cordoned, _ := e.leaveBehind()
	nodes := e.nodes[:4]
	e.runDocumented("before", nodes...)
	e.awaitGivenBack(nodes, cordoned, api.TimeoutAnnotation)
	drainer.Kill()
	e.awaitGivenBack(nodes, cordoned, api.TimeoutAnnotation)
}

// TestHandBackAfter: what stays on the nodes when drainer is gone, as the
// documentation lists it, and the documented way to take it back.
func TestHandBackAfter(t *testing.T) {
	e := setup(t, 5)
	drainer := e.start("--max-draining=1")
	blocked, drained, cordoned, queued := e.leaveBehind()
	drainer.terminate()
	for node, want := range map[string]struct{ cordoned, conditions, drained, taint bool }{
		blocked:  {cordoned: true, conditions: true},
		drained:  {cordoned: true, conditions: true, drained: true},
		cordoned: {cordoned: true, conditions: true, drained: true},
		queued:   {conditions: true, taint: true},
	} {
		n := e.node(node)
		if n.Spec.Unschedulable != want.cordoned ||
			(e.condition(node, corev1.NodeDrained).Type != "") != want.conditions ||
			(e.condition(node, corev1.NodeDrainInProgress).Type != "") != want.conditions ||
			(n.Annotations[api.StatusAnnotation] != "") != want.conditions ||
			(n.Annotations[api.DrainedAnnotation] != "") != want.drained ||
			n.Annotations[api.DrainAnnotation] != "away" ||
			queuedTaint(n) != want.taint {
			t.Errorf("%s is left with unschedulable=%v annotations=%v taints=%v", node, n.Spec.Unschedulable, n.Annotations, n.Spec.Taints)
		}
	}
	nodes := e.nodes[:4]
	e.runDocumented("after", nodes...)
	e.awaitGivenBack(nodes, cordoned)
}
