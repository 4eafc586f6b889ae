package e2e

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestRecreatedPod: a pod of a StatefulSet comes back under the same name on
// another node and is left alone.
func TestRecreatedPod(t *testing.T) {
	e := setup(t, 2)
	e.create(workload.StatefulSet(e.spec("db", 3)))
	e.awaitReady("db", 3)
	node := e.pods("db")[0].Spec.NodeName
	before := len(e.podsOn(node, "db"))
	e.start()
	e.request(node, "stateful")
	e.awaitDrained(node, "stateful")
	e.awaitReady("db", 3)
	seen := map[string]int{}
	for _, p := range e.awaitEvictions(before) {
		seen[p.ObjectRef.Name]++
	}
	if len(seen) != before {
		t.Errorf("%d pods were evicted, want the %d of the node", len(seen), before)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was evicted %d times", name, n)
		}
	}
}

// TestFinalizer: a pod that a finalizer holds is stuck and the drain not done.
func TestFinalizer(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(held(on(e.spec("held", 1), node))))
	e.awaitReady("held", 1)
	pod := e.pods("held")[0]
	drainer := e.start("--stuck-after=1s")
	e.request(node, "finalizer")
	awaitState(t, "the pod is terminating", func() bool { return len(e.terminating("held")) == 1 })
	// kwok leaves pods with finalizers alone: the containers end by our hand. It
	// may still write that they run, from what it saw before.
	end := func() {
		e.patchPodStatus(pod, map[string]any{"containerStatuses": []map[string]any{{
			"name": "main", "image": "x", "ready": false, "restartCount": 0,
			"state": map[string]any{"running": nil, "terminated": map[string]any{"exitCode": 0}},
		}}})
	}
	poll(t, "the pod is stuck by its finalizer", func() bool {
		end()
		return drainer.metric("drainer_stuck_pods", "reason", "finalizer") == 1
	})
	awaitState(t, "the node says so", func() bool {
		end()
		return e.blockedBy(node, "held", "finalizer") && e.status(node).Pods.Terminating == 1
	})
	e.awaitEvent(e.namespace, pod.Name, "Stuck")
	if e.condition(node, corev1.NodeDrained).Status != corev1.ConditionFalse {
		t.Error("the node is reported drained")
	}
	e.removeFinalizers(pod.Name)
	e.awaitDrained(node, "finalizer")
	if n := len(e.awaitEvictions(1)); n != 1 {
		t.Errorf("%d evictions were sent, want 1", n)
	}
}

// TestBarePod: it blocks by default and leaves with --bare-pods=Evict.
func TestBarePod(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Pod(e.spec("bare", 1), node))
	e.awaitReady("bare", 1)
	drainer := e.start()
	e.request(node, "bare")
	e.awaitBlocked(node, "bare", "bare_pod")
	e.awaitPhase(node, api.Blocked)
	if len(e.evictions()) > 0 {
		t.Error("a bare pod was evicted")
	}
	if status, _ := drainer.terminate(); status != 0 {
		t.Errorf("drainer exited with %d", status)
	}
	e.start("--bare-pods=Evict")
	e.awaitDrained(node, "bare")
}

// TestLatePod: a pod that is bound after the node was drained is drained, too.
func TestLatePod(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.start("--bare-pods=Evict")
	e.request(node, "late")
	e.awaitDrained(node, "late")
	e.create(workload.Pod(held(e.spec("late", 1)), node))
	awaitState(t, "the node is no longer Drained", func() bool {
		return e.node(node).Annotations[api.DrainedAnnotation] == "" &&
			e.condition(node, corev1.NodeDrained).Status == corev1.ConditionFalse
	})
	awaitState(t, "the pod is evicted", func() bool { return len(e.terminating("late")) == 1 })
	e.removeFinalizers("late")
	e.awaitDrained(node, "late")
	if left := e.stillOn(node, "late"); len(left) > 0 {
		t.Errorf("the late pod is still there: %v", left)
	}
}

// TestReturningPod: pods that tolerate everything come back to the node. That
// is slowed down and reported, not fought.
func TestReturningPod(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	spec := on(e.spec("boomerang", 1), node)
	spec.Pod = func(t *corev1.PodTemplateSpec) {
		t.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	}
	e.create(workload.Deployment(spec))
	e.awaitReady("boomerang", 1)
	e.start()
	e.request(node, "return")
	e.awaitBlocked(node, "boomerang", "returning")
	e.awaitPhase(node, api.Blocked)
	// The first is the drain's, the second the first of a pod that came back.
	sent := e.sentFor("boomerang")
	for i := 2; i < len(sent); i++ {
		if gap := sent[i].Received.Sub(sent[i-1].Received); gap < 10*time.Second {
			t.Errorf("eviction %d came %v after the one before: that is a fight", i+1, gap)
		}
	}
	if err := shared.Client.AppsV1().Deployments(e.namespace).Delete(e.Context(), "boomerang", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.awaitDrained(node, "return")
}
