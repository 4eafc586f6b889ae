package drain

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Ledger holds the newest sight of every budget and what of it is reserved for
// evictions whose disruption does not show in the budget yet. It is safe for
// concurrent use. What it holds may be lost: the API server has the last word.
type Ledger struct {
	mu      sync.Mutex
	entries map[types.NamespacedName]*entry
	// epochs are those of NamespaceBudgets, drawn from one counter.
	epochs map[string]uint64
	epoch  uint64
}

type entry struct {
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
	return &Ledger{entries: map[types.NamespacedName]*entry{}, epochs: map[string]uint64{}}
}

// selectsOthers notes that pods of the namespace may be under other budgets.
func (l *Ledger) selectsOthers(namespace string) {
	l.epoch++
	l.epochs[namespace] = l.epoch
}

// Observe takes in a budget that was seen; an older sight of it than the one
// held is ignored. Reservations that the budget now shows as disrupted are
// released in the same step, so that no disruption is ever counted twice or
// not at all.
func (l *Ledger) Observe(b *Budget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := keyOf(b)
	e := l.entries[key]
	switch {
	case e == nil || e.budget.UID != b.UID:
		e = &entry{reserved: map[types.UID]reservation{}}
		l.entries[key] = e
		l.selectsOthers(b.Namespace)
	case olderVersion(b.ResourceVersion, e.budget.ResourceVersion):
		return
	case e.budget.Selector.String() != b.Selector.String():
		l.selectsOthers(b.Namespace)
	}
	e.budget = b
	for uid, r := range e.reserved {
		if b.Disrupted[r.pod] {
			delete(e.reserved, uid)
		}
	}
}

// Forget drops a budget that is gone.
func (l *Ledger) Forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.entries[key]; held {
		delete(l.entries, key)
		l.selectsOthers(key.Namespace)
	}
}

// Reserve takes one disruption of the budget for the pod, if one is free.
func (l *Ledger) Reserve(key types.NamespacedName, pod *Pod) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[key]
	if e == nil || e.free() < 1 {
		return false
	}
	e.reserved[pod.UID] = reservation{pod: pod.Name}
	return true
}

// Spent notes that the API server has admitted the pod's eviction, or may have:
// the reservation stays until the budget shows it or is settled.
func (l *Ledger) Spent(key types.NamespacedName, pod types.UID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[key]; e != nil {
		if r, held := e.reserved[pod]; held {
			r.spent = now
			e.reserved[pod] = r
		}
	}
}

// Release gives a reservation back.
func (l *Ledger) Release(key types.NamespacedName, pod types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[key]; e != nil {
		delete(e.reserved, pod)
	}
}

// Settle releases the reservations that were spent before the time, after
// the budget itself was read.
func (l *Ledger) Settle(key types.NamespacedName, before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[key]; e != nil {
		for uid, r := range e.reserved {
			if !r.spent.IsZero() && !r.spent.After(before) {
				delete(e.reserved, uid)
			}
		}
	}
}

// Unsettled lists the budgets with a reservation that was spent and does
// not show, and since when the oldest of them is, sorted by name.
func (l *Ledger) Unsettled() []Unsettled {
	l.mu.Lock()
	defer l.mu.Unlock()
	var late []Unsettled
	for key, e := range l.entries {
		var oldest time.Time
		for _, r := range e.reserved {
			if !r.spent.IsZero() && (oldest.IsZero() || r.spent.Before(oldest)) {
				oldest = r.spent
			}
		}
		if !oldest.IsZero() {
			late = append(late, Unsettled{Budget: key, Since: oldest})
		}
	}
	slices.SortFunc(late, func(a, b Unsettled) int { return strings.Compare(a.Budget.String(), b.Budget.String()) })
	return late
}

// Unsettled is a budget that does not show an eviction of ours.
type Unsettled struct {
	Budget types.NamespacedName
	Since  time.Time
}

// View is the budgets as they stand.
func (l *Ledger) View() map[string]NamespaceBudgets {
	l.mu.Lock()
	defer l.mu.Unlock()
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

func (e *entry) free() int { return max(0, int(e.budget.Allowed)-len(e.reserved)) }

func keyOf(b *Budget) types.NamespacedName {
	return types.NamespacedName{Namespace: b.Namespace, Name: b.Name}
}

// olderVersion is true if both are numbers, as the API server's are, and a is
// the smaller one.
func olderVersion(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x < y
}
