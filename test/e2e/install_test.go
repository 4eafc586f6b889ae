package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/shells"
)

// TestReleaseBefore: the documented way to leave nothing behind, while drainer
// runs.
func TestReleaseBefore(t *testing.T) {
	shells.Each(t, func(t *testing.T, shell string) {
		e := setup(t, 5)
		drainer := e.start("--max-draining=1")
		_, _, cordoned, _ := e.leaveBehind()
		e.releaseAll(shell, "before")
		drainer.Kill()
		e.awaitLeft(e.nodes, cordoned, api.TimeoutAnnotation)
	})
}

// TestReleaseAfter: what stays on the nodes when drainer is gone, as the
// documentation lists it, and the documented way to take it back.
func TestReleaseAfter(t *testing.T) {
	shells.Each(t, func(t *testing.T, shell string) {
		e := setup(t, 5)
		cordoned := e.abandon()
		e.releaseAll(shell, "after")
		e.awaitLeft(e.nodes, cordoned)
	})
}

// releaseAll runs the commands of the guide, which say that they have done it.
func (e *env) releaseAll(shell, name string) {
	e.Helper()
	if out := e.runDocumented(shell, shells.Documented(e, installGuide, name)); !strings.Contains(out, released) {
		e.Errorf("in %s the commands %q do not say that the nodes are released, but\n%s", shell, name, out)
	}
}

// abandon ends drainer while it has a node in every state that it can leave one
// in, and checks what stays on the nodes.
func (e *env) abandon() (cordoned string) {
	e.Helper()
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
			e.Errorf("%s is left with unschedulable=%v annotations=%v taints=%v", node, n.Spec.Unschedulable, n.Annotations, n.Spec.Taints)
		}
	}
	return cordoned
}
