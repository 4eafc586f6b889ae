package e2e

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// uncordoned is when the test last changed a node by kubectl.
func (e *env) uncordoned(node string) time.Time {
	e.Helper()
	var last time.Time
	poll(e.T, "the uncordon is in the audit log", func() bool {
		changes, err := shared.Cluster.AuditOf("admin", func(a *cluster.AuditEvent) bool {
			return a.Verb == "patch" && a.ObjectRef.Resource == "nodes" && a.ObjectRef.Name == node && strings.HasPrefix(a.UserAgent, "kubectl/")
		})
		if err != nil {
			e.Fatal(err)
		}
		if len(changes) == 2 {
			last = changes[1].Received
		}
		return len(changes) == 2
	})
	return last
}

// TestHumanCordon: a cordon made by a person before the drain survives it.
func TestHumanCordon(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.kubectl("cordon", node)
	awaitState(t, "the person's cordon", func() bool { return e.cordoned(node) })
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
	// Before it has seen its cordon itself, drainer cannot know that it is gone.
	awaitState(t, "drainer has seen its cordon", func() bool {
		message := e.message(node)
		return message != "" && !strings.Contains(message, "cordoning")
	})
	// The first one is undone at once, maybe before anybody sees it.
	e.kubectl("uncordon", node)
	e.awaitEvent(metav1.NamespaceDefault, node, "CordonRestored")
	awaitState(t, "the cordon is put back", func() bool { return e.cordoned(node) })
	e.kubectl("uncordon", node)
	var waited time.Duration
	poll(t, "the cordon is put back again", func() bool {
		by, ours := e.uncordoned(node), e.writesOf(node)
		last := ours[len(ours)-1].Received
		waited = last.Sub(by)
		return last.After(by)
	})
	if waited < 5*time.Second {
		t.Errorf("the second cordon came %v after the uncordon: that is a fight", waited)
	}
	awaitState(t, "the cordon is put back again", func() bool { return e.cordoned(node) })
	e.editBudget("db", "1")
	e.awaitDrained(node, "uncordon")
}
