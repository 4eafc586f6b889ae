package e2e

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/tools/cache"

	"drainer.dev/drainer/test/witness"
)

// world is what is in the cluster now, and tells of every change.
type world struct {
	nodes   corelisters.NodeLister
	pods    corelisters.PodLister
	budgets policylisters.PodDisruptionBudgetLister
	// recorder keeps every change of them, and of DaemonSets.
	recorder witness.Recorder

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
		factory.Policy().V1().PodDisruptionBudgets().Informer(), factory.Apps().V1().DaemonSets().Informer(),
	} {
		for _, handler := range []cache.ResourceEventHandler{&w.recorder, tell} {
			if _, err := i.AddEventHandler(handler); err != nil {
				return nil, fmt.Errorf("watching the cluster: %w", err)
			}
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
