package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// unplug takes a node from kwok, its kubelet, and lets it have been unreachable for
// so long. kwok may still write to it what it was about to.
func (e *env) unplug(node string, d time.Duration) {
	e.Helper()
	e.patchNode(node, map[string]any{"metadata": map[string]any{"labels": map[string]any{cluster.KwokLabel: nil}}})
	unknown, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.",
		LastTransitionTime: metav1.NewTime(time.Now().Add(-d)),
	}}}})
	if err != nil {
		e.Fatal(err)
	}
	_, err = shared.Client.CoreV1().Nodes().Patch(e.Context(), node, types.StrategicMergePatchType, unknown, metav1.PatchOptions{}, "status")
	if err != nil {
		e.Fatal(err)
	}
}

// TestUnreachable: a node that does not report is not Drained before its pods are
// gone, and then only because the configuration says so and it has been unreachable for
// long enough.
func TestUnreachable(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(held(on(e.spec("web", 1), node))))
	e.awaitReady("web", 1)
	pod := e.podsOn(node, "web")[0].Name
	e.start("--config=" + e.configuration("unreachable: {action: Ignore, after: 30m}\n"))
	poll(t, "the node is unreachable", func() bool {
		if e.condition(node, corev1.NodeReady).Status == corev1.ConditionUnknown {
			return true
		}
		e.unplug(node, 0)
		return false
	})
	e.request(node, "r")
	awaitState(t, "the node says what its pod waits for, and what to do", func() bool {
		return e.blockedBy(node, "web", "node_unreachable") && strings.Contains(e.message(node), "add the taint node.kubernetes.io/out-of-service")
	})
	e.unplug(node, time.Hour)
	awaitState(t, "the node is drained with its pod", func() bool {
		return e.node(node).Annotations[api.DrainedAnnotation] == "r" && e.status(node).Pods.Unconfirmed == 1 &&
			strings.Contains(e.condition(node, corev1.NodeDrained).Message, "1 unconfirmed: the node is unreachable")
	})
	if left := e.stillOn(node, "web"); len(left) != 1 {
		t.Errorf("the node has the pods %v, want one", left)
	}
	e.label(node, cluster.KwokLabel, cluster.KwokValue)
	awaitState(t, "the node is reachable, and waits for its pod again", func() bool {
		return ready(e.node(node)) && e.node(node).Annotations[api.DrainedAnnotation] == "" && e.status(node).Pods.Terminating == 1
	})
	e.removeFinalizers(pod)
	e.awaitDrained(node, "r")
}
