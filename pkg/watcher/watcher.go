package watcher

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// Planner is notified when a new plan may differ from the last one. Its methods
// must not block.
type Planner interface {
	// Wake requests a plan at once, WakeSoon one that can wait for more events.
	Wake()
	WakeSoon()
}

// Watcher watches a cluster. New starts nothing; Run does.
type Watcher struct {
	client kubernetes.Interface
	// namespace is the one that drainer runs in, with the ConfigMap
	// drainer-control.
	namespace string
	selectors plan.Selectors
	planner   Planner

	synced chan struct{}
	// budgets are told of PodDisruptionBudgets; nil if they are not watched.
	budgets Budgets
	// pending are the pods without a node; nil if they are not watched.
	pending *pendingPods
	// listing bounds how many nodes' pods are listed at the same time.
	listing chan struct{}
	// texts is what the watched pods share.
	texts texts

	mu         sync.Mutex
	ctx        context.Context // of Run, for the pods of nodes
	running    sync.WaitGroup
	nodes      map[string]*plan.Node
	nodeList   []*plan.Node // rebuilt when nil
	daemonSets map[types.UID]bool
	// namespaces are the labels of namespaces; nil if no rule looks at them.
	namespaces map[string]labels.Set
	control    plan.Control
	pods       map[string]*nodePods
	// watchings are how the watches are doing, controlWatch is that of control.
	watchings    map[*watching]bool
	controlWatch *watching
}

// New makes a watcher of all nodes; the selectors say which are served. The
// namespace is drainer's own.
func New(client kubernetes.Interface, namespace string, selectors plan.Selectors, planner Planner) *Watcher {
	return &Watcher{
		client: client, namespace: namespace, selectors: selectors, planner: planner,
		synced: make(chan struct{}), listing: make(chan struct{}, mostListing),
		nodes: map[string]*plan.Node{}, daemonSets: map[types.UID]bool{}, pods: map[string]*nodePods{}, watchings: map[*watching]bool{},
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
	lists := []<-chan struct{}{w.watchControl(), w.watchNodes(), w.watchDaemonSets()}
	if w.budgets != nil {
		lists = append(lists, w.watchBudgets())
	}
	if w.selectors.Rules.LooksAtNamespaces() {
		lists = append(lists, w.watchNamespaces())
	}
	if w.pending != nil {
		lists = append(lists, w.watchPending())
	}
	if awaitAll(ctx, lists) {
		close(w.synced)
		w.planner.Wake()
	}
	<-ctx.Done()
	w.running.Wait()
}

func awaitAll(ctx context.Context, all []<-chan struct{}) bool {
	for _, done := range all {
		select {
		case <-done:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (w *Watcher) watchNodes() <-chan struct{} {
	client := w.client.CoreV1().Nodes()
	listed, first := once()
	return start(w, w.ctx, "nodes", "", listed, lists(client.List, client.Watch, everything), &corev1.Node{}, sink[*corev1.Node, *plan.Node]{
		convert: func(node *corev1.Node) *plan.Node { return w.texts.node(w.selectors.NodeOf(node)) }, put: w.nodeSeen, remove: w.nodeGone,
		replace: func(nodes []*plan.Node) { w.nodesListed(nodes); first() },
	})
}

func (w *Watcher) watchBudgets() <-chan struct{} {
	client := w.client.PolicyV1().PodDisruptionBudgets(metav1.NamespaceAll)
	listed, first := once()
	return start(w, w.ctx, "poddisruptionbudgets", "", listed, lists(client.List, client.Watch, everything), &policyv1.PodDisruptionBudget{}, sink[*policyv1.PodDisruptionBudget, budget]{
		convert: w.budgetOf, put: w.budgetSeen, remove: w.budgetGone,
		replace: func(all []budget) { w.budgetsListed(all); first() },
	})
}

// controlResource is watched for nothing else.
const controlResource = "configmaps"

// watchControl watches one ConfigMap: drainer may read no other.
func (w *Watcher) watchControl() <-chan struct{} {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	only := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", api.ControlName).String()
	}
	listed, first := once()
	return start(w, w.ctx, controlResource, api.ControlName, listed, lists(client.List, client.Watch, only), &corev1.ConfigMap{}, sink[*corev1.ConfigMap, plan.Control]{
		convert: plan.ControlOf, put: w.controlSeen,
		remove: func(plan.Control) { w.controlSeen(plan.Control{}) },
		replace: func(all []plan.Control) {
			var control plan.Control
			for _, c := range all {
				control = c
			}
			w.controlSeen(control)
			first()
		},
	})
}

func (w *Watcher) controlSeen(c plan.Control) {
	w.mu.Lock()
	same := w.control == c
	w.control = c
	w.mu.Unlock()
	if !same {
		w.planner.Wake()
	}
}

// once returns a channel and a function that closes it, the first time.
func once() (<-chan struct{}, func()) {
	ch := make(chan struct{})
	return ch, sync.OnceFunc(func() { close(ch) })
}

// backoff is how long a watch that fails waits before it is tried again: less than 10 s.
// client-go's own 30 s to 60 s would be too long for a pause of everything, and for the
// end of the process, which waits for it.
func backoff() *wait.Backoff {
	return &wait.Backoff{Duration: 800 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 10, Cap: 5 * time.Second}
}

// start runs a reflector until ctx ends. It returns listed. Of is what of the resource is
// watched, for the log; empty for all.
func start[O metav1.Object, T any](w *Watcher, ctx context.Context, resource, of string, listed <-chan struct{}, lw *cache.ListWatch, kind O, to sink[O, T]) <-chan struct{} {
	name := strings.TrimSpace(resource + " " + of)
	logger := klog.FromContext(ctx).WithValues("watching", name)
	h := w.follow(resource)
	r := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(h.noting(lw), w.client), kind, to,
		cache.ReflectorOptions{Logger: &logger, Name: name, Backoff: backoff()})
	w.running.Go(func() {
		defer h.unfollow()
		r.RunWithContext(ctx)
	})
	return listed
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

func (w *Watcher) nodeSeen(n *plan.Node) {
	w.mu.Lock()
	was := w.nodes[n.Name]
	w.nodes[n.Name], w.nodeList = n, nil
	w.mu.Unlock()
	if matters(was, n) {
		w.planner.Wake()
	}
}

// matters is false for a heartbeat, in which only the version has changed.
func matters(was, now *plan.Node) bool {
	if was == nil {
		return true
	}
	same := *was
	same.ResourceVersion = now.ResourceVersion
	return !reflect.DeepEqual(&same, now)
}

func (w *Watcher) nodeGone(n *plan.Node) {
	w.mu.Lock()
	delete(w.nodes, n.Name)
	w.nodeList = nil
	w.mu.Unlock()
	w.planner.Wake()
}

func (w *Watcher) nodesListed(nodes []*plan.Node) {
	all := make(map[string]*plan.Node, len(nodes))
	for _, n := range nodes {
		all[n.Name] = n
	}
	w.mu.Lock()
	w.nodes, w.nodeList = all, nil
	w.mu.Unlock()
	w.planner.Wake()
}

// Nodes implements drain.View.
func (w *Watcher) Nodes() []*plan.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nodeList == nil {
		w.nodeList = make([]*plan.Node, 0, len(w.nodes))
		for _, n := range w.nodes {
			w.nodeList = append(w.nodeList, n)
		}
	}
	return w.nodeList
}
