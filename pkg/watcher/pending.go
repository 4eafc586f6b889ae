package watcher

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// pendingPods counts the pods that have no node.
type pendingPods struct {
	mu sync.Mutex
	// unschedulable are those that the scheduler finds no node for.
	unschedulable map[types.UID]bool
}

// unscheduled is what is kept of a pod that has no node.
type unscheduled struct {
	uid    types.UID
	noNode bool
}

// CountPending lets Run watch the pods that have no node, for Pending.
func (w *Watcher) CountPending() { w.pending = &pendingPods{unschedulable: map[types.UID]bool{}} }

// Pending is how many pods the scheduler finds no node for. CountPending must
// have been called.
func (w *Watcher) Pending() int {
	w.pending.mu.Lock()
	defer w.pending.mu.Unlock()
	return len(w.pending.unschedulable)
}

func (w *Watcher) watchPending() <-chan struct{} {
	client := w.client.CoreV1().Pods(metav1.NamespaceAll)
	listed, first := once()
	withoutNode := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.SelectorFromSet(fields.Set{"spec.nodeName": "", "status.phase": string(corev1.PodPending)}).String()
	}
	return start(w, w.ctx, "pods", "without a node", listed, lists(client.List, client.Watch, withoutNode), &corev1.Pod{}, sink[*corev1.Pod, unscheduled]{
		convert: unscheduledOf,
		put:     func(pod unscheduled) { w.changePending(func(all map[types.UID]bool) { pod.count(all) }) },
		remove:  func(pod unscheduled) { w.changePending(func(all map[types.UID]bool) { delete(all, pod.uid) }) },
		replace: func(pods []unscheduled) {
			w.changePending(func(all map[types.UID]bool) {
				clear(all)
				for _, pod := range pods {
					pod.count(all)
				}
			})
			first()
		},
	})
}

// unscheduledOf keeps what counts. A pod that the scheduler has not considered,
// or that has a scheduling gate, does not show whether the cluster has room.
func unscheduledOf(pod *corev1.Pod) unscheduled {
	u := unscheduled{uid: pod.UID}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled {
			u.noNode = c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
		}
	}
	return u
}

func (u unscheduled) count(all map[types.UID]bool) {
	if u.noNode {
		all[u.uid] = true
		return
	}
	delete(all, u.uid)
}

func (w *Watcher) changePending(change func(map[types.UID]bool)) {
	w.pending.mu.Lock()
	before := len(w.pending.unschedulable)
	change(w.pending.unschedulable)
	changed := len(w.pending.unschedulable) != before
	w.pending.mu.Unlock()
	if changed {
		w.planner.WakeSoon()
	}
}
