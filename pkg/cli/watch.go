package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// nodeWatch follows nodes. A watch that breaks is begun again.
type nodeWatch struct {
	nodes cache.Store
	// changed has a value after any number of changes.
	changed chan struct{}
	stop    func()
}

// watchNodes follows the nodes that the selector matches, or only the named node if
// the name is not empty. It fails if they cannot be listed; later errors are passed
// to warn, and retried.
func watchNodes(ctx context.Context, client kubernetes.Interface, name, selector string, warn func(error)) (*nodeWatch, error) {
	tweak := func(o *metav1.ListOptions) {
		o.LabelSelector = selector
		if name != "" {
			o.FieldSelector = "metadata.name=" + name
		}
	}
	once := metav1.ListOptions{Limit: 1}
	tweak(&once)
	if _, err := client.CoreV1().Nodes().List(ctx, once); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	w := &nodeWatch{changed: make(chan struct{}, 1)}
	var informer cache.Controller
	w.nodes, informer = cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: listWatch(client, tweak, warn),
		ObjectType:    &corev1.Node{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { w.tell() }, UpdateFunc: func(any, any) { w.tell() }, DeleteFunc: func(any) { w.tell() },
		},
	})
	watching, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(watching) })
	w.stop = func() {
		cancel()
		running.Wait()
	}
	if !cache.WaitForCacheSync(watching.Done(), informer.HasSynced) {
		w.stop()
		return nil, fmt.Errorf("watching nodes: %w", context.Cause(ctx))
	}
	return w, nil
}

// listWatch lists and watches nodes, and tells of watches that cannot be opened.
func listWatch(client kubernetes.Interface, tweak func(*metav1.ListOptions), warn func(error)) cache.ListerWatcher {
	nodes := client.CoreV1().Nodes()
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			tweak(&o)
			return nodes.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			tweak(&o)
			watching, err := nodes.Watch(ctx, o)
			if err != nil && ctx.Err() == nil {
				warn(err)
			}
			return watching, err
		},
	}, client)
}

func (w *nodeWatch) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// all are the nodes as they are, sorted by name.
func (w *nodeWatch) all() []*corev1.Node {
	var nodes []*corev1.Node
	for _, object := range w.nodes.List() {
		if node, is := object.(*corev1.Node); is {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

// get is the node of the name as it is; nil if there is none.
func (w *nodeWatch) get(name string) *corev1.Node {
	object, _, _ := w.nodes.GetByKey(name)
	node, _ := object.(*corev1.Node)
	return node
}

// refreshInterval is how often ages are shown again, and redrawAfter
// how long changes are collected before they are shown.
const (
	refreshInterval = time.Second
	redrawAfter     = 150 * time.Millisecond
)

// follow calls show after every change and every second, until show returns true
// or ctx ends.
func (w *nodeWatch) follow(ctx context.Context, show func() (last bool)) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for !show() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.changed:
			select {
			case <-ctx.Done():
				return
			case <-time.After(redrawAfter):
			}
		}
	}
}
