package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestDeadline: a node that disappears is drained at once, past a pause and a slot that
// another drain holds. What its budget never lets go is deleted when its grace period
// is left, all pods at once, each after the API server's own refusal; what is not to be
// deleted stays, and the node says that it is lost.
func TestDeadline(t *testing.T) {
	e := setup(t, 4)
	spot, busy := e.nodes[0], e.nodes[1]
	e.allowDelete()
	slow := on(e.spec("db", 3), spot)
	slow.Stop = 2 * time.Second
	e.create(
		workload.Deployment(slow), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
		workload.Deployment(on(e.spec("web", 2), spot)),
		workload.Deployment(on(e.spec("api", 1), busy)), workload.MaxUnavailable(e.namespace, "api", "api", "0"),
	)
	e.awaitReady("db", 3)
	e.awaitReady("web", 2)
	e.awaitReady("api", 1)
	drainer := e.start("--allow-delete", "--max-draining=1")
	e.request(busy, "r")
	e.awaitBlocked(busy, "api", "budget_never_allows")
	e.annotate(spot, api.DrainAnnotation, "spot", api.PausedAnnotation, "true")
	e.awaitPhase(spot, api.Paused)
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	e.annotate(spot, api.DeadlineAnnotation, at.UTC().Format(time.RFC3339))
	poll(t, "what no budget holds is gone", func() bool { return len(e.podsOn(spot, "web")) == 0 })
	awaitState(t, spot+" says what happens", func() bool {
		d := e.status(spot).Deadline
		return d != nil && d.At.Equal(at) && d.ToDelete == 3 && d.AtRisk == 0 && strings.Contains(e.message(spot), "the node disappears at "+at.UTC().Format(time.RFC3339))
	})
	if sent := e.deletions(); len(sent) > 0 {
		t.Fatalf("an hour before the deadline %d deletions were sent", len(sent))
	}
	at = time.Now().Add(4 * time.Second).Truncate(time.Second)
	e.annotate(spot, api.DeadlineAnnotation, at.UTC().Format(time.RFC3339))
	e.awaitDrained(spot, "spot")
	var sent []cluster.AuditEvent
	poll(t, "three deletions are in the audit log", func() bool { sent = e.deletions(); return len(sent) >= 3 })
	if len(sent) != 3 {
		t.Fatalf("%d deletions were sent, want 3", len(sent))
	}
	for _, d := range sent {
		var o metav1.DeleteOptions
		if err := json.Unmarshal(d.RequestObject, &o); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(d.ObjectRef.Name, "db-") || o.Preconditions == nil || o.Preconditions.UID == nil || o.GracePeriodSeconds == nil || *o.GracePeriodSeconds != 2 && *o.GracePeriodSeconds != 1 {
			t.Errorf("%s is deleted with the options %+v, want at most its 2 s", d.ObjectRef.Name, o)
		}
		if left := at.Sub(d.Received); left > 2*time.Second {
			t.Errorf("%s was deleted %v before the deadline, want at most 2 s", d.ObjectRef.Name, left)
		}
		refused := slices.ContainsFunc(e.sentFor(d.ObjectRef.Name), func(a cluster.AuditEvent) bool {
			return a.ResponseStatus.Code == 429 && a.Done.Before(d.Received)
		})
		if !refused {
			t.Errorf("the eviction of %s was not refused before its deletion", d.ObjectRef.Name)
		}
	}
	if apart := sent[2].Received.Sub(sent[0].Received); apart > 20*time.Second {
		t.Errorf("the deletions came within %v: they waited for each other", apart)
	}
	if event := e.awaitEvent(metav1.NamespaceDefault, spot, "ForcedDeletion"); !strings.Contains(event.Note, "because node "+spot+" disappears at") {
		t.Errorf("the event says %q", event.Note)
	}
	if n := drainer.metric("drainer_forced_deletions_total", "reason", "budget_never_allows"); n != 3 {
		t.Errorf("%v deletions are counted, want 3", n)
	}
	if len(e.podsOn(busy, "api")) != 1 {
		t.Error("the pod of the other node is gone, too")
	}
}

// TestDeadlineEvictsOnly: without the permission nothing is deleted, and the node says
// which pods are lost, also when its deadline has passed.
func TestDeadlineEvictsOnly(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(
		workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
		workload.Deployment(on(e.spec("web", 1), node)),
	)
	e.awaitReady("db", 1)
	e.awaitReady("web", 1)
	e.start()
	e.annotate(node, api.DrainAnnotation, "spot", api.DeadlineAnnotation, time.Now().Add(-time.Second).UTC().Format(time.RFC3339))
	poll(t, "what no budget holds is gone", func() bool { return len(e.podsOn(node, "web")) == 0 })
	e.awaitBlocked(node, "db", "budget_never_allows")
	awaitState(t, node+" says what is lost", func() bool {
		s := e.status(node)
		return s.Deadline != nil && s.Deadline.AtRisk == 1 && len(s.Blockers) == 1 && s.Blockers[0].AtRisk &&
			strings.Contains(e.message(node), "1 pod will be lost with it unless gone by then (drainer deletes none")
	})
	if pods := e.pods("db"); len(pods) != 1 || pods[0].DeletionTimestamp != nil {
		t.Errorf("the pods are %v", pods)
	}
}
