package watcher

import (
	"context"
	"maps"
	"reflect"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/drain"
)

// Watcher watches a cluster. New starts nothing; Run does.
type Watcher struct {
	client   kubernetes.Interface
	selector labels.Selector
	ledger   *drain.Ledger
	// wake asks for a plan.
	wake func()

	synced chan struct{}

	mu         sync.Mutex
	ctx        context.Context // of Run, for the pods of nodes
	running    sync.WaitGroup
	nodes      map[string]*drain.Node
	nodeList   []*drain.Node // made anew when nil
	daemonSets map[types.UID]bool
	pods       map[string]*nodePods
}

// New makes a watcher of the nodes that the selector matches. Budgets go to
// the ledger; a nil ledger means that the server has no policy/v1. wake is
// called whenever a plan may come out differently; it must not block.
func New(client kubernetes.Interface, selector labels.Selector, ledger *drain.Ledger, wake func()) *Watcher {
	return &Watcher{
		client: client, selector: selector, ledger: ledger, wake: wake, synced: make(chan struct{}),
		nodes: map[string]*drain.Node{}, daemonSets: map[types.UID]bool{}, pods: map[string]*nodePods{},
	}
}

// Synced is closed once everything that is watched for the whole cluster has
// been listed.
func (w *Watcher) Synced() <-chan struct{} { return w.synced }

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	w.mu.Lock()
	w.ctx = ctx
	w.mu.Unlock()
	var checks []cache.DoneChecker
	start := func(name string, objectType runtime.Object, transform cache.TransformFunc, lw *cache.ListWatch, handler cache.ResourceEventHandler) {
		c := w.informer(name, objectType, transform, lw, handler)
		checks = append(checks, c.HasSyncedChecker())
		w.running.Go(func() { c.RunWithContext(ctx) })
	}
	nodes := w.client.CoreV1().Nodes()
	served := func(o *metav1.ListOptions) { o.LabelSelector = w.selector.String() }
	start("nodes", &corev1.Node{}, trimNode, lists(nodes.List, nodes.Watch, served), cache.ResourceEventHandlerFuncs{
		AddFunc: w.nodeSeen, UpdateFunc: func(_, obj any) { w.nodeSeen(obj) }, DeleteFunc: w.nodeGone,
	})
	sets := w.client.AppsV1().DaemonSets(metav1.NamespaceAll)
	start("daemonsets", &appsv1.DaemonSet{}, trimDaemonSet, lists(sets.List, sets.Watch, everything), cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { w.daemonSetReplaced(nil, obj) },
		DeleteFunc: func(obj any) { w.daemonSetReplaced(obj, nil) },
		UpdateFunc: w.daemonSetReplaced,
	})
	if w.ledger != nil {
		budgets := w.client.PolicyV1().PodDisruptionBudgets(metav1.NamespaceAll)
		start("poddisruptionbudgets", &policyv1.PodDisruptionBudget{}, trimBudget, lists(budgets.List, budgets.Watch, everything), cache.ResourceEventHandlerFuncs{
			AddFunc: func(obj any) { w.budgetSeen(ctx, obj) }, UpdateFunc: func(_, obj any) { w.budgetSeen(ctx, obj) },
			DeleteFunc: w.budgetGone,
		})
	}
	if cache.WaitFor(ctx, "", checks...) {
		close(w.synced)
		w.wake()
	}
	<-ctx.Done()
	w.running.Wait()
}

func (w *Watcher) informer(name string, objectType runtime.Object, transform cache.TransformFunc, lw *cache.ListWatch, handler cache.ResourceEventHandler) cache.Controller {
	logger := klog.FromContext(w.ctx).WithValues("watching", name)
	_, c := cache.NewInformerWithOptions(cache.InformerOptions{
		Logger: &logger, ObjectType: objectType, Transform: transform, Handler: handler,
		ListerWatcher: cache.ToListWatcherWithWatchListSemantics(lw, w.client),
	})
	return c
}

