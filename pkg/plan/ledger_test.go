package drain

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// TestLedger: a disruption is reserved from the POST until the budget shows it.
func TestLedger(t *testing.T) {
	key := types.NamespacedName{Namespace: "ns", Name: "p"}
	seen := func(version string, allowed int32, disrupted ...string) *plan.Budget {
		b := &plan.Budget{Namespace: "ns", Name: "p", UID: "u", ResourceVersion: version, Allowed: allowed, Disrupted: map[string]bool{}, Selector: labels.Everything()}
		for _, name := range disrupted {
			b.Disrupted[name] = true
		}
		return b
	}
	one, two := &plan.Pod{Namespace: "ns", Name: "a", UID: "a"}, &plan.Pod{Namespace: "ns", Name: "b", UID: "b"}
	free := func(l *Ledger) int { return l.View()["ns"].List[0].Free }

	l := NewLedger()
	if l.Reserve(key, one) {
		t.Fatal("reserved in a budget that was never seen")
	}
	l.Observe(seen("5", 2))
	if !l.Reserve(key, one) || free(l) != 1 {
		t.Fatalf("free %d, want 1", free(l))
	}
	// The server says yes before the budget shows it: nothing is given twice.
	l.Spent(key, one.UID, noon)
	if free(l) != 1 || len(l.Unconfirmed()) != 1 {
		t.Errorf("free %d, want 1 until the budget shows the disruption", free(l))
	}
	l.Observe(seen("4", 2))
	if free(l) != 1 {
		t.Errorf("free %d after an older version of the budget, want 1", free(l))
	}
	l.Observe(seen("6", 1, "a"))
	if free(l) != 1 || len(l.Unconfirmed()) != 0 {
		t.Errorf("free %d after the budget shows it, want 1", free(l))
	}
	// The event before the answer: the answer changes nothing.
	if !l.Reserve(key, two) || l.Reserve(key, one) {
		t.Error("reserved more than is allowed")
	}
	l.Observe(seen("7", 0, "a", "b"))
	l.Spent(key, two.UID, noon)
	if len(l.Unconfirmed()) != 0 {
		t.Error("a disruption that was seen waits to be seen")
	}
	// A refusal frees the reservation.
	l.Observe(seen("8", 1))
	if !l.Reserve(key, one) {
		t.Fatal("not reserved")
	}
	l.Release(key, one.UID)
	if free(l) != 1 {
		t.Errorf("free %d after the refusal, want 1", free(l))
	}
	// Read from the server long after the admission: confirmed, seen or not.
	l.Reserve(key, one)
	l.Spent(key, one.UID, noon)
	l.Confirm(key, noon.Add(-time.Second))
	if free(l) != 0 {
		t.Errorf("free %d: confirmed too early", free(l))
	}
	l.Confirm(key, noon)
	if free(l) != 1 {
		t.Errorf("free %d after it was confirmed, want 1", free(l))
	}
	// Another budget of the name starts over; none is none.
	l.Reserve(key, one)
	other := seen("1", 1)
	other.UID = "v"
	l.Observe(other)
	if free(l) != 1 {
		t.Errorf("free %d of a new budget of the same name, want 1", free(l))
	}
	l.Forget(key)
	if len(l.View()) != 0 {
		t.Error("a budget that is gone is still there")
	}
}
