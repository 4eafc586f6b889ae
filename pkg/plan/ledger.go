package plan

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Ledger holds the newest version of every budget and what of it is reserved for
// evictions whose disruption does not show in the budget yet. It is not safe for
// concurrent use. What it holds may be lost: the API server has the last word.
type Ledger struct {
	entries map[types.NamespacedName]*held
	// epochs are those of NamespaceBudgets, drawn from one counter.
	epochs map[string]uint64
	epoch  uint64
}

// held is a budget and what of it is reserved.
type held struct {
	budget   *Budget
	reserved map[types.UID]reservation
}

type reservation struct {
	pod string
	// spent is when the request ended that may have spent it; zero before.
	spent time.Time
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{entries: map[types.NamespacedName]*held{}, epochs: map[string]uint64{}}
}

// selectsOthers notes that pods of the namespace may be under other budgets.
func (l *Ledger) selectsOthers(namespace string) {
	l.epoch++
	l.epochs[namespace] = l.epoch
}

// Observe records a budget that was seen; an older version of it than the one
// held is ignored. Reservations that the budget now shows as disrupted are
// released in the same step, so that no disruption is ever counted twice or
// not at all. It returns true if the budget may allow more than before.
func (l *Ledger) Observe(b *Budget) (more bool) {
	e := l.entries[b.Ref()]
	switch {
	case e == nil || e.budget.UID != b.UID:
		e = &held{reserved: map[types.UID]reservation{}}
		l.entries[b.Ref()] = e
		l.selectsOthers(b.Namespace)
		more = true
	case OlderVersion(b.ResourceVersion, e.budget.ResourceVersion):
		return false
	case e.budget.Selector.String() != b.Selector.String():
		l.selectsOthers(b.Namespace)
		more = true
	default:
		more = mayAllowMore(e.budget, b)
	}
	e.budget = b
	for uid, r := range e.reserved {
		if b.Disrupted[r.pod] {
			delete(e.reserved, uid)
		}
	}
	return more
}

// Held is the budget as it is known; nil if it is not.
func (l *Ledger) Held(key types.NamespacedName) *Budget {
	if e := l.entries[key]; e != nil {
		return e.budget
	}
	return nil
}

// mayAllowMore is false for a change of a budget after which no further pod can
// be admitted, such as a disruption that it shows now.
func mayAllowMore(was, is *Budget) bool {
	return is.Allowed > was.Allowed || is.CurrentHealthy > was.CurrentHealthy || is.DesiredHealthy != was.DesiredHealthy ||
		is.Observed != was.Observed || is.SyncFailed != was.SyncFailed || is.AlwaysAllow != was.AlwaysAllow || is.ZeroBySpec != was.ZeroBySpec
}

// Forget drops a budget that is gone.
func (l *Ledger) Forget(key types.NamespacedName) {
	if _, is := l.entries[key]; is {
		delete(l.entries, key)
		l.selectsOthers(key.Namespace)
	}
}

// Reserve takes one disruption of the budget for the pod, if one is free.
func (l *Ledger) Reserve(key types.NamespacedName, pod *Pod) bool {
	e := l.entries[key]
	if e == nil || e.free() < 1 {
		return false
	}
	e.reserved[pod.UID] = reservation{pod: pod.Name}
	return true
}

// Spent notes that the API server has admitted the pod's eviction, or may have:
// the reservation stays until the budget shows it or is confirmed.
func (l *Ledger) Spent(key types.NamespacedName, pod types.UID, now time.Time) {
	if e := l.entries[key]; e != nil {
		if r, is := e.reserved[pod]; is {
			r.spent = now
			e.reserved[pod] = r
		}
	}
}

// Release drops a reservation.
func (l *Ledger) Release(key types.NamespacedName, pod types.UID) {
	if e := l.entries[key]; e != nil {
		delete(e.reserved, pod)
	}
}

// Confirm releases the reservations that were spent before the time, after
// the budget itself was read.
func (l *Ledger) Confirm(key types.NamespacedName, before time.Time) {
	if e := l.entries[key]; e != nil {
		for uid, r := range e.reserved {
			if !r.spent.IsZero() && !r.spent.After(before) {
				delete(e.reserved, uid)
			}
		}
	}
}

// Unconfirmed lists the budgets with a reservation that was spent and does not
// show, and since when the oldest of them is, sorted by name.
func (l *Ledger) Unconfirmed() []Unconfirmed {
	var late []Unconfirmed
	for key, e := range l.entries {
		var oldest time.Time
		for _, r := range e.reserved {
			if !r.spent.IsZero() && (oldest.IsZero() || r.spent.Before(oldest)) {
				oldest = r.spent
			}
		}
		if !oldest.IsZero() {
			late = append(late, Unconfirmed{Budget: key, Since: oldest})
		}
	}
	slices.SortFunc(late, func(a, b Unconfirmed) int { return strings.Compare(a.Budget.String(), b.Budget.String()) })
	return late
}

// View is the budgets as they stand.
func (l *Ledger) View() map[string]NamespaceBudgets {
	lists := map[string][]BudgetView{}
	for key, e := range l.entries {
		lists[key.Namespace] = append(lists[key.Namespace], BudgetView{Budget: e.budget, Free: e.free()})
	}
	view := make(map[string]NamespaceBudgets, len(lists))
	for namespace, list := range lists {
		slices.SortFunc(list, func(a, b BudgetView) int { return strings.Compare(a.Name, b.Name) })
		view[namespace] = NamespaceBudgets{Epoch: l.epochs[namespace], List: list}
	}
	return view
}

func (e *held) free() int { return max(0, int(e.budget.Allowed)-len(e.reserved)) }

// ForgetOthers drops every budget that no longer exists.
func (l *Ledger) ForgetOthers(there map[types.NamespacedName]bool) {
	for key := range l.entries {
		if !there[key] {
			delete(l.entries, key)
			l.selectsOthers(key.Namespace)
		}
	}
}

// ReleaseAll drops every reservation for the pod.
func (l *Ledger) ReleaseAll(pod *Pod) {
	for key, e := range l.entries {
		if key.Namespace == pod.Namespace {
			delete(e.reserved, pod.UID)
		}
	}
}

// Answered settles the reservation of an eviction that was answered. That of an
// outcome that is not certain stays, like that of an admission, until the budget
// shows it or was read.
func (l *Ledger) Answered(a Answered) {
	switch key := a.Grant.Budget; {
	case key.Name == "":
	case a.Outcome.Reason == Admitted || a.Outcome.Reason.Uncertain():
		l.Spent(key, a.Grant.Pod.UID, a.At)
	default:
		l.Release(key, a.Grant.Pod.UID)
	}
}
