package e2e

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

func (e *env) kubectl(args ...string) {
	e.Helper()
	out, err := exec.CommandContext(e.Context(), suite.cluster.Kubectl(),
		append([]string{"--kubeconfig=" + suite.cluster.Kubeconfig()}, args...)...).CombinedOutput()
	if err != nil {
		e.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (e *env) cordoned(node string) bool { return e.node(node).Spec.Unschedulable }

// TestPause: nothing is sent while the request is paused.
func TestPause(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 20), node)))
	e.awaitReady("web", 20)
	e.start("--eviction-qps=5", "--eviction-burst=1")
	e.request(node, "pause")
	await(t, "some pods are evicted", func() bool { return len(e.terminating("web")) >= 2 })
	e.annotate(node, api.PausedAnnotation, "true")
	e.awaitPhase(node, api.Paused)
	paused := time.Now()
	watchFor(t, 3*time.Second, "the node stays paused and cordoned", func() bool {
		return e.status(node).Phase == api.Paused && e.cordoned(node)
	})
	e.checkNoneSince(paused)
	if c := e.condition(node, corev1.NodeDrainInProgress); c.Status != corev1.ConditionTrue {
		t.Errorf("DrainInProgress = %s while paused, want True", c.Status)
	}
	e.annotate(node, api.PausedAnnotation, "")
	e.awaitDrained(node, "pause")
}

// TestTimeout: Wait says so and goes on, Stop gives up and stays cordoned.
func TestTimeout(t *testing.T) {
	e := setup(t, 3)
	wait, stop := e.nodes[0], e.nodes[1]
	for _, node := range []string{wait, stop} {
		e.create(workload.Deployment(on(e.spec("db-"+node, 1), node)),
			workload.MaxUnavailable(e.namespace, "pdb-"+node, "db-"+node, "0"))
		e.awaitReady("db-"+node, 1)
	}
	drainer := e.start()
	e.annotate(wait, api.DrainAnnotation, "t1", api.TimeoutAnnotation, "2s")
	e.annotate(stop, api.DrainAnnotation, "t2", api.TimeoutAnnotation, "2s", api.OnTimeoutAnnotation, "Stop")
	e.awaitPhase(wait, api.TimedOut)
	e.awaitPhase(stop, api.TimedOut)
	if c := e.condition(wait, corev1.NodeDrainInProgress); c.Status != corev1.ConditionTrue {
		t.Errorf("Wait: DrainInProgress = %s, want True", c.Status)
	}
	if c := e.condition(stop, corev1.NodeDrainInProgress); c.Status != corev1.ConditionFalse {
		t.Errorf("Stop: DrainInProgress = %s, want False", c.Status)
	}
	poll(t, "both timeouts are counted", func() bool { return drainer.metric("drainer_drains_total", "result", "timed_out") == 2 })
	e.editBudget("pdb-"+wait, "1")
	e.editBudget("pdb-"+stop, "1")
	e.awaitDrained(wait, "t1")
	watchFor(t, 2*time.Second, "Stop sends nothing and keeps the cordon", func() bool {
		return e.cordoned(stop) && len(e.podsOn(stop, "db-"+stop)) == 1 && e.pods("db-" + stop)[0].DeletionTimestamp == nil
	})
	for _, p := range e.evictions() {
		if strings.HasPrefix(p.ObjectRef.Name, "db-"+stop) {
			t.Errorf("an eviction of %s was sent after Stop", p.ObjectRef.Name)
		}
	}
	e.cancel(stop)
	e.awaitReleased(stop)
}

