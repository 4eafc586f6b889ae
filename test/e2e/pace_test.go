package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/test/cluster/workload"
)

// TestPace: the pods of workloads without a budget leave two nodes one at a time, each
// once the replacement of the one before is Ready, or the limit is reached; the nodes name
// the workloads. deploy's roles are enough for that.
func TestPace(t *testing.T) {
	e := setup(t, 3)
	slow := func(name string, n int) workload.Spec {
		s := e.spec(name, n)
		s.Start = 3 * time.Second
		return s
	}
	e.create(workload.Deployment(slow("web", 6)), workload.StatefulSet(slow("db", 6)))
	e.awaitReady("web", 6)
	e.awaitReady("db", 6)
	leaving := e.nodes[:2]
	began := time.Now()
	guard := e.watchHealth([]string{"web", "db"}, 5)
	e.start("--config=" + e.configuration("paceWithoutBudget: true\n"))
	moving := 0
	for _, node := range leaving {
		moving += len(e.podsOn(node, "web"))
		e.request(node, "r")
	}
	// Both are said only while pods wait, so one look may find either.
	unsaid := []string{
		"because it waits for the replacement of pod " + e.namespace + "/web-",
		"no PodDisruptionBudget selects the pods of ReplicaSet " + e.namespace + "/web-",
	}
	awaitState(t, "the nodes say what their pods wait for, and that no budget selects them", func() bool {
		for _, node := range leaving {
			message := e.message(node)
			unsaid = slices.DeleteFunc(unsaid, func(text string) bool { return strings.Contains(message, text) })
		}
		return len(unsaid) == 0
	})
	for _, node := range leaving {
		e.awaitDrained(node, "r")
	}
	if violations := guard(); len(violations) > 0 {
		t.Errorf("of a workload more than one pod was missing: %v", violations)
	}
	if moving < 2 {
		t.Errorf("%d pods of web had to leave, want 2 at least", moving)
	}
	t.Logf("%d pods of web took %v", moving, time.Since(began))
	if sent := len(e.sentFor("web")); sent != moving {
		t.Errorf("%d evictions of web were sent, want %d", sent, moving)
	}
}
