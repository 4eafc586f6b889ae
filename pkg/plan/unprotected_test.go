package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestUnprotected: a node names the workloads that no budget selects, and those with a
// single replica, and not more than a few.
func TestUnprotected(t *testing.T) {
	s := pacedScene()
	s.pod("n", "db-1")
	s.budget("db", "db", 0, 1, 1, 1)
	s.pod("n", "ok-1")
	s.budget("ok", "ok", 1, 2, 1, 2)
	want := []string{
		"no PodDisruptionBudget selects the pods of ReplicaSet ns/web (2 pods here): they leave one at a time",
		"PodDisruptionBudget ns/db covers a single pod: while the pod of ReplicaSet ns/db moves, none is Ready",
	}
	report := planOf(t, Make(s.Snapshot), "n").Report()
	if !slices.Equal(report.Status.Warnings, want) || !strings.Contains(report.Message, want[0]) {
		t.Errorf("the node warns of %q, in %q", report.Status.Warnings, report.Message)
	}
	for i := range 9 {
		s.pod("n", fmt.Sprintf("more%d-1", i))
	}
	last := "8 more workloads here have no PodDisruptionBudget, or a single replica"
	got := planOf(t, Make(s.Snapshot), "n").Report().Status.Warnings
	if len(got) != mostUnprotected+1 || got[mostUnprotected] != last || !strings.Contains(got[mostUnprotected-1], "(1 pod here)") {
		t.Errorf("the node warns of %q", got)
	}
	s.Config.PaceWithoutBudget = false
	if got := planOf(t, Make(s.Snapshot), "n").Report().Status.Warnings; len(got) > 0 {
		t.Errorf("without the setting the node warns of %q", got)
	}
}
