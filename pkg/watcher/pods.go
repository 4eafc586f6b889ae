package watcher

import (
	"cmp"
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"drainer.dev/drainer/pkg/drain"
)

// nodePods is the watch of one node's pods.
type nodePods struct {
	stop context.CancelFunc

	mu     sync.Mutex
	synced bool
	pods   map[types.UID]*drain.Pod
	list   []*drain.Pod // sorted; made anew when nil
}

// Watch implements drain.View: it starts the watches that are missing and
// stops those that are not wanted any more.
func (w *Watcher) Watch(nodes map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, p := range w.pods {
		if !nodes[name] {
			p.stop()
			delete(w.pods, name)
		}
	}
	for name, wanted := range nodes {
		if wanted && w.pods[name] == nil {
			w.pods[name] = w.watchPods(name)
		}
	}
}

func (w *Watcher) watchPods(node string) *nodePods {
	ctx, stop := context.WithCancel(w.ctx)
	p := &nodePods{stop: stop, pods: map[types.UID]*drain.Pod{}}
	changed := func(obj any) {
		if pod, ok := obj.(*corev1.Pod); ok {
			p.set(PodOf(pod))
			w.wake()
		}
	}
	client := w.client.CoreV1().Pods(metav1.NamespaceAll)
	onNode := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", node).String()
	}
	c := w.informer("pods of node "+node, &corev1.Pod{}, trimPod, lists(client.List, client.Watch, onNode), cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, obj any) { changed(obj) },
		DeleteFunc: func(obj any) {
			if pod, ok := deleted[*corev1.Pod](obj); ok {
				p.remove(pod.UID)
				w.wake()
			}
		},
	})
	w.running.Go(func() { c.RunWithContext(ctx) })
	w.running.Go(func() {
		if cache.WaitFor(ctx, "", c.HasSyncedChecker()) {
			p.mu.Lock()
			p.synced = true
			p.mu.Unlock()
			w.wake()
		}
	})
	return p
}

func (p *nodePods) set(pod *drain.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A pod that was deleted and created again between two looks has another
	// UID under the same name.
	for uid, old := range p.pods {
		if uid != pod.UID && old.Namespace == pod.Namespace && old.Name == pod.Name {
			delete(p.pods, uid)
		}
	}
	p.pods[pod.UID], p.list = pod, nil
}

func (p *nodePods) remove(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pods, uid)
	p.list = nil
}

// sorted is the pods by namespace and name, and whether that is all of them.
func (p *nodePods) sorted() ([]*drain.Pod, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		p.list = make([]*drain.Pod, 0, len(p.pods))
		for _, pod := range p.pods {
			p.list = append(p.list, pod)
		}
		slices.SortFunc(p.list, func(a, b *drain.Pod) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
	}
	return p.list, p.synced
}

// Pods implements drain.View.
func (w *Watcher) Pods() map[string][]*drain.Pod {
	w.mu.Lock()
	watched := make(map[string]*nodePods, len(w.pods))
	for name, p := range w.pods {
		watched[name] = p
	}
	w.mu.Unlock()
	pods := make(map[string][]*drain.Pod, len(watched))
	for name, p := range watched {
		if list, complete := p.sorted(); complete {
			pods[name] = list
		}
	}
	return pods
}
