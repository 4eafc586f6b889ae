package watcher

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

const (
	// mostListing is the number of nodes whose pods are listed at a time. While a
	// list is read, complete pods are in memory.
	mostListing = 16
	// listingFor is how long a slow list delays the others.
	listingFor = 5 * time.Second
)

// nodePods is the watch of one node's pods.
type nodePods struct {
	stop context.CancelFunc

	mu     sync.Mutex
	synced bool
	pods   map[types.UID]*plan.Pod
	list   []*plan.Pod // sorted; rebuilt when nil
}

// Watch implements drain.View: it starts missing watches and stops those that
// are no longer needed.
func (w *Watcher) Watch(nodes map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, p := range w.pods {
		if !nodes[name] {
			p.stop()
			delete(w.pods, name)
		}
	}
	for name, needed := range nodes {
		if needed && w.pods[name] == nil {
			w.pods[name] = w.watchPods(name)
		}
	}
}

func (w *Watcher) watchPods(node string) *nodePods {
	ctx, stop := context.WithCancel(w.ctx)
	p := &nodePods{stop: stop, pods: map[types.UID]*plan.Pod{}}
	client := w.client.CoreV1().Pods(metav1.NamespaceAll)
	onNode := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", node).String()
	}
	listed, first := once()
	w.running.Go(func() {
		select {
		case w.listing <- struct{}{}:
		case <-ctx.Done():
			return
		}
		start(w, ctx, "pods", "of node "+node, listed, lists(client.List, client.Watch, onNode), &corev1.Pod{}, sink[*corev1.Pod, *plan.Pod]{
			convert: func(pod *corev1.Pod) *plan.Pod { return w.texts.pod(w.selectors.PodOf(pod)) },
			put:     func(pod *plan.Pod) { w.podSeen(p, pod) },
			remove:  func(pod *plan.Pod) { p.remove(pod.UID); w.planner.WakeSoon() },
			replace: func(pods []*plan.Pod) { p.replace(pods); first(); w.planner.Wake() },
		})
		patience := time.NewTimer(listingFor)
		defer patience.Stop()
		select {
		case <-listed:
		case <-patience.C:
		case <-ctx.Done():
		}
		<-w.listing
	})
	return p
}

// podSeen asks for a plan if there is news: at once for a pod that may have to
// be sent.
func (w *Watcher) podSeen(p *nodePods, pod *plan.Pod) {
	switch news := p.set(pod); {
	case !news:
	case pod.Deadline.IsZero():
		w.planner.Wake()
	default:
		w.planner.WakeSoon()
	}
}

// set stores a pod that exists, and reports whether anything that a plan reads
// has changed. Many writes to a pod change nothing that a plan reads: the API
// server itself writes twice to each pod that it evicts.
func (p *nodePods) set(pod *plan.Pod) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.pods[pod.UID]
	if was != nil && reflect.DeepEqual(was, pod) {
		return false
	}
	// A pod that was deleted and recreated between two events has the same name
	// and another UID.
	if was == nil {
		for uid, old := range p.pods {
			if old.Namespace == pod.Namespace && old.Name == pod.Name {
				delete(p.pods, uid)
			}
		}
	}
	p.pods[pod.UID], p.list = pod, nil
	return true
}

func (p *nodePods) remove(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pods, uid)
	p.list = nil
}

func (p *nodePods) replace(pods []*plan.Pod) {
	all := make(map[types.UID]*plan.Pod, len(pods))
	for _, pod := range pods {
		all[pod.UID] = pod
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pods, p.list, p.synced = all, nil, true
}

// sorted is the pods by namespace and name, and whether that is all of them.
func (p *nodePods) sorted() ([]*plan.Pod, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		p.list = make([]*plan.Pod, 0, len(p.pods))
		for _, pod := range p.pods {
			p.list = append(p.list, pod)
		}
		slices.SortFunc(p.list, func(a, b *plan.Pod) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
	}
	return p.list, p.synced
}

// Pods implements drain.View.
func (w *Watcher) Pods() map[string][]*plan.Pod {
	w.mu.Lock()
	watched := make(map[string]*nodePods, len(w.pods))
	for name, p := range w.pods {
		watched[name] = p
	}
	w.mu.Unlock()
	pods := make(map[string][]*plan.Pod, len(watched))
	for name, p := range watched {
		if list, complete := p.sorted(); complete {
			pods[name] = list
		}
	}
	return pods
}