// lists lists and watches a resource; tweak narrows it down.
func lists[L runtime.Object](
	list func(context.Context, metav1.ListOptions) (L, error),
	watcher func(context.Context, metav1.ListOptions) (watch.Interface, error),
	tweak func(*metav1.ListOptions),
) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			tweak(&o)
			return list(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			tweak(&o)
			return watcher(ctx, o)
		},
	}
}

func everything(*metav1.ListOptions) {}

// trimDaemonSet keeps what identifies it.
func trimDaemonSet(obj any) (any, error) {
	if ds, ok := obj.(*appsv1.DaemonSet); ok {
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{
			Namespace: ds.Namespace, Name: ds.Name, UID: ds.UID, ResourceVersion: ds.ResourceVersion,
		}}, nil
	}
	return obj, nil
}

func trimBudget(obj any) (any, error) {
	if pdb, ok := obj.(*policyv1.PodDisruptionBudget); ok {
		pdb.ManagedFields, pdb.Annotations = nil, nil
	}
	return obj, nil
}

// deleted is the object of a deletion, also of one that was missed.
func deleted[T any](obj any) (T, bool) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	t, ok := obj.(T)
	return t, ok
}

func (w *Watcher) nodeSeen(obj any) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return
	}
	n := NodeOf(node)
	w.mu.Lock()
	was := w.nodes[n.Name]
	w.nodes[n.Name], w.nodeList = n, nil
	w.mu.Unlock()
	if matters(was, n) {
		w.wake()
	}
}

// matters is false for a heartbeat: nothing but the version has changed.
func matters(was, now *drain.Node) bool {
	if was == nil {
		return true
	}
	same := *was
	same.ResourceVersion = now.ResourceVersion
	return !reflect.DeepEqual(&same, now)
}

func (w *Watcher) nodeGone(obj any) {
	node, ok := deleted[*corev1.Node](obj)
	if !ok {
		return
	}
	w.mu.Lock()
	delete(w.nodes, node.Name)
	w.nodeList = nil
	w.mu.Unlock()
	w.wake()
}

// daemonSetReplaced takes one out of the set and another in, in one step: no
// plan may see a DaemonSet missing that exists. One that was deleted and made
// again between two lists comes as an update. Plans read the set without a
// lock, so it is copied.
func (w *Watcher) daemonSetReplaced(was, is any) {
	old, gone := deleted[*appsv1.DaemonSet](was)
	ds, made := is.(*appsv1.DaemonSet)
	if gone && made && old.UID == ds.UID {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sets := maps.Clone(w.daemonSets)
	if gone {
		delete(sets, old.UID)
	}
	if made {
		sets[ds.UID] = true
	}
	w.daemonSets = sets
	w.wake()
}

func (w *Watcher) budgetSeen(ctx context.Context, obj any) {
	pdb, ok := obj.(*policyv1.PodDisruptionBudget)
	if !ok {
		return
	}
	b, err := BudgetOf(pdb)
	if err != nil {
		// The API server, too, takes it as matching nothing.
		klog.FromContext(ctx).Error(err, "A budget is ignored")
		w.ledger.Forget(types.NamespacedName{Namespace: pdb.Namespace, Name: pdb.Name})
		return
	}
	w.ledger.Observe(b)
	w.wake()
}

func (w *Watcher) budgetGone(obj any) {
	if pdb, ok := deleted[*policyv1.PodDisruptionBudget](obj); ok {
		w.ledger.Forget(types.NamespacedName{Namespace: pdb.Namespace, Name: pdb.Name})
		w.wake()
	}
}

// Nodes implements drain.View.
func (w *Watcher) Nodes() []*drain.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nodeList == nil {
		w.nodeList = make([]*drain.Node, 0, len(w.nodes))
		for _, n := range w.nodes {
			w.nodeList = append(w.nodeList, n)
		}
	}
	return w.nodeList
}

// DaemonSets implements drain.View.
func (w *Watcher) DaemonSets() map[types.UID]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.daemonSets
}
