package drain

import (
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// TestLedgerConcurrently: of many that ask for one disruption at the same time, one
// gets it.
func TestLedgerConcurrently(t *testing.T) {
	budget := &plan.Budget{Namespace: "ns", Name: "p", UID: "u", ResourceVersion: "1", Allowed: 1, Selector: labels.Everything()}
	l := NewLedger()
	l.Observe(budget)
	var granted atomic.Int32
	var all sync.WaitGroup
	for _, id := range []types.UID{"a", "b", "c", "d"} {
		all.Go(func() {
			if l.Reserve(budget.Ref(), &plan.Pod{Namespace: "ns", Name: string(id), UID: id}) {
				granted.Add(1)
			}
			l.View()
		})
	}
	all.Wait()
	if granted.Load() != 1 {
		t.Errorf("%d got the only disruption", granted.Load())
	}
}
