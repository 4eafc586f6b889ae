package plan

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// seen is a budget as the cache shows it.
func seen(version string, allowed int32, disrupted ...string) *Budget {
	b := &Budget{Namespace: "ns", Name: "p", UID: "u", ResourceVersion: version, Allowed: allowed, Disrupted: map[string]bool{}, Selector: labels.Everything()}
	for _, name := range disrupted {
		b.Disrupted[name] = true
	}
	return b
}

// observed is a budget of that name that the ledger has seen.
func observed(l *Ledger, namespace, name string) *Budget {
	b := seen("1", 3)
	b.Namespace, b.Name = namespace, name
	l.Observe(b)
	return b
}

// freeIn is what a plan may give out of the only budget.
func freeIn(l *Ledger) int { return l.View()["ns"].List[0].Free }

// TestLedger: a disruption is reserved from the POST until the budget shows it.
func TestLedger(t *testing.T) {
	key := types.NamespacedName{Namespace: "ns", Name: "p"}
	one, two := &Pod{Namespace: "ns", Name: "a", UID: "a"}, &Pod{Namespace: "ns", Name: "b", UID: "b"}

	l := NewLedger()
	if l.Reserve(key, one) {
		t.Fatal("reserved in a budget that was never seen")
	}
	l.Observe(seen("5", 2))
	if !l.Reserve(key, one) || freeIn(l) != 1 {
		t.Fatalf("free %d, want 1", freeIn(l))
	}
	// The server says yes before the budget shows it: nothing is given twice.
	l.Spent(key, one.UID, noon)
	if freeIn(l) != 1 || len(l.Unconfirmed()) != 1 {
		t.Errorf("free %d, want 1 until the budget shows the disruption", freeIn(l))
	}
	l.Observe(seen("4", 2))
	if freeIn(l) != 1 {
		t.Errorf("free %d after an older version of the budget, want 1", freeIn(l))
	}
	l.Observe(seen("6", 1, "a"))
	if freeIn(l) != 1 || len(l.Unconfirmed()) != 0 {
		t.Errorf("free %d after the budget shows it, want 1", freeIn(l))
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
	if freeIn(l) != 1 {
		t.Errorf("free %d after the refusal, want 1", freeIn(l))
	}
	// Read from the server long after the admission: confirmed, seen or not.
	l.Reserve(key, one)
	l.Spent(key, one.UID, noon)
	l.Confirm(key, noon.Add(-time.Second))
	if freeIn(l) != 0 {
		t.Errorf("free %d: confirmed too early", freeIn(l))
	}
	l.Confirm(key, noon)
	if freeIn(l) != 1 {
		t.Errorf("free %d after it was confirmed, want 1", freeIn(l))
	}
	// Another budget of the name starts over; none is none.
	l.Reserve(key, one)
	other := seen("1", 1)
	other.UID = "v"
	l.Observe(other)
	if freeIn(l) != 1 {
		t.Errorf("free %d of a new budget of the same name, want 1", freeIn(l))
	}
	l.Forget(key)
	if len(l.View()) != 0 {
		t.Error("a budget that is gone is still there")
	}
}

// TestLedgerAnswered: what an answer says of a reservation.
func TestLedgerAnswered(t *testing.T) {
	key := types.NamespacedName{Namespace: "ns", Name: "p"}
	pod := &Pod{Namespace: "ns", Name: "a", UID: "a"}
	for reason, want := range map[Reason]struct{ free, unconfirmed int }{
		Admitted:        {0, 1},
		Unknown:         {0, 1},
		BudgetExhausted: {1, 0},
		Webhook:         {1, 0},
	} {
		l := NewLedger()
		l.Observe(seen("1", 1))
		l.Reserve(key, pod)
		l.Answered(Answered{Grant: Grant{Pod: pod}, Outcome: Outcome{Reason: reason}, At: noon}) // Under no budget.
		if freeIn(l) != 0 || len(l.Unconfirmed()) > 0 {
			t.Errorf("%s: the answer about a pod without a budget changes the reservation", reason)
		}
		l.Answered(Answered{Grant: Grant{Pod: pod, Budget: key}, Outcome: Outcome{Reason: reason}, At: noon})
		if free, unconfirmed := freeIn(l), len(l.Unconfirmed()); free != want.free || unconfirmed != want.unconfirmed {
			t.Errorf("%s: %d free and %d unconfirmed, want %d and %d", reason, free, unconfirmed, want.free, want.unconfirmed)
		}
	}
}

// TestLedgerUnconfirmed: each budget is listed with its oldest disruption that does not show.
func TestLedgerUnconfirmed(t *testing.T) {
	l := NewLedger()
	for _, name := range []string{"q", "p"} {
		b := observed(l, "ns", name)
		for i, id := range []types.UID{"x", "y", "z"} {
			l.Reserve(b.Ref(), &Pod{Namespace: "ns", Name: string(id), UID: id})
			if id != "z" {
				l.Spent(b.Ref(), id, noon.Add(-time.Duration(i)*time.Second))
			}
		}
	}
	want := []Unconfirmed{
		{Budget: types.NamespacedName{Namespace: "ns", Name: "p"}, Since: noon.Add(-time.Second)},
		{Budget: types.NamespacedName{Namespace: "ns", Name: "q"}, Since: noon.Add(-time.Second)},
	}
	l.ReleaseAll(&Pod{Namespace: "elsewhere", UID: "y"})
	if got := l.Unconfirmed(); !slices.Equal(got, want) {
		t.Errorf("unconfirmed are %v, want %v", got, want)
	}
	l.ReleaseAll(&Pod{Namespace: "ns", UID: "y"})
	for i := range want {
		want[i].Since = noon
	}
	if got := l.Unconfirmed(); !slices.Equal(got, want) {
		t.Errorf("once y is gone, unconfirmed are %v, want %v", got, want)
	}
}

// TestLedgerNews: which change of a budget can let another pod leave, and which one
// puts pods under other budgets.
func TestLedgerNews(t *testing.T) {
	for name, test := range map[string]struct {
		change     func(*Budget)
		more, news bool
	}{
		"nothing":                  {func(*Budget) {}, false, false},
		"allows more":              {func(b *Budget) { b.Allowed++ }, true, false},
		"allows less":              {func(b *Budget) { b.Allowed-- }, false, false},
		"more are healthy":         {func(b *Budget) { b.CurrentHealthy++ }, true, false},
		"fewer are healthy":        {func(b *Budget) { b.CurrentHealthy-- }, false, false},
		"another count is desired": {func(b *Budget) { b.DesiredHealthy-- }, true, false},
		"it is synced":             {func(b *Budget) { b.Observed = true }, true, false},
		"it cannot be synced":      {func(b *Budget) { b.SyncFailed = "no scale" }, true, false},
		"another policy":           {func(b *Budget) { b.AlwaysAllow = true }, true, false},
		"zero by its spec":         {func(b *Budget) { b.ZeroBySpec = true }, true, false},
		"another selector":         {func(b *Budget) { b.Selector = labels.SelectorFromSet(labels.Set{"app": "web"}) }, true, true},
		"another budget":           {func(b *Budget) { b.UID = "v" }, true, true},
		"an older version":         {func(b *Budget) { b.ResourceVersion, b.Allowed = "4", 9 }, false, false},
	} {
		l := NewLedger()
		l.Observe(seen("5", 1))
		epoch := l.View()["ns"].Epoch
		b := seen("6", 1)
		test.change(b)
		if more := l.Observe(b); more != test.more {
			t.Errorf("%s: may allow more: %v, want %v", name, more, test.more)
		}
		if news := l.View()["ns"].Epoch != epoch; news != test.news {
			t.Errorf("%s: pods may be under other budgets: %v, want %v", name, news, test.news)
		}
	}
}

// TestLedgerForgets: budgets that no longer exist are forgotten, and only the pods
// of their namespaces are matched again.
func TestLedgerForgets(t *testing.T) {
	l := NewLedger()
	for _, namespace := range []string{"a", "b"} {
		observed(l, namespace, "p")
		observed(l, namespace, "other")
	}
	before := l.View()
	l.ForgetOthers(map[types.NamespacedName]bool{
		{Namespace: "a", Name: "p"}: true, {Namespace: "b", Name: "p"}: true, {Namespace: "b", Name: "other"}: true,
	})
	l.Forget(types.NamespacedName{Namespace: "b", Name: "never"})
	after := l.View()
	if len(after["a"].List) != 1 || after["a"].Epoch == before["a"].Epoch {
		t.Errorf("of namespace a %d budgets are left, and its pods are matched again: %v", len(after["a"].List), after["a"].Epoch != before["a"].Epoch)
	}
	if len(after["b"].List) != 2 || after["b"].Epoch != before["b"].Epoch {
		t.Errorf("of namespace b %d budgets are left, and its pods are matched again: %v", len(after["b"].List), after["b"].Epoch != before["b"].Epoch)
	}
}
