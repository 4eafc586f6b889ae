package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestNotBefore: the node is Queued until then and says so.
func TestNotBefore(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.start()
	begins := func(at time.Time) string { return at.UTC().Format(time.RFC3339) }
	at := time.Now().Add(24 * time.Hour)
	e.annotate(node, api.DrainAnnotation, "later", api.NotBeforeAnnotation, begins(at))
	e.awaitPhase(node, api.Queued)
	if message := e.message(node); !strings.Contains(message, begins(at)) {
		t.Errorf("the condition says %q and not when it begins", message)
	}
	at = time.Now().Add(3 * time.Second).Truncate(time.Second)
	e.annotate(node, api.NotBeforeAnnotation, begins(at))
	awaitState(t, "the drain begins", func() bool {
		if time.Now().Before(at) && e.cordoned(node) {
			t.Fatal("the node was cordoned too early")
		}
		return e.status(node).StartedAt != nil
	})
	if started := *e.status(node).StartedAt; started.Before(at) {
		t.Errorf("the drain began at %v, before %v", started, at)
	}
	e.awaitDrained(node, "later")
}

// TestAllNodes: all nodes are asked for at once.
func TestAllNodes(t *testing.T) {
	const limit = 2
	e := setup(t, 5)
	// No drain ends before the queue has been looked at.
	e.create(workload.Deployment(e.spec("web", 10)), workload.MaxUnavailable(e.namespace, "web", "web", "0"))
	e.awaitReady("web", 10)
	drainer := e.start(fmt.Sprintf("--max-draining=%d", limit))
	for _, node := range e.nodes {
		e.request(node, "all")
	}
	draining := func() int {
		n := 0
		for _, node := range e.nodes {
			if e.condition(node, corev1.NodeDrainInProgress).Status == corev1.ConditionTrue {
				n++
			}
		}
		return n
	}
	inPhase := func(phase api.Phase) []string {
		return slices.DeleteFunc(slices.Clone(e.nodes), func(n string) bool { return e.status(n).Phase != phase })
	}
	queued := ""
	awaitState(t, "a node is the next in the queue", func() bool {
		nodes := inPhase(api.Queued)
		i := slices.IndexFunc(nodes, func(n string) bool { return strings.Contains(e.message(n), "place 1 in the queue") })
		if i >= 0 {
			queued = nodes[i]
		}
		return i >= 0
	})
	awaitState(t, "it gets the taint", func() bool {
		return slices.ContainsFunc(e.node(queued).Spec.Taints, func(t corev1.Taint) bool {
			return t.Key == api.QueuedTaint && t.Effect == corev1.TaintEffectPreferNoSchedule
		})
	})
	e.editBudget("web", "50%")
	awaitState(t, "all but the last are drained", func() bool {
		if n := draining(); n > limit {
			t.Fatalf("%d nodes are draining at once, at most %d are allowed", n, limit)
		}
		return len(inPhase(api.Drained)) == len(e.nodes)-1
	})
	last := inPhase(api.Queued)
	if len(last) != 1 {
		t.Fatalf("%d nodes are queued, want the last one", len(last))
	}
	awaitState(t, "the last node says why it waits", func() bool { return strings.Contains(e.message(last[0]), "last schedulable Ready node") })
	watchFor(t, 2*time.Second, "the last node takes pods", func() bool { return !e.cordoned(last[0]) })
	if n := drainer.metric("drainer_nodes", "phase", "Drained"); int(n) != len(e.nodes)-1 {
		t.Errorf("drainer_nodes says %v drained", n)
	}
	for _, node := range e.nodes {
		e.cancel(node)
	}
	for _, node := range e.nodes {
		e.awaitReleased(node)
		e.awaitSchedulable(node)
	}
}

// TestForeignQueuedTaint: a taint of drainer's key and another effect is
// somebody else's, and keeps nothing from being written or removed.
func TestForeignQueuedTaint(t *testing.T) {
	e := setup(t, 3)
	first, node := e.nodes[0], e.nodes[1]
	foreign := corev1.Taint{Key: api.QueuedTaint, Effect: corev1.TaintEffectNoSchedule}
	e.patchNode(node, map[string]any{"spec": map[string]any{"taints": []corev1.Taint{foreign}}})
	e.create(workload.Deployment(on(e.spec("db", 1), first)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	e.start("--max-draining=1")
	e.request(first, "now")
	e.awaitStarted(first)
	e.request(node, "later")
	awaitState(t, "the node has drainer's taint, too", func() bool { return len(e.node(node).Spec.Taints) == 2 })
	e.cancel(node)
	awaitState(t, "only the foreign taint is left", func() bool {
		n := e.node(node)
		return n.Annotations[api.StatusAnnotation] == "" && slices.Equal(n.Spec.Taints, []corev1.Taint{foreign})
	})
}
