package e2e

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestHold: a node that others hold stays cordoned without a request, says by whom
// and why, and is released once nobody holds it.
func TestHold(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(1)
	first := e.start()
	e.annotate(node, api.DrainAnnotation, "mine", api.HoldPrefix+"backup", "copies the disk")
	e.awaitDrained(node, "mine")
	e.cancel(node)
	e.awaitPhase(node, api.Held)
	if !strings.Contains(e.message(node), "held by backup (copies the disk)") || e.condition(node, corev1.NodeDrained).Status != corev1.ConditionFalse {
		t.Errorf("Drained is %s, and the node says %q", e.condition(node, corev1.NodeDrained).Status, e.message(node))
	}
	e.awaitEvent(metav1.NamespaceDefault, node, string(api.Held))
	first.crash()
	e.start()
	watchFor(t, 2*time.Second, "the cordon stays", func() bool { return e.cordoned(node) })
	e.annotate(node, api.HoldPrefix+"backup", "")
	e.awaitReleased(node)
	e.awaitSchedulable(node)
}

// TestClaims: who asks for a drain and why is on the node, in the event and in the
// record of the drain in the log; an action is not a request.
func TestClaims(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	drainer := e.start()
	e.request(node, "Ignore")
	e.awaitPhase(node, api.InvalidRequest)
	if !strings.Contains(e.message(node), "names an action") || e.cordoned(node) {
		t.Errorf("the node is cordoned: %v, and says %q", e.cordoned(node), e.message(node))
	}
	e.annotate(node, api.DrainAnnotation, "CHG-1", api.RequestedByAnnotation, "alice", api.ReasonAnnotation, "kernel update")
	e.awaitPhase(node, api.Blocked)
	if s := e.status(node); s.RequestedBy != "alice" || s.RequestReason != "kernel update" || !strings.Contains(e.message(node), "requested by alice; reason: kernel update") {
		t.Errorf("the status has %q and %q, the node says %q", s.RequestedBy, s.RequestReason, e.message(node))
	}
	if note := e.awaitEvent(metav1.NamespaceDefault, node, string(api.Blocked)).Note; !strings.Contains(note, "CHG-1 (requested by alice; reason: kernel update)") {
		t.Errorf("the event says %q", note)
	}
	e.editBudget("db", "1")
	e.awaitDrained(node, "CHG-1")
	var record struct {
		Request, RequestedBy, RequestReason, Node, Result string
		PodsGone                                          int
		StartedAt, EndedAt                                time.Time
		WorstBlocker                                      struct{ Pod, Reason, Budget string }
	}
	poll(t, "the record is in the log", func() bool {
		text, err := os.ReadFile(drainer.Log)
		if err != nil {
			t.Fatal(err)
		}
		_, line, found := strings.Cut(string(text), `"Drain ended"`)
		_, line, has := strings.Cut(line, `"record":`)
		return found && has && json.NewDecoder(strings.NewReader(line)).Decode(&record) == nil
	})
	if record.Request != "CHG-1" || record.RequestedBy != "alice" || record.RequestReason != "kernel update" || record.Node != node ||
		record.Result != "drained" || record.PodsGone != 1 || record.WorstBlocker.Budget != e.namespace+"/db" || record.EndedAt.Before(record.StartedAt) {
		t.Errorf("the record is %+v", record)
	}
}

// TestConditionConflict: the API server says that another manager owns a condition.
// It stays as it is, and the annotations say how the drain stands.
func TestConditionConflict(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(1)
	e.updateStatus(node, func(n *corev1.Node) {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeDrained, Status: corev1.ConditionUnknown, Reason: "Theirs"})
	})
	e.start()
	e.request(node, "shared")
	awaitState(t, "the annotation says that the node is drained", func() bool { return e.node(node).Annotations[api.DrainedAnnotation] == "shared" })
	if note := e.awaitEvent(metav1.NamespaceDefault, node, "ConditionConflict").Note; !strings.Contains(note, "condition Drained by other-controller") {
		t.Errorf("the event says %q", note)
	}
	if c := e.condition(node, corev1.NodeDrained); c.Status != corev1.ConditionUnknown || c.Reason != "Theirs" {
		t.Errorf("the other's condition is %+v", c)
	}
	if c := e.condition(node, corev1.NodeDrainInProgress); c.Reason != string(api.Drained) {
		t.Errorf("drainer's own condition is %+v", c)
	}
	// It is theirs to remove.
	e.updateStatus(node, func(n *corev1.Node) {
		for i, c := range n.Status.Conditions {
			if c.Type == corev1.NodeDrained {
				n.Status.Conditions = append(n.Status.Conditions[:i:i], n.Status.Conditions[i+1:]...)
				return
			}
		}
	})
	awaitState(t, "drainer writes the condition", func() bool { return e.condition(node, corev1.NodeDrained).Status == corev1.ConditionTrue })
	e.cancel(node)
	e.awaitReleased(node)
}

// updateStatus updates the status of a node as another controller does.
func (e *env) updateStatus(node string, change func(*corev1.Node)) {
	e.Helper()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return updateStatus(e.Context(), node, change) })
	if err != nil {
		e.Fatal(err)
	}
}

func updateStatus(ctx context.Context, node string, change func(*corev1.Node)) error {
	n, err := shared.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return err
	}
	change(n)
	_, err = shared.Client.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{FieldManager: "other-controller"})
	return err
}
