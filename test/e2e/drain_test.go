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

// TestDrain is the main job: annotate, wait, hand back.
func TestDrain(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.create(
		workload.DaemonSet(e.spec("agent", 0)),
		workload.Deployment(e.spec("web", 6)),
		workload.MaxUnavailable(e.namespace, "web", "web", "50%"),
		static(workload.Pod(e.spec("static", 1), node)),
	)
	e.awaitReady("web", 6)
	e.awaitReady("agent", 3)
	e.awaitReady("static", 1)
	victims := e.podsOn(node, "web")
	if len(victims) == 0 {
		t.Fatal("no pod of web runs on the node")
	}
	drainer := e.start("--settle=5s")

	e.kubectl("annotate", "node", node, "drainer.dev/drain=CHG-1234")
	e.kubectl("wait", "node/"+node, "--timeout=90s", `--for=jsonpath={.metadata.annotations.drainer\.dev/drained}=CHG-1234`)
	e.kubectl("wait", "node/"+node, "--timeout=90s", "--for=condition=Drained")

	e.awaitDrained(node, "CHG-1234")
	if !e.node(node).Spec.Unschedulable {
		t.Error("the node is not cordoned")
	}
	if left := e.stillOn(node, "web"); len(left) > 0 {
		t.Errorf("%d pods of web are still on the drained node", len(left))
	}
	for _, app := range []string{"agent", "static"} {
		if pods := e.podsOn(node, app); len(pods) != 1 || pods[0].DeletionTimestamp != nil {
			t.Errorf("the pod of %s did not stay", app)
		}
	}
	status := e.status(node)
	if status.Request != "CHG-1234" || status.Phase != api.Drained || status.StartedAt == nil || status.FinishedAt == nil ||
		status.Pods != (api.PodCounts{Gone: len(victims), Left: 2}) {
		t.Errorf("status = %+v, want %d gone and 2 left", status, len(victims))
	}
	if c := e.condition(node, corev1.NodeDrainInProgress); c.Status != corev1.ConditionFalse || c.Reason != "Drained" {
		t.Errorf("DrainInProgress = %s, reason %s", c.Status, c.Reason)
	}
	e.awaitEvent(metav1.NamespaceDefault, node, "Draining")
	e.awaitEvent(metav1.NamespaceDefault, node, "Drained")
	evicted := e.awaitEvent(e.namespace, victims[0].Name, "Evicted")
	if !strings.Contains(evicted.Note, "CHG-1234") {
		t.Errorf("the pod's event does not name the request: %q", evicted.Note)
	}
	if n := drainer.metric("drainer_eviction_requests_total", "code", "201", "reason", "admitted"); int(n) != len(victims) {
		t.Errorf("drainer_eviction_requests_total says %v, want %d", n, len(victims))
	}
	poll(t, "the drain is counted", func() bool { return drainer.metric("drainer_drains_total", "result", "drained") == 1 })

	e.kubectl("annotate", "node", node, "drainer.dev/drain-")
	e.awaitReleased(node)
	await(t, "the node is schedulable", func() bool { return !e.node(node).Spec.Unschedulable })
}

// static makes a pod look like the mirror of a static pod, as a kubelet does.
func static(p *corev1.Pod) *corev1.Pod {
	p.Annotations[corev1.MirrorPodAnnotationKey] = "static"
	return p
}

// TestCancel: after the annotation is gone, nothing is evicted any more.
func TestCancel(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	spec := on(e.spec("web", 40), node)
	e.create(workload.Deployment(spec))
	e.awaitReady("web", 40)
	drainer := e.start("--eviction-qps=5", "--eviction-burst=1")
	e.request(node, "cancel-me")
	await(t, "some pods are evicted", func() bool { return e.status(node).Phase == api.Draining && len(e.terminating("web")) >= 3 })
	e.cancel(node)
	cancelled := time.Now()
	e.awaitReleased(node)
	await(t, "the node is schedulable", func() bool { return !e.node(node).Spec.Unschedulable })

	// The API server's own clock decides when the annotation went.
	var removed time.Time
	poll(t, "the removal in the audit log", func() bool {
		patches, err := suite.cluster.Audit(node, func(a *cluster.AuditEvent) bool {
			return a.User.Username == "admin" && a.Verb == "patch" && a.ObjectRef.Resource == "nodes" && a.ObjectRef.Name == node
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(patches) < 2 {
			return false
		}
		removed = patches[len(patches)-1].Done
		return true
	})
	watchFor(t, time.Until(cancelled.Add(4*time.Second)), "the node stays released", func() bool { return e.released(node) })
	posts := e.evictions()
	if len(posts) == 0 || len(posts) >= 40 {
		t.Fatalf("%d evictions were sent, want some of 40", len(posts))
	}
	for _, p := range posts {
		if p.Received.After(removed.Add(time.Second)) {
			t.Errorf("%s was evicted %v after the removal", p.ObjectRef.Name, p.Received.Sub(removed))
		}
	}
	if n := drainer.metric("drainer_drains_total", "result", "cancelled"); n != 1 {
		t.Errorf("drainer_drains_total says %v cancelled, want 1", n)
	}
	e.awaitEvent(metav1.NamespaceDefault, node, "Released")
}

// terminating are the app's pods that have been deleted and are not gone.
func (e *env) terminating(app string) []*corev1.Pod {
	return slices.DeleteFunc(e.pods(app), func(p *corev1.Pod) bool { return p.DeletionTimestamp == nil })
}
