package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// TestPause: nothing is sent while the request is paused.
func TestPause(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.twoOfTen(node)
	e.start()
	e.request(node, "pause")
	e.awaitLeaving(node, "web", 10, 2)
	e.annotate(node, api.PausedAnnotation, "true")
	e.awaitPhase(node, api.Paused)
	e.checkNothingSent(node)
	if e.status(node).Phase != api.Paused {
		t.Errorf("the node is %s after a while, want Paused", e.status(node).Phase)
	}
	if c := e.condition(node, corev1.NodeDrainInProgress); c.Status != corev1.ConditionTrue {
		t.Errorf("DrainInProgress = %s while paused, want True", c.Status)
	}
	e.annotate(node, api.PausedAnnotation, "")
	e.awaitDrained(node, "pause")
	e.checkOnce(10 + 3)
}

// TestReleaseAtTimeout: Release uncordons the node, says so, also a process that
// comes later, and waits for another ID.
func TestReleaseAtTimeout(t *testing.T) {
	e := setup(t, 4)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	drainer := e.start("--max-draining=1")
	e.annotate(node, api.DrainAnnotation, "t1", api.TimeoutAnnotation, "2s", api.OnTimeoutAnnotation, "Release")
	e.awaitPhase(node, api.TimedOut)
	awaitState(t, "the node takes pods again", func() bool { return !e.cordoned(node) })
	for _, kind := range []corev1.NodeConditionType{corev1.NodeDrainInProgress, corev1.NodeDrained} {
		if c := e.condition(node, kind); c.Status != corev1.ConditionFalse || c.Reason != string(api.TimedOut) {
			t.Errorf("%s = %s, %s; want False, TimedOut", kind, c.Status, c.Reason)
		}
	}
	// The slot is free.
	e.request(e.nodes[1], "other")
	e.awaitDrained(e.nodes[1], "other")
	e.editBudget("db", "1")
	drainer.crash()
	e.start("--max-draining=1")
	e.request(e.nodes[2], "later")
	e.awaitDrained(e.nodes[2], "later")
	if s := e.status(node); e.cordoned(node) || s.ReleasedAt == nil || len(e.pods("db")) != 1 {
		t.Errorf("after a restart the node is cordoned: %v, and says %+v", e.cordoned(node), s)
	}
	e.annotate(node, api.TimeoutAnnotation, "", api.DrainAnnotation, "t2")
	e.awaitDrained(node, "t2")
}

// TestTimeout: Wait says so and continues, Stop gives up and stays cordoned.
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
		{api.IgnoreWindowsAnnotation, "yes"},
		{api.DeadlineAnnotation, "2m"},
		{api.GracePeriodAnnotation, "0"},
		{api.GracePeriodAnnotation, "1.5"},
		{api.DryRunAnnotation, "ture"},
		// A typo must not turn a dry run into a drain.
		{"drainer.dev/dryrun", "true"},
	} {
		id := fmt.Sprintf("bad-%d", i)
		e.annotate(node, api.DrainAnnotation, id, bad[0], bad[1])
		awaitState(t, bad[0]+"="+bad[1]+" is refused", func() bool {
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
	// Once it is fixed, it is carried out.
	e.request(node, "good")
	e.awaitDrained(node, "good")
}

// TestInvalidDuringDrain: a drain under way pauses and keeps its cordon.
func TestInvalidDuringDrain(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.twoOfTen(node)
	e.start()
	e.request(node, "typo")
	e.awaitLeaving(node, "web", 10, 2)
	e.annotate(node, "drainer.dev/pause", "true")
	e.awaitPhase(node, api.InvalidRequest)
	e.checkNothingSent(node)
	e.annotate(node, "drainer.dev/pause", "")
	e.awaitDrained(node, "typo")
}

// TestWindow: outside of the windows of its pool a node waits, and says when the
// next one opens, while those of other nodes are open; an emergency goes past that.
func TestWindow(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(3)
	// It opens in half a day, or later.
	opens := time.Now().UTC().Add(12 * time.Hour).Truncate(time.Hour)
	file := filepath.Join(t.TempDir(), "drainer.yaml")
	text := fmt.Sprintf(`apiVersion: %s
kind: %s
windows: [{schedule: "* * * * *", duration: 1h}]
pools:
- name: at-night
  nodeSelector: {matchLabels: {kubernetes.io/hostname: %s}}
  windows: [{schedule: "0 %d * * *", duration: 1h}]
`, config.APIVersion, config.Kind, node, opens.Hour())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	drainer := e.start("--config=" + file)
	e.request(node, "window")
	awaitState(t, node+" says when its window opens", func() bool {
		return e.status(node).Phase == api.Queued && strings.Contains(e.message(node), "the next opens at "+opens.Format(time.RFC3339))
	})
	poll(t, "the metric says what it waits for", func() bool { return drainer.metric("drainer_queued_nodes", "reason", "window") == 1 })
	watchFor(t, 2*time.Second, "nothing is done", func() bool { return !e.cordoned(node) && len(e.evictions()) == 0 })
	e.annotate(node, api.IgnoreWindowsAnnotation, "true")
	e.awaitDrained(node, "window")
	e.checkOnce(3)
}

// TestPodAnnotation: an annotation of a pod does not hold up its node, because
// nobody has declared its namespace trusted; an event says so.
func TestPodAnnotation(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	spec := on(e.spec("web", 1), node)
	spec.Pod = func(t *corev1.PodTemplateSpec) { t.Annotations["drainer.dev/pod-action"] = "Ignore" }
	e.create(workload.Deployment(spec))
	e.awaitReady("web", 1)
	pod := e.pods("web")[0].Name
	e.start()
	e.request(node, "tenant")
	e.awaitDrained(node, "tenant")
	if event := e.awaitEvent(e.namespace, pod, "AnnotationIgnored"); !strings.Contains(event.Note, "drainer.dev/pod-action") {
		t.Errorf("the event says %q and does not name the annotation", event.Note)
	}
}

// TestNewRequest: the promise of an old request never stands under a new one.
func TestNewRequest(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.start()
	e.request(node, "first")
	e.awaitDrained(node, "first")
	w := e.followNode(node)
	defer w.Stop()
	e.request(node, "second")
	for {
		event := suite.Receive(t, "the second request is carried out", w.ResultChan())
		n, ok := event.Object.(*corev1.Node)
		if !ok {
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
	}
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
	if err := shared.Client.CoreV1().Nodes().Delete(e.Context(), node, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	poll(t, "the end is counted", func() bool { return drainer.metric("drainer_drains_total", "result", "node_deleted") == 1 })
	poll(t, "the gauges of the node are gone", func() bool { return drainer.metric("drainer_node_pods", "node", node) == 0 })
	e.create(workload.Node(node, map[string]string{poolLabel: e.pool}))
	awaitState(t, "the new node is ready", func() bool { return e.node(node) != nil && ready(e.node(node)) })
	e.request(node, "again")
	e.awaitBlocked(node, "db", "budget_never_allows")
	e.editBudget("db", "1")
	e.awaitDrained(node, "again")
	if at := e.status(node).StartedAt; at == nil || at.Before(e.node(node).CreationTimestamp.Time) {
		t.Errorf("the new node's drain began at %v, before the node was there", at)
	}
}
