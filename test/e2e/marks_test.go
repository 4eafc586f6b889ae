package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// detect sets the condition Broken of a node, as node-problem-detector does an hour
// after it was true for the first time.
func (e *env) detect(node string) {
	e.Helper()
	e.updateStatus(node, func(n *corev1.Node) {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
			Type: "Broken", Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)),
		})
	})
}

// repair sets the condition Broken of a node to False.
func (e *env) repair(node string) {
	e.Helper()
	e.updateStatus(node, func(n *corev1.Node) {
		for i := range n.Status.Conditions {
			if c := &n.Status.Conditions[i]; c.Type == "Broken" {
				c.Status, c.LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(time.Now().Add(-time.Hour))
			}
		}
	})
}

// awaitMarked waits until a rule's request of the node is drained, and returns its
// ID.
func (e *env) awaitMarked(node, rule string) string {
	e.Helper()
	var id string
	poll(e.T, "the drain of "+node+" is requested by the rule "+rule, func() bool {
		id = e.node(node).Annotations[api.DrainAnnotation]
		return strings.HasPrefix(id, rule+"/")
	})
	e.awaitDrained(node, id)
	return id
}

// TestMarks: nodes that a condition, a taint or a label marks are drained; what a
// person cancels stays cancelled, and a rule that finds too many nodes marked
// requests none. drainer's own account writes the requests, under the policies.
func TestMarks(t *testing.T) {
	e := setup(t, 4)
	broken, tainted, labelled, second := e.nodes[0], e.nodes[1], e.nodes[2], e.nodes[3]
	e.create(workload.Deployment(on(e.spec("web", 2), broken)))
	e.awaitReady("web", 2)
	drainer := e.start("--config=" + e.configuration(`requests:
- {condition: Broken, for: 1m, maxNodes: 1}
- {taint: example.com/repair, for: 1m, maxNodes: 1}
- {label: example.com/retire, value: "yes", for: 1m, maxNodes: 1}
`))
	e.label(labelled, "example.com/retire", "yes")
	e.detect(broken)
	added := metav1.NewTime(time.Now().Add(-time.Hour))
	e.patchNode(tainted, map[string]any{"spec": map[string]any{"taints": []corev1.Taint{
		{Key: "example.com/repair", Effect: corev1.TaintEffectNoSchedule, TimeAdded: &added},
	}}})

	e.awaitMarked(broken, "condition/Broken")
	if left := e.podsOn(broken, "web"); len(left) > 0 {
		t.Errorf("the node is drained, and has %d pods", len(left))
	}
	e.awaitEvent(metav1.NamespaceDefault, broken, "MarkRequested")
	if why := e.node(broken).Annotations[api.ReasonAnnotation]; !strings.HasPrefix(why, "condition Broken=True since ") {
		t.Errorf("the reason is %q", why)
	}
	e.awaitMarked(tainted, "taint/example.com/repair")

	e.cancel(broken)
	e.awaitReleased(broken)
	// It takes a minute until a label counts, in which nothing else may be requested.
	e.awaitMarked(labelled, "label/example.com/retire")
	if id := e.node(broken).Annotations[api.DrainAnnotation]; id != "" {
		t.Errorf("somebody cancelled the request, and the rule made another: %s", id)
	}
	if n := drainer.metric("drainer_mark_rule_nodes", "rule", "condition/Broken", "state", "silent"); n != 1 {
		t.Errorf("%v nodes are silent, want 1", n)
	}

	e.detect(second)
	awaitState(t, "the rule is latched", func() bool {
		return drainer.metric("drainer_mark_rule_latched", "rule", "condition/Broken") == 1 && e.node(broken).Annotations[api.LatchedAnnotation] != "" &&
			e.node(second).Annotations[api.LatchedAnnotation] != ""
	})
	e.awaitEvent(metav1.NamespaceDefault, second, "RuleLatched")
	for _, node := range []string{broken, second} {
		if n := e.node(node); n.Annotations[api.DrainAnnotation] != "" || n.Spec.Unschedulable {
			t.Errorf("two nodes are marked of which one may be, and %s is drained", node)
		}
	}
	if sent := e.evictions(); slices.ContainsFunc(sent, func(a cluster.AuditEvent) bool { return !strings.HasPrefix(a.ObjectRef.Name, "web-") }) {
		t.Errorf("the evictions are %v", sent)
	}
}

// TestMarksApproved: what a rule requests with start: Paused begins once a person
// removes the pause, and is released once its mark has cleared.
func TestMarksApproved(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 2), node)))
	e.awaitReady("web", 2)
	e.start("--config=" + e.configuration("requests: [{condition: Broken, for: 1m, maxNodes: 1, start: Paused, release: WhenCleared}]\n"))
	e.detect(node)
	e.awaitPhase(node, api.Paused)
	id := e.node(node).Annotations[api.DrainAnnotation]
	if !strings.HasPrefix(id, "condition/Broken/") || e.cordoned(node) {
		t.Errorf("the request is %q, and the node is cordoned: %v", id, e.cordoned(node))
	}
	e.annotate(node, api.PausedAnnotation, "")
	e.awaitDrained(node, id)
	if sent := e.sentFor("web"); len(sent) != 2 {
		t.Errorf("%d evictions were sent, want 2", len(sent))
	}
	e.repair(node)
	e.awaitReleased(node)
	if a := e.node(node).Annotations[api.DrainAnnotation]; a != "" {
		t.Errorf("the node is released, and its request is %q", a)
	}
}
