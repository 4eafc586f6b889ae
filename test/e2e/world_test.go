package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/tools/cache"
)

// world is what is in the cluster now, and tells of every change.
type world struct {
	nodes   corelisters.NodeLister
	pods    corelisters.PodLister
	budgets policylisters.PodDisruptionBudgetLister

	// stop waits for the end of the watches, after their context has ended.
	stop func()

	mu      sync.Mutex
	changed chan struct{}
}

func watchWorld(ctx context.Context, client kubernetes.Interface) (*world, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	w := &world{
		nodes: factory.Core().V1().Nodes().Lister(), pods: factory.Core().V1().Pods().Lister(),
		budgets: factory.Policy().V1().PodDisruptionBudgets().Lister(), stop: factory.Shutdown, changed: make(chan struct{}),
	}
	tell := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { w.tell() }, UpdateFunc: func(any, any) { w.tell() }, DeleteFunc: func(any) { w.tell() },
	}
	for _, i := range []cache.SharedIndexInformer{
		factory.Core().V1().Nodes().Informer(), factory.Core().V1().Pods().Informer(),
		factory.Policy().V1().PodDisruptionBudgets().Informer(),
	} {
		if _, err := i.AddEventHandler(tell); err != nil {
			return nil, fmt.Errorf("watching the cluster: %w", err)
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("watching %v: not synced", kind)
		}
	}
	return w, nil
}

func (w *world) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

// await waits until ok, which is asked again after every change of a node, pod
// or budget.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		next := suite.world.next()
		if ok() {
			return
		}
		select {
		case <-next:
		case <-timeout.C:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// poll waits until ok, which is asked now and then: for metrics and the audit
// log, which nobody can watch.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// watchFor keeps looking for the time, at every change, that ok stays true.
func watchFor(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		next := suite.world.next()
		if !ok() {
			t.Fatalf("did not stay true: %s", what)
		}
		select {
		case <-next:
		case <-end.C:
			return
		}
	}
}