// TestNotBefore: the node is Queued until then and says so.
func TestNotBefore(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.start()
	at := time.Now().Add(4 * time.Second).Truncate(time.Second)
	e.annotate(node, api.DrainAnnotation, "later", api.NotBeforeAnnotation, at.UTC().Format(time.RFC3339))
	e.awaitPhase(node, api.Queued)
	if message := e.message(node); !strings.Contains(message, at.UTC().Format(time.RFC3339)) {
		t.Errorf("the condition says %q and not when it begins", message)
	}
	await(t, "the drain begins", func() bool {
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

// TestInvalidRequest: nothing is guessed, and the node says what is wrong.
func TestInvalidRequest(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 1), node)))
	e.awaitReady("web", 1)
	e.start()
	for i, bad := range [][2]string{
		{api.PausedAnnotation, "yes"},
		{api.NotBeforeAnnotation, "tomorrow"},
		{api.TimeoutAnnotation, "ten minutes"},
		{api.TimeoutAnnotation, "0"},
		{api.OnTimeoutAnnotation, "Delete"},
		{api.OnTimeoutAnnotation, "Continue"},
		{api.GracePeriodAnnotation, "0"},
		{api.GracePeriodAnnotation, "1.5"},
		{api.DryRunAnnotation, "true"},
		// A typo must not turn a dry run into a drain.
		{"drainer.dev/dryrun", "true"},
	} {
		id := fmt.Sprintf("bad-%d", i)
		e.annotate(node, api.DrainAnnotation, id, bad[0], bad[1])
		await(t, bad[0]+"="+bad[1]+" is refused", func() bool {
			s := e.status(node)
			return s.Request == id && s.Phase == api.InvalidRequest && strings.Contains(e.message(node), bad[0]) &&
				e.condition(node, corev1.NodeDrainInProgress).Status == corev1.ConditionFalse
		})
		e.annotate(node, api.DrainAnnotation, "", bad[0], "")
		e.awaitReleased(node)
	}
	e.annotate(node, api.DrainAnnotation, strings.Repeat("x", 129))
	e.awaitPhase(node, api.InvalidRequest)
	if v := e.awaitEvent(metav1.NamespaceDefault, node, "InvalidRequest"); v.Type != corev1.EventTypeWarning {
		t.Errorf("the event is of type %s", v.Type)
	}
	if e.cordoned(node) || len(e.evictions()) > 0 {
		t.Error("something was done for an invalid request")
	}
	// Mended, it is carried out.
	e.request(node, "good")
	e.awaitDrained(node, "good")
}

// TestInvalidDuringDrain: a drain under way pauses and keeps its cordon.
func TestInvalidDuringDrain(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 20), node)))
	e.awaitReady("web", 20)
	e.start("--eviction-qps=5", "--eviction-burst=1")
	e.request(node, "typo")
	await(t, "some pods are evicted", func() bool { return len(e.terminating("web")) >= 2 })
	e.annotate(node, "drainer.dev/pause", "true")
	e.awaitPhase(node, api.InvalidRequest)
	invalid := time.Now()
	watchFor(t, 2*time.Second, "the cordon stays", func() bool { return e.cordoned(node) })
	e.checkNoneSince(invalid)
	e.annotate(node, "drainer.dev/pause", "")
	e.awaitDrained(node, "typo")
}

// TestPodAnnotation: an instruction that is not carried out yet is refused and
// not ignored.
func TestPodAnnotation(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	spec := on(e.spec("web", 1), node)
	spec.Pod = func(t *corev1.PodTemplateSpec) { t.Annotations["drainer.dev/drain"] = "Skip" }
	e.create(workload.Deployment(spec))
	e.awaitReady("web", 1)
	e.start()
	e.request(node, "skip")
	e.awaitPhase(node, api.InvalidRequest)
	if message := e.message(node); !strings.Contains(message, e.pods("web")[0].Name) || !strings.Contains(message, "drainer.dev/drain") {
		t.Errorf("the condition says %q and does not name the pod and the annotation", message)
	}
	if len(e.evictions()) > 0 {
		t.Error("a pod was evicted against its annotation")
	}
}

