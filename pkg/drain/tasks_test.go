package drain

import (
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// TestConfirm: Drained is written after a live list without a target, and under
// the version of the Node on which request and cordon were seen.
func TestConfirm(t *testing.T) {
	server := &stubServer{}
	c := newTestController(t, draining(), server)
	if err := c.confirm(t.Context(), planned(c)); err != nil {
		t.Fatal(err)
	}
	writes := server.writes()
	if len(writes) != 1 || !strings.Contains(writes[0], `"drainer.dev/drained":"r"`) ||
		!strings.Contains(writes[0], `"resourceVersion":"7"`) || !strings.Contains(writes[0], `"uid":"uid-n"`) {
		t.Errorf("written: %v", writes)
	}
	if c.step(quiet()); c.Plans()["uid-n"].Phase != api.Drained {
		t.Errorf("the node is %s", c.Plans()["uid-n"].Phase)
	}
}

// TestConfirmSeesPod: a pod that only the API server knows of keeps the promise
// from being made.
func TestConfirmSeesPod(t *testing.T) {
	server := &stubServer{pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "late", UID: "late"}}}}
	c := newTestController(t, draining(), server)
	if err := c.confirm(t.Context(), planned(c)); err != nil {
		t.Fatal(err)
	}
	if writes := server.writes(); len(writes) > 0 {
		t.Errorf("written: %v", writes)
	}
	if c.step(quiet()); c.memory.Nodes["uid-n"].RetryConfirmAt.IsZero() {
		t.Error("the check is not put off")
	}
}

// TestGuardedReport: a report that must not overwrite Drained is written under the
// version of the Node that the plan has seen, and no other report is.
func TestGuardedReport(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		server := &stubServer{}
		c := newTestController(t, draining(), server)
		n := planned(c)
		n.Guarded = guarded
		if err := c.report(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		writes := server.writes()
		if len(writes) != 1 || strings.Contains(writes[0], `"resourceVersion":"7"`) != guarded {
			t.Errorf("guarded %v, written: %v", guarded, writes)
		}
	}
}

// TestConfirmConflict: a Node that has changed since the plan is not drained.
func TestConfirmConflict(t *testing.T) {
	c := newTestController(t, draining(), &stubServer{conflict: true})
	if err := c.confirm(t.Context(), planned(c)); err == nil {
		t.Error("no error although the Node has changed")
	}
	if c.step(quiet()); c.Plans()["uid-n"].Phase == api.Drained {
		t.Error("the drain counts as done")
	}
}

// TestStalePlan: the cordon of a plan that is no longer the newest is not
// applied, also if the request was removed after the status was written.
func TestStalePlan(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	planned(c)
	work(t, c)
	changed := *v.nodes[0]
	changed.Annotations, changed.ResourceVersion, changed.OwnStatus = nil, "9", true
	v.nodes[0] = &changed
	planned(c)
	work(t, c)
	for _, w := range server.writes() {
		if strings.Contains(w, "unschedulable") {
			t.Errorf("cordoned by an old plan: %s", w)
		}
	}
}

// TestOnce: a plan that was made without knowing of the last write to a node is
// not carried out, and what is not seen yet is not written again.
func TestOnce(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	planned(c)
	work(t, c)
	work(t, c)
	if n := len(server.writes()); n != 1 {
		t.Errorf("%d writes, want the status: %v", n, server.writes())
	}
	show := func(version string) {
		changed := *v.nodes[0]
		changed.ResourceVersion = version
		v.nodes[0] = &changed
	}
	show("8")
	planned(c)
	work(t, c)
	if n := len(server.writes()); n != 1 {
		t.Errorf("the node is written to before it shows the status: %v", server.writes()[1:])
	}
}

