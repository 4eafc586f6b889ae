package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// stuck makes a pod on a node that nothing can evict until its budget, of the
// same name, is edited.
func (e *env) stuck(app, node string) {
	e.Helper()
	e.create(workload.Deployment(on(e.spec(app, 1), node)), workload.MaxUnavailable(e.namespace, app, app, "0"))
	e.awaitReady(app, 1)
}

// configuration writes a configuration file with these fields.
func (e *env) configuration(fields string) string {
	e.Helper()
	file := filepath.Join(e.TempDir(), "drainer.yaml")
	text := "apiVersion: config.drainer.dev/v1alpha1\nkind: DrainerConfiguration\n" + fields
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		e.Fatal(err)
	}
	return file
}

func (e *env) label(node, key, value string) {
	e.Helper()
	e.patchNode(node, map[string]any{"metadata": map[string]any{"labels": map[string]string{key: value}}})
}

// awaitQueued waits until a node is queued and says so in these words.
func (e *env) awaitQueued(node, says string) {
	e.Helper()
	awaitState(e.T, "node "+node+" is queued and says "+says, func() bool {
		return e.status(node).Phase == api.Queued && strings.Contains(e.message(node), says)
	})
	if e.cordoned(node) {
		e.Fatalf("node %s is queued and cordoned", node)
	}
}

// TestMaxUnavailable: a node that is drained and not released keeps the next one
// from beginning, also for a process that has just started; neither a node that
// counts already nor a release waits.
func TestMaxUnavailable(t *testing.T) {
	e := setup(t, 4)
	first, second := e.nodes[0], e.nodes[1]
	drainer := e.start("--max-draining=1", "--max-unavailable=1")
	e.request(first, "r1")
	e.awaitDrained(first, "r1")
	e.request(second, "r2")
	e.awaitQueued(second, "1 nodes are unavailable, at most 1 may be: 1 drained and not released ("+first+")")
	awaitState(t, "the metric says what it waits for", func() bool { return drainer.metric("drainer_queued_nodes", "reason", "unavailable") == 1 })
	drainer.crash()
	e.start("--max-draining=1", "--max-unavailable=1")
	e.request(first, "again")
	e.awaitDrained(first, "again")
	e.awaitQueued(second, "1 nodes are unavailable")
	e.cancel(first)
	e.awaitReleased(first)
	e.awaitDrained(second, "r2")
}

// TestPriority: the node with the higher priority begins first.
func TestPriority(t *testing.T) {
	e := setup(t, 4)
	busy, early, urgent := e.nodes[0], e.nodes[1], e.nodes[2]
	e.stuck("db", busy)
	e.start("--max-draining=1")
	e.request(busy, "r")
	e.awaitStarted(busy)
	e.request(early, "r")
	e.awaitQueued(early, "place 1 in the queue")
	e.annotate(urgent, api.DrainAnnotation, "r", api.PriorityAnnotation, "high")
	e.awaitPhase(urgent, api.InvalidRequest)
	if message := e.message(urgent); !strings.Contains(message, `drainer.dev/priority="high" is not an integer`) {
		t.Errorf("the condition says %q", message)
	}
	e.annotate(urgent, api.PriorityAnnotation, "10")
	e.awaitQueued(urgent, "place 1 in the queue")
	e.editBudget("db", "1")
	e.awaitDrained(urgent, "r")
	e.awaitDrained(early, "r")
	if e.status(early).StartedAt.Before(*e.status(urgent).StartedAt) {
		t.Error("the node without priority began first")
	}
}

