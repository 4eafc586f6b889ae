package plan

import (
	"strings"
	"testing"
)

// TestTogetherText: of the pods that could go only to other queued nodes, the first by
// name is named, with how many others there are.
func TestTogetherText(t *testing.T) {
	var w together
	if got := w.text(); got != "" {
		t.Errorf("of no pods it says %q", got)
	}
	for _, test := range []struct{ add, want string }{
		{"b", "admit ns/b under PDB ns/web;"},
		{"a", "admit ns/a (and 1 more) under PDB ns/web;"},
		{"c", "admit ns/a (and 2 more) under PDB ns/web;"},
	} {
		w.add(&PodState{
			Pod: &Pod{Namespace: "ns", Name: test.add}, nowhere: &nowhere{queued: []string{"n2"}},
			budgets: []*budgetWork{{Budget: &Budget{Namespace: "ns", Name: "web"}}},
		})
		if got := w.text(); !strings.Contains(got, test.want) {
			t.Errorf("after %s it says %q, want %q", test.add, got, test.want)
		}
	}
}
