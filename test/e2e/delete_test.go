package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// deletionRules is what the chart grants with drain.allowDelete (TestAllowDelete
// in test/chart) in addition to deploy's roles.
var deletionRules = []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"delete"}}}

// allowDelete grants the permission to delete pods.
func (e *env) allowDelete() { e.Helper(); e.grant("drainer-delete", "drainer", deletionRules...) }

// deletions are drainer's deletions of pods, in the order in which they came.
func (e *env) deletions() []cluster.AuditEvent {
	e.Helper()
	sent := e.audit((*cluster.AuditEvent).Deletion)
	slices.SortFunc(sent, func(a, b cluster.AuditEvent) int { return a.Received.Compare(b.Received) })
	return sent
}

// TestDeleteAtTimeout: a budget that never allows anything ends by Delete, one pod
// after the other, each after the API server's own refusal; with Wait it does not.
func TestDeleteAtTimeout(t *testing.T) {
	e := setup(t, 4)
	forced, waits := e.nodes[0], e.nodes[1]
	e.allowDelete()
	e.create(
		workload.Deployment(on(e.spec("db", 2), forced)), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
		workload.Deployment(on(e.spec("web", 1), waits)), workload.MaxUnavailable(e.namespace, "web", "web", "0"),
	)
	e.awaitReady("db", 2)
	e.awaitReady("web", 1)
	drainer := e.start("--allow-delete")
	e.annotate(waits, api.DrainAnnotation, "waits", api.TimeoutAnnotation, "2s")
	e.annotate(forced, api.DrainAnnotation, "forced", api.TimeoutAnnotation, "2s", api.OnTimeoutAnnotation, "Delete")
	e.awaitDrained(forced, "forced")
	e.awaitPhase(waits, api.TimedOut)
	if !strings.Contains(e.message(forced), "2 deleted past PDB "+e.namespace+"/db") {
		t.Errorf("the node says %q", e.message(forced))
	}
	// deploy's roles do not grant what these requests need: the rule is used.
	var sent []cluster.AuditEvent
	poll(t, "two deletions are in the audit log", func() bool { sent = e.deletions(); return len(sent) >= 2 })
	if len(sent) != 2 {
		t.Fatalf("%d deletions were sent, want 2", len(sent))
	}
	for i, d := range sent {
		var o metav1.DeleteOptions
		if err := json.Unmarshal(d.RequestObject, &o); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(d.ObjectRef.Name, "db") || o.Preconditions == nil || o.Preconditions.UID == nil || o.GracePeriodSeconds == nil || *o.GracePeriodSeconds < 1 {
			t.Errorf("deletion %d is of %s with the options %+v", i, d.ObjectRef.Name, o)
		}
		refused := slices.ContainsFunc(e.sentFor(d.ObjectRef.Name), func(a cluster.AuditEvent) bool {
			return a.ResponseStatus.Code == 429 && a.Done.Before(d.Received)
		})
		if !refused {
			t.Errorf("the eviction of %s was not refused before its deletion", d.ObjectRef.Name)
		}
	}
	// The replacements cannot run anywhere, so the budget has to be given its time.
	if apart := sent[1].Received.Sub(sent[0].Done); apart < 30*time.Second {
		t.Errorf("the second pod was deleted %v after the first", apart)
	}
	e.awaitEvent(e.namespace, sent[0].ObjectRef.Name, "ForcedDeletion")
	e.awaitEvent(metav1.NamespaceDefault, forced, "ForcedDeletion")
	if n := drainer.metric("drainer_forced_deletions_total", "reason", "budget_never_allows"); n != 2 {
		t.Errorf("%v deletions are counted, want 2", n)
	}
	if c := e.condition(waits, corev1.NodeDrainInProgress); c.Status != corev1.ConditionTrue || len(e.podsOn(waits, "web")) != 1 {
		t.Errorf("with Wait: DrainInProgress = %s and %d pods, want True and 1", c.Status, len(e.podsOn(waits, "web")))
	}
}

// TestDeleteAfter: a rule lets the pods that it is for be deleted past a budget that
// never allows anything, although the request has no timeout, and no others.
func TestDeleteAfter(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.allowDelete()
	e.create(
		workload.Deployment(on(e.spec("web", 1), node)), workload.MaxUnavailable(e.namespace, "web", "web", "0"),
		workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
	)
	e.awaitReady("web", 1)
	e.awaitReady("db", 1)
	e.start("--config=" + e.configuration(`allowDelete: true
rules: [{name: stateless, match: {podSelector: {matchLabels: {app: web}}}, action: Evict, deleteAfter: 2s}]
`))
	e.request(node, "r")
	poll(t, "the pod of the rule is gone", func() bool { return len(e.podsOn(node, "web")) == 0 })
	sent := e.deletions()
	if len(sent) != 1 || !strings.HasPrefix(sent[0].ObjectRef.Name, "web-") {
		t.Fatalf("the deletions are %v, want one of web", sent)
	}
	e.awaitEvent(e.namespace, sent[0].ObjectRef.Name, "ForcedDeletion")
	e.awaitBlocked(node, "db", "budget_never_allows")
	if len(e.podsOn(node, "db")) != 1 {
		t.Error("the pod without a rule is gone, too")
	}
}

// TestDeleteNotAllowed: without the flag nothing is done, and the node names it.
// With the flag and without the permission nothing is deleted, and the node says
// that this is forbidden.
func TestDeleteNotAllowed(t *testing.T) {
	e := setup(t, 2)
	e.mayBeForbidden = true
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	drainer := e.start()
	e.annotate(node, api.DrainAnnotation, "forced", api.TimeoutAnnotation, "2s", api.OnTimeoutAnnotation, "Delete")
	e.awaitPhase(node, api.InvalidRequest)
	if !strings.Contains(e.message(node), "--allow-delete") || e.cordoned(node) {
		t.Errorf("the node is cordoned: %v, and says %q", e.cordoned(node), e.message(node))
	}
	drainer.crash()
	e.start("--allow-delete")
	e.awaitPhase(node, api.TimedOut)
	e.awaitBlocked(node, "db", "forbidden")
	if pods := e.pods("db"); len(pods) != 1 || pods[0].DeletionTimestamp != nil {
		t.Errorf("the pods are %v", pods)
	}
}