// TestNewRequest: the promise of an old request never stands under a new one.
func TestNewRequest(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.start()
	e.request(node, "first")
	e.awaitDrained(node, "first")
	w, err := suite.client.CoreV1().Nodes().Watch(t.Context(), metav1.SingleObject(metav1.ObjectMeta{
		Name: node, ResourceVersion: e.node(node).ResourceVersion,
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	e.request(node, "second")
	timeout := time.After(patience)
	for {
		select {
		case event := <-w.ResultChan():
			n, ok := event.Object.(*corev1.Node)
			if !ok || event.Type == watch.Error {
				t.Fatalf("the watch broke: %v", event)
			}
			status, err := api.ParseStatus(n.Annotations[api.StatusAnnotation])
			if err != nil {
				t.Fatal(err)
			}
			drained := n.Annotations[api.DrainedAnnotation]
			if status.Request == "second" && drained == "first" {
				t.Fatal("drained says the old ID under the new request")
			}
			if drained == "second" {
				return
			}
		case <-timeout:
			t.Fatal("the second request was not carried out")
		}
	}
}

// TestHumanCordon: a cordon made by a person before the drain survives it.
func TestHumanCordon(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.kubectl("cordon", node)
	await(t, "the person's cordon", func() bool { return e.cordoned(node) })
	e.start()
	e.request(node, "human")
	e.awaitDrained(node, "human")
	e.cancel(node)
	e.awaitReleased(node)
	watchFor(t, time.Second, "the person's cordon stays", func() bool { return e.cordoned(node) })
}

// TestHumanUncordon: while the request stands the cordon is put back.
func TestHumanUncordon(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	e.start()
	e.request(node, "uncordon")
	await(t, "the cordon", func() bool { return e.cordoned(node) })
	// The first one is put right at once, maybe before anybody sees it.
	e.kubectl("uncordon", node)
	e.awaitEvent(metav1.NamespaceDefault, node, "CordonRestored")
	await(t, "the cordon is put back", func() bool { return e.cordoned(node) })
	e.kubectl("uncordon", node)
	await(t, "the uncordon is seen", func() bool { return !e.cordoned(node) })
	uncordoned := time.Now()
	await(t, "the cordon is put back again", func() bool { return e.cordoned(node) })
	if waited := time.Since(uncordoned); waited < 3*time.Second {
		t.Errorf("the second cordon came after %v: that is a fight", waited)
	}
	e.editBudget("db", "1")
	e.awaitDrained(node, "uncordon")
}

// TestNodeDeleted: a node that is gone ends its drain; one of the same name is
// another node.
func TestNodeDeleted(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	drainer := e.start()
	e.request(node, "deleted")
	e.awaitBlocked(node, "db", "budget_never_allows")
	if err := suite.client.CoreV1().Nodes().Delete(t.Context(), node, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	poll(t, "the end is counted", func() bool { return drainer.metric("drainer_drains_total", "result", "node_deleted") == 1 })
	poll(t, "the gauges of the node are gone", func() bool { return drainer.metric("drainer_node_pods", "node", node) == 0 })
	e.create(workload.Node(node, map[string]string{poolLabel: e.pool}))
	await(t, "the new node is ready", func() bool { return e.node(node) != nil && ready(e.node(node)) })
	e.request(node, "again")
	e.awaitBlocked(node, "db", "budget_never_allows")
	e.editBudget("db", "1")
	e.awaitDrained(node, "again")
	if at := e.status(node).StartedAt; at == nil || at.Before(e.node(node).CreationTimestamp.Time) {
		t.Errorf("the new node's drain began at %v, before the node was there", at)
	}
}

// TestAllNodes: all nodes are asked for at once.
func TestAllNodes(t *testing.T) {
	const limit = 2
	e := setup(t, 5)
	e.create(workload.Deployment(e.spec("web", 10)), workload.MaxUnavailable(e.namespace, "web", "web", "50%"))
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
	await(t, "some wait for a slot", func() bool {
		return slices.ContainsFunc(inPhase(api.Queued), func(n string) bool { return strings.Contains(e.message(n), "place 1 in the queue") })
	})
	queued := inPhase(api.Queued)[0]
	await(t, "a queued node gets the taint", func() bool {
		return e.status(queued).Phase != api.Queued || slices.ContainsFunc(e.node(queued).Spec.Taints, func(t corev1.Taint) bool {
			return t.Key == api.QueuedTaint && t.Effect == corev1.TaintEffectPreferNoSchedule
		})
	})
	await(t, "all but the last are drained", func() bool {
		if n := draining(); n > limit {
			t.Fatalf("%d nodes are draining at once, at most %d are allowed", n, limit)
		}
		return len(inPhase(api.Drained)) == len(e.nodes)-1
	})
	last := inPhase(api.Queued)
	if len(last) != 1 {
		t.Fatalf("%d nodes are queued, want the last one", len(last))
	}
	await(t, "the last node says why it waits", func() bool { return strings.Contains(e.message(last[0]), "last schedulable Ready node") })
	watchFor(t, 2*time.Second, "the last node takes pods", func() bool { return !e.cordoned(last[0]) })
	if n := drainer.metric("drainer_nodes", "phase", "Drained"); int(n) != len(e.nodes)-1 {
		t.Errorf("drainer_nodes says %v drained", n)
	}
	for _, node := range e.nodes {
		e.cancel(node)
	}
	for _, node := range e.nodes {
		e.awaitReleased(node)
		await(t, "the node is schedulable", func() bool { return !e.cordoned(node) })
	}
}
