package drain

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// Ledger is a plan.Ledger that is safe for concurrent use.
type Ledger struct {
	mu sync.Mutex
	of *plan.Ledger
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{of: plan.NewLedger()} }

// Observe is plan.Ledger.Observe.
func (l *Ledger) Observe(b *plan.Budget) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of.Observe(b)
}

// Held is plan.Ledger.Held.
func (l *Ledger) Held(key types.NamespacedName) *plan.Budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of.Held(key)
}

// Forget is plan.Ledger.Forget.
func (l *Ledger) Forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.Forget(key)
}

// Reserve is plan.Ledger.Reserve.
func (l *Ledger) Reserve(key types.NamespacedName, pod *plan.Pod) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of.Reserve(key, pod)
}

// Spent is plan.Ledger.Spent.
func (l *Ledger) Spent(key types.NamespacedName, pod types.UID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.Spent(key, pod, now)
}

// Release is plan.Ledger.Release.
func (l *Ledger) Release(key types.NamespacedName, pod types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.Release(key, pod)
}

// Confirm is plan.Ledger.Confirm.
func (l *Ledger) Confirm(key types.NamespacedName, before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.Confirm(key, before)
}

// Unconfirmed is plan.Ledger.Unconfirmed.
func (l *Ledger) Unconfirmed() []plan.Unconfirmed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of.Unconfirmed()
}

// View is plan.Ledger.View.
func (l *Ledger) View() map[string]plan.NamespaceBudgets {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of.View()
}

// ForgetOthers is plan.Ledger.ForgetOthers.
func (l *Ledger) ForgetOthers(there map[types.NamespacedName]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.ForgetOthers(there)
}

// ReleaseAll is plan.Ledger.ReleaseAll.
func (l *Ledger) ReleaseAll(pod *plan.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.ReleaseAll(pod)
}

// Answered is plan.Ledger.Answered.
func (l *Ledger) Answered(a plan.Answered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of.Answered(a)
}
