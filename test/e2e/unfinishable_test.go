package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// awaitUnfinishable waits until a node says that it cannot finish for a reason, and
// checks that it says how to fix that.
func (e *env) awaitUnfinishable(node, app, reason string) {
	e.Helper()
	awaitState(e.T, node+" says that its drain cannot finish for "+reason, func() bool {
		o := e.status(node).CannotFinish
		return len(o) == 1 && o[0].Reason == reason && strings.HasPrefix(o[0].Pod, e.namespace+"/"+app)
	})
	if m := e.message(node); !strings.Contains(m, "cannot finish: "+e.namespace+"/"+app) || !strings.Contains(m, "; to fix: ") {
		e.Errorf("the node says %q", m)
	}
	if note := e.awaitEvent(metav1.NamespaceDefault, node, "CannotFinish").Note; !strings.Contains(note, "; to fix: ") {
		e.Errorf("the event says %q", note)
	}
}

// TestUnfinishable: a drain that cannot finish says so with what to do about it,
// under way and before it begins, and no longer once that is done.
func TestUnfinishable(t *testing.T) {
	e := setup(t, 3)
	busy, queued := e.nodes[0], e.nodes[1]
	e.create(
		workload.Deployment(on(e.spec("db", 1), busy)), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
		workload.Deployment(on(e.spec("web", 2), queued)),
		workload.MaxUnavailable(e.namespace, "web", "web", "1"), workload.MaxUnavailable(e.namespace, "web-again", "web", "1"),
	)
	e.awaitReady("db", 1)
	e.awaitReady("web", 2)
	e.awaitBudget("db", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.CurrentHealthy == 1 })
	drainer := e.start()
	e.request(busy, "now")
	e.annotate(queued, api.DrainAnnotation, "later", api.NotBeforeAnnotation, "2100-01-01T00:00:00Z")
	e.awaitUnfinishable(busy, "db", "budget_never_allows")
	e.awaitUnfinishable(queued, "web", "multiple_budgets")
	if s := e.status(queued); s.Phase != api.Queued || s.CannotFinish[0].Pods != 2 || e.cordoned(queued) {
		t.Errorf("the queued node is %s and says %+v", s.Phase, s.CannotFinish)
	}
	poll(t, "both drains are counted", func() bool { return drainer.metric("drainer_unfinishable_drains") == 2 })
	e.deleteBudget("web-again")
	awaitState(t, "the queued node no longer says it", func() bool {
		return len(e.status(queued).CannotFinish) == 0 && !strings.Contains(e.message(queued), "cannot finish")
	})
	e.editBudget("db", "1")
	e.awaitDrained(busy, "now")
	poll(t, "no drain is counted", func() bool { return drainer.metric("drainer_unfinishable_drains") == 0 })
}

// TestStranded: a node that waits says that its pods would find no other node while
// the one that admits them, too, is drained and not released.
func TestStranded(t *testing.T) {
	e := setup(t, 3)
	first, second := e.nodes[0], e.nodes[1]
	web := e.spec("web", 3)
	web.NodeSelector = map[string]string{poolLabel: e.pool, "disk": "fast"}
	for _, node := range []string{first, second} {
		e.label(node, "disk", "fast")
	}
	e.create(workload.Deployment(web), workload.MaxUnavailable(e.namespace, "web", "web", "1"))
	e.awaitReady("web", 3)
	e.awaitBudget("web", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.CurrentHealthy == 3 })
	drainer := e.start("--stuck-after=2s")
	e.request(first, "now")
	e.awaitDrained(first, "now")
	e.awaitReady("web", 3)
	e.annotate(second, api.DrainAnnotation, "later", api.NotBeforeAnnotation, "2100-01-01T00:00:00Z")
	e.awaitUnfinishable(second, "web", "budget_exhausted")
	if o := e.status(second).CannotFinish[0]; !strings.HasPrefix(o.Fix, "release "+first+", which has a drain request") || o.Pods != 3 {
		t.Errorf("it says %+v", o)
	}
	poll(t, "the drain is counted", func() bool { return drainer.metric("drainer_unfinishable_drains") == 1 })
	e.cancel(first)
	e.awaitReleased(first)
	awaitState(t, "the node no longer says it", func() bool {
		return len(e.status(second).CannotFinish) == 0 && !strings.Contains(e.message(second), "cannot finish")
	})
	if e.cordoned(second) {
		t.Error("the node is cordoned although its drain has not begun")
	}
}

// TestWaitTogether: two nodes that wait, whose pods only these two admit, warn of it
// while both are requested; nothing is said to be unable to finish.
func TestWaitTogether(t *testing.T) {
	e := setup(t, 3)
	pair := e.nodes[:2]
	web := e.spec("web", 4)
	web.NodeSelector = map[string]string{poolLabel: e.pool, "disk": "fast"}
	web.Pod = func(p *corev1.PodTemplateSpec) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{workload.AppLabel: "web"}},
		}}
	}
	for _, node := range pair {
		e.label(node, "disk", "fast")
	}
	e.create(workload.Deployment(web), workload.MaxUnavailable(e.namespace, "web", "web", "1"))
	e.awaitReady("web", 4)
	e.awaitBudget("web", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.CurrentHealthy == 4 })
	drainer := e.start("--stuck-after=2s")
	for _, node := range pair {
		e.annotate(node, api.DrainAnnotation, "later", api.NotBeforeAnnotation, "2100-01-01T00:00:00Z")
	}
	const warning = "this drain and others can wait for each other: besides this node, only nodes that also have drain requests ("
	for i, node := range pair {
		awaitState(t, node+" warns that it and the other can wait for each other", func() bool {
			return strings.Contains(e.message(node), warning+pair[1-i]+")")
		})
	}
	for _, node := range pair {
		if o := e.status(node).CannotFinish; len(o) > 0 {
			t.Errorf("%s says that it cannot finish: %+v", node, o)
		}
	}
	if n := drainer.metric("drainer_unfinishable_drains"); n != 0 {
		t.Errorf("%v drains are counted as unable to finish", n)
	}
	e.cancel(pair[0])
	awaitState(t, "the other no longer warns", func() bool { return !strings.Contains(e.message(pair[1]), warning) })
}
