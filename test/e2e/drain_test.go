package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// TestDrain is the main job: annotate, wait, release.
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
	e.kubectl("wait", "node/"+node, "--timeout=24h", `--for=jsonpath={.metadata.annotations.drainer\.dev/drained}=CHG-1234`)
	e.kubectl("wait", "node/"+node, "--timeout=24h", "--for=condition=Drained")

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
		status.Pods != (api.PodCounts{Gone: len(victims), Ignored: 2}) {
		t.Errorf("status = %+v, want %d gone and 2 ignored", status, len(victims))
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
	e.awaitSchedulable(node)
}

// TestCancel: after the annotation is removed, no pod is evicted.
func TestCancel(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 40), node)), workload.Deployment(on(e.spec("other", 3), e.nodes[1])))
	e.awaitReady("web", 40)
	e.awaitReady("other", 3)
	// Most of the 40 wait for the limit of the rate when the request goes.
	drainer := e.start("--eviction-qps=2", "--eviction-burst=1", "--eviction-workers=1")
	e.request(node, "cancel-me")
	e.awaitLeaving(node, "web", 40, 3)
	e.cancel(node)
	e.awaitReleased(node)
	e.awaitSchedulable(node)

	// What is sent for another node shows how long nothing is sent for this one.
	e.request(e.nodes[1], "other")
	e.awaitDrained(e.nodes[1], "other")
	web := e.sentFor("web")
	if len(web) >= 40 {
		t.Fatal("all pods were evicted before the request was cancelled")
	}
	other := e.sentFor("other")[0].Received
	if last := web[len(web)-1]; last.Received.After(other) {
		t.Errorf("%s was evicted %v after the first pod of a later request", last.ObjectRef.Name, last.Received.Sub(other))
	}
	// The one worker may have been sending one when the annotation went.
	writes := e.writesOf(node)
	released := writes[len(writes)-1].Done
	if i := slices.IndexFunc(web, func(a cluster.AuditEvent) bool { return a.Received.After(released) }); i >= 0 && i < len(web)-1 {
		t.Errorf("%d pods were evicted after the release", len(web)-i)
	}
	if n := drainer.metric("drainer_drains_total", "result", "cancelled"); n != 1 {
		t.Errorf("drainer_drains_total says %v cancelled, want 1", n)
	}
	e.awaitEvent(metav1.NamespaceDefault, node, "Released")
}

// TestProgress: the node says how far its drain is 1, 3 and 10 s after its pods
// were first counted and then every 10 s, and no more often.
func TestProgress(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 16), node)), workload.Pod(e.spec("bare", 1), node))
	e.awaitReady("web", 16)
	e.awaitReady("bare", 1)
	// One pod a second leaves, and one never does.
	e.start("--eviction-qps=1", "--eviction-burst=1", "--eviction-workers=1")
	w := e.followNode(node)
	defer w.Stop()
	e.request(node, "progress")
	var counted time.Time
	var pods api.PodCounts
	writes := -1
	for pods.Gone < 16 {
		event := suite.Receive(t, "the node says how far its drain is", w.ResultChan())
		n, ok := event.Object.(*corev1.Node)
		if !ok {
			t.Fatalf("the watch broke: %v", event)
		}
		for _, c := range n.Status.Conditions {
			if strings.Contains(c.Message, " for 0s") {
				t.Errorf("the node says %q", c.Message)
			}
		}
		text, has := n.Annotations[api.StatusAnnotation]
		if !has {
			continue
		}
		status, err := api.ParseStatus(text)
		if err != nil {
			t.Fatal(err)
		}
		if counted.IsZero() && status.Pods.Remaining() > 0 {
			counted = time.Now()
		}
		if status.Pods != pods {
			pods, writes = status.Pods, writes+1
		}
	}
	// The last of 16 pods is evicted 15 s after the first at the earliest.
	if most := 4 + int(time.Since(counted)/(10*time.Second)); writes < 3 || writes > most {
		t.Errorf("progress was written %d times in %v, want 3 to %d", writes, time.Since(counted), most)
	}
}

// followNode watches the changes of a node from now on.
func (e *env) followNode(node string) watch.Interface {
	e.Helper()
	w, err := follow(e.Context(), e.node(node).ResourceVersion, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, node).String()
		return shared.Client.CoreV1().Nodes().Watch(ctx, o)
	})
	if err != nil {
		e.Fatal(err)
	}
	return w
}
