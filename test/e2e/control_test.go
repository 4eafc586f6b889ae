package e2e

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
)

// pauseEverywhere makes the ConfigMap drainer-control, with one key.
func (e *env) pauseEverywhere(key, value string) {
	e.Helper()
	e.create(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: api.ControlName}, Data: map[string]string{key: value},
	})
}

// goOn deletes it.
func (e *env) goOn() {
	e.Helper()
	if err := shared.Client.CoreV1().ConfigMaps(e.namespace).Delete(e.Context(), api.ControlName, metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
}

// awaitSays waits until the node is Paused and says the text.
func (e *env) awaitSays(node, text string) {
	e.Helper()
	awaitState(e.T, node+" says that it is paused, and why", func() bool {
		return e.status(node).Phase == api.Paused && strings.Contains(e.message(node), text)
	})
}

// TestPauseEverywhere: the ConfigMap stops drains under way and those that
// come, a cancelled node is still released, and everything continues
// afterwards.
func TestPauseEverywhere(t *testing.T) {
	e := setup(t, 4)
	busy, cancelled, late := e.nodes[0], e.nodes[1], e.nodes[2]
	e.slowWeb(20)
	drainer := e.start(slowly...)
	e.request(busy, "all")
	e.awaitLeaving(busy, "web", 20, 3)
	e.request(cancelled, "all")
	e.awaitStarted(cancelled)
	asked := time.Now()
	e.pauseEverywhere(api.ControlPaused, "INC-42 database failover")
	e.awaitSays(busy, "INC-42 database failover")
	paused := time.Now()
	e.request(late, "all")
	e.awaitSays(late, "INC-42 database failover")
	e.cancel(cancelled)
	e.awaitReleased(cancelled)
	watchFor(t, 3*time.Second, "cordons stay and none is made", func() bool { return e.cordoned(busy) && !e.cordoned(late) })
	resumed := time.Now()
	for _, a := range e.evictions() {
		if a.Received.After(paused) && a.Received.Before(resumed) {
			t.Errorf("an eviction of %s was received %v after the node said that everything is paused", a.ObjectRef.Name, a.Received.Sub(paused))
		}
	}
	last := asked
	for _, a := range e.evictions() {
		if a.Received.After(last) {
			last = a.Received
		}
	}
	t.Logf("the last eviction was received %v after everything was paused, the node said so after %v", last.Sub(asked), paused.Sub(asked))
	poll(t, "the metric says that everything is paused", func() bool { return drainer.metric("drainer_paused") == 1 })
	e.cancel(late)
	e.awaitReleased(late)
	e.goOn()
	e.awaitDrained(busy, "all")
	e.checkOnce(20)
	poll(t, "the metric says that nothing is paused", func() bool { return drainer.metric("drainer_paused") == 0 })
}

// TestPauseEverywhereMistake: a ConfigMap that drainer cannot understand pauses,
// from its first start.
func TestPauseEverywhereMistake(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(1)
	e.pauseEverywhere("pause", "INC-42")
	e.start()
	e.request(node, "mistake")
	e.awaitSays(node, `"pause" is not a key that drainer knows`)
	if e.cordoned(node) || len(e.evictions()) > 0 {
		t.Error("something was done although everything is paused")
	}
	e.goOn()
	e.awaitDrained(node, "mistake")
}