// TestStatusBeforeCordon: at whatever point the process dies, the Node shows
// what has to be removed.
func TestStatusBeforeCordon(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	if n := planned(c); n.Cordon || !n.Write {
		t.Errorf("cordon: %v, write: %v, want the status alone", n.Cordon, n.Write)
	}
	work(t, c)
	changed := *v.nodes[0]
	changed.ResourceVersion = "9"
	v.nodes[0] = &changed
	planned(c)
	work(t, c)
	writes := server.writes()
	if len(writes) < 2 || !strings.Contains(writes[0], "/nodes/n/status") || !strings.Contains(writes[len(writes)-1], "unschedulable") {
		t.Errorf("written, in this order: %v", writes)
	}
	server.requests = nil
	n := changed
	n.OwnCordon = true
	if err := c.release(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	if writes := server.writes(); len(writes) != 2 || strings.Contains(writes[0], "/status") || !strings.Contains(writes[1], "/status") {
		t.Errorf("released in this order: %v", writes)
	}
}

// TestReportDespiteCordon: a cordon that fails does not keep the Node from
// saying so.
func TestReportDespiteCordon(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	planned(c)
	work(t, c)
	changed := *v.nodes[0]
	changed.ResourceVersion = "9"
	v.nodes[0] = &changed
	c.tasks.AddRateLimited(task{kind: nodeTask, node: "uid-n"})
	c.learned(plan.NodeTrouble{Node: "uid-n", Text: "no"})
	if n := planned(c); !n.Cordon {
		t.Fatal("no cordon is planned")
	}
	queued := map[taskKind]bool{}
	for c.tasks.Len() > 0 {
		next, _ := c.tasks.Get()
		queued[next.kind] = true
		c.tasks.Done(next)
	}
	if !queued[reportTask] || queued[nodeTask] {
		t.Errorf("queued are %v, want the report alone", queued)
	}
}

// TestRestored: a resourceVersion that is older than what was seen before ends
// the term.
func TestRestored(t *testing.T) {
	var failed error
	for name, act := range map[string]func(*Controller) error{
		"a write": func(c *Controller) error { return c.report(t.Context(), planned(c)) },
		"a read":  func(c *Controller) error { return c.read(t.Context(), planned(c).Node, "6") },
		"a read of a budget": func(c *Controller) error {
			web := types.NamespacedName{Namespace: "ns", Name: "web"}
			c.Ledger.Observe(&plan.Budget{Namespace: "ns", Name: "web", UID: "uid-web", ResourceVersion: "6"})
			return c.readBudget(t.Context(), web)
		},
	} {
		c := newTestController(t, requested(), &stubServer{version: "5"})
		failed = nil
		c.Fail = func(err error) { failed = err }
		if err := act(c); err == nil || failed == nil {
			t.Errorf("%s: error %v, the term ends by %v", name, err, failed)
		}
	}
}

// TestFindReplica: a replica that is found takes over, unless it has to leave,
// too, or the request for drainer's own node is gone.
func TestFindReplica(t *testing.T) {
	yes := true
	pod := func(name, node string) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "ns", Name: name, UID: types.UID("uid-" + name),
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "rs", UID: "rs", Controller: &yes}},
			},
			Spec: corev1.PodSpec{NodeName: node},
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			},
		}
	}
	for name, test := range map[string]struct {
		prepare  func(*view)
		pods     []corev1.Pod
		answered bool
		to       string
	}{
		"another replica": {pods: []corev1.Pod{pod("own", "n"), pod("other", "m")}, answered: true, to: "ns/other"},
		"none":            {pods: []corev1.Pod{pod("own", "n")}, answered: true},
		"one that leaves, too": {
			prepare: func(v *view) {
				v.nodes = append(v.nodes, &plan.Node{Name: "m", Served: true, Annotations: map[string]string{api.DrainAnnotation: "r"}})
			},
			pods: []corev1.Pod{pod("own", "n"), pod("other", "m")}, answered: true,
		},
		"the request is removed": {
			prepare: func(v *view) { delete(v.nodes[0].Annotations, api.DrainAnnotation) },
			pods:    []corev1.Pod{pod("own", "n"), pod("other", "m")},
		},
		"drainer's own pod is gone": {pods: []corev1.Pod{pod("other", "m")}},
	} {
		v := draining()
		if test.prepare != nil {
			test.prepare(v)
		}
		c := newTestController(t, v, &stubServer{pods: test.pods})
		over := false
		c.HandOver = func() { over = true }
		err := c.findReplica(t.Context(), task{kind: replicaTask, object: types.NamespacedName{Namespace: "ns", Name: "own"}, pod: "uid-own"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range c.takeFacts() {
			c.memory.Apply(f)
		}
		if r := c.memory.Replica; over != (test.to != "") || r.Name != test.to || r.AnsweredAt.IsZero() == test.answered {
			t.Errorf("%s: handed over %v, known %+v; want an answer: %v, to %q", name, over, r, test.answered, test.to)
		}
	}
}

// TestFindReplicaFails: why another replica cannot be looked for is remembered.
func TestFindReplicaFails(t *testing.T) {
	c := newTestController(t, draining(), http.NotFoundHandler())
	err := c.findReplica(t.Context(), task{kind: replicaTask, object: types.NamespacedName{Namespace: "ns", Name: "own"}, pod: "uid-own"})
	for _, f := range c.takeFacts() {
		c.memory.Apply(f)
	}
	if r := c.memory.Replica; err == nil || r.Problem != err.Error() || !r.AnsweredAt.IsZero() {
		t.Errorf("it failed with %v, known is %+v", err, r)
	}
}