// TestRemoval: a node that an autoscaler removes, or somebody has deleted, does
// not start.
func TestRemoval(t *testing.T) {
	e := setup(t, 3)
	node, deleted := e.nodes[0], e.nodes[1]
	taints := func(taints ...corev1.Taint) {
		e.patchNode(node, map[string]any{"spec": map[string]any{"taints": taints}})
	}
	finalizers := func(names ...string) {
		e.patchNode(deleted, map[string]any{"metadata": map[string]any{"finalizers": names}})
	}
	taints(corev1.Taint{Key: "ToBeDeletedByClusterAutoscaler", Value: "1700000000", Effect: corev1.TaintEffectNoSchedule})
	finalizers("example.org/hold")
	if err := shared.Client.CoreV1().Nodes().Delete(e.Context(), deleted, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.start()
	e.request(node, "r")
	e.request(deleted, "r")
	e.awaitQueued(node, "(taint ToBeDeletedByClusterAutoscaler)")
	e.awaitQueued(deleted, "does not start: the Node is being deleted")
	taints()
	e.awaitDrained(node, "r")
	finalizers()
	awaitState(t, "the node is gone", func() bool { return e.node(deleted) == nil })
}

// TestPendingPods: no drain begins while more pods than may be have no node. The
// pods of other tests count, too, so the limit is raised in the end: how many
// those are nobody knows.
func TestPendingPods(t *testing.T) {
	const most = 200
	e := setup(t, 2)
	spec := e.spec("nowhere", most+1)
	spec.NodeSelector = map[string]string{poolLabel: "nowhere"}
	e.create(workload.Deployment(spec))
	awaitState(t, "the scheduler finds no node for the pods", func() bool {
		pods := e.pods("nowhere")
		return len(pods) > most && !slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return len(p.Status.Conditions) == 0 })
	})
	limited := e.start("--config=" + e.configuration(fmt.Sprintf("pendingPods: %d\n", most)))
	e.request(e.nodes[0], "r")
	e.awaitQueued(e.nodes[0], "waits for pods to be scheduled, place 1 in the queue")
	limited.terminate()
	e.start("--config=" + e.configuration("pendingPods: 100000\n"))
	e.awaitDrained(e.nodes[0], "r")
}

// TestPools: a pool has slots and a timeout of its own, and its nodes say so.
func TestPools(t *testing.T) {
	e := setup(t, 5)
	busy, waits, other := e.nodes[0], e.nodes[1], e.nodes[2]
	e.stuck("db", busy)
	for _, node := range []string{busy, waits} {
		e.label(node, "accelerator", "gpu")
	}
	e.start("--config=" + e.configuration("pools: [{name: gpu, nodeSelector: {matchLabels: {accelerator: gpu}}, maxDraining: 1, drainTimeout: 3s, onTimeout: Wait}]\n"))
	e.request(busy, "r")
	e.awaitStarted(busy)
	e.request(waits, "r")
	e.awaitQueued(waits, "1 of at most 1 nodes of pool gpu are being drained")
	e.request(other, "r")
	e.awaitDrained(other, "r")
	e.awaitPhase(busy, api.TimedOut)
	if pool, none := e.status(busy).Pool, e.status(other).Pool; pool != "gpu" || none != "" {
		t.Errorf("the pools are %q and %q", pool, none)
	}
	e.editBudget("db", "1")
	e.awaitDrained(busy, "r")
	e.awaitDrained(waits, "r")
}

// TestGroups: one zone after the other; nodes without a zone are one, too.
func TestGroups(t *testing.T) {
	e := setup(t, 5)
	busy, same, other, none := e.nodes[0], e.nodes[1], e.nodes[2], e.nodes[3]
	e.stuck("db", busy)
	for node, zone := range map[string]string{busy: "a", same: "a", other: "b"} {
		e.label(node, corev1.LabelTopologyZone, zone)
	}
	e.start("--config=" + e.configuration("groups: [{label: topology.kubernetes.io/zone, maxDraining: 2, maxGroups: 1}]\n"))
	e.request(busy, "r")
	e.awaitStarted(busy)
	for _, node := range []string{other, none, same} {
		e.request(node, "r")
	}
	const says = "at most 1 groups of nodes by topology.kubernetes.io/zone are drained at once; being drained now: those with topology.kubernetes.io/zone=a"
	e.awaitQueued(other, says)
	e.awaitQueued(none, says)
	e.awaitDrained(same, "r")
	e.editBudget("db", "1")
	for _, node := range []string{busy, other, none} {
		e.awaitDrained(node, "r")
	}
}

// TestYield: a drain without progress gives its slot to the next node, and
// continues when it can. The next one begins no earlier, also where another
// process takes over; that it waited is not looked for, because a busy machine may
// look too late.
func TestYield(t *testing.T) {
	e := setup(t, 4)
	busy, next := e.nodes[0], e.nodes[1]
	e.stuck("db", busy)
	flags := []string{"--max-draining=1", "--config=" + e.configuration("yieldAfter: 12s\n")}
	drainer := e.start(flags...)
	e.request(busy, "r")
	e.awaitStarted(busy)
	e.request(next, "r")
	e.awaitPhase(busy, api.Blocked)
	since := *e.status(busy).IdleSince
	drainer.crash()
	e.start(flags...)
	e.awaitDrained(next, "r")
	if started := *e.status(next).StartedAt; started.Before(since.Add(12 * time.Second)) {
		t.Errorf("the next one began at %v, the first made no progress since %v", started, since)
	}
	awaitState(t, "the first one says so", func() bool { return strings.Contains(e.message(busy), "other nodes may begin in the meantime") })
	e.editBudget("db", "1")
	e.awaitDrained(busy, "r")
}
