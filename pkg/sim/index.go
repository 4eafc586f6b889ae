package sim

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// reindex updates the indexes after a change.
func (s *store) reindex(change Change) {
	switch change.Resource {
	case Pods:
		s.reindexPod(change)
	case Budgets:
		s.reindexBudget(change)
	case Nodes:
		at, found := slices.BinarySearch(s.names, change.Object.GetName())
		switch {
		case change.Type == watch.Deleted && found:
			s.names = slices.Delete(s.names, at, at+1)
		case change.Type != watch.Deleted && !found:
			s.names = slices.Insert(s.names, at, change.Object.GetName())
		}
	}
}

func (s *store) reindexPod(change Change) {
	key := keyOf(change.Object)
	was, existed := change.Was.(*corev1.Pod)
	gone := change.Type == watch.Deleted
	same := existed && !gone && maps.Equal(was.Labels, change.Object.GetLabels())
	if existed {
		delete(s.placed[was.Spec.NodeName], key)
		delete(s.owned[controllerOf(was)], key)
		if !same {
			s.unlabel(was)
		}
	}
	if gone {
		return
	}
	pod := change.Object.(*corev1.Pod)
	if !same {
		s.label(pod)
	}
	if pod.Spec.NodeName != "" {
		set(s.placed, pod.Spec.NodeName, key)
	}
	if controller := controllerOf(pod); controller != "" {
		set(s.owned, controller, key)
	}
}

// controllerOf is the UID of the pod's controller; empty if it has none.
func controllerOf(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
		return string(owner.UID)
	}
	return ""
}

func (s *store) reindexAll() {
	for r, objects := range s.objects {
		for _, o := range objects {
			s.reindex(Change{Resource: r, Type: watch.Added, Object: o})
		}
	}
}

func set[V comparable](index map[V]map[Key]bool, value V, key Key) {
	if index[value] == nil {
		index[value] = map[Key]bool{}
	}
	index[value][key] = true
}

// changed notifies the controllers, the scheduler and the kubelets of a change.
func (c *Cluster) changed(change Change) {
	switch change.Resource {
	case Pods:
		c.podChanged(change)
	case Budgets:
		if change.Type != watch.Deleted {
			c.after(c.options.BudgetLag, step{deed: syncBudget, key: keyOf(change.Object)})
		}
	case Nodes:
		c.retryWaiting()
		if node := change.Object.(*corev1.Node); change.Type != watch.Deleted && ready(node) {
			c.resumePods(node.Name)
		}
	}
}

func (c *Cluster) podChanged(change Change) {
	pod := change.Object.(*corev1.Pod)
	if _, exists := c.namespaces[pod.Namespace]; !exists {
		c.namespaces[pod.Namespace] = &Namespace{}
	}
	if budgets := c.budgetsOf(pod); len(budgets) > 0 {
		// The disruption controller uses one of them, whichever it finds first.
		c.after(c.options.BudgetLag, step{deed: syncBudget, key: keyOf(budgets[0])})
	}
	if w := c.workloadOf(pod); w != nil {
		c.after(c.options.ReplaceLag, step{deed: syncWorkload, uid: w.uid})
	}
	switch {
	case change.Type == watch.Deleted:
		delete(c.behaviors, pod.UID)
		delete(c.waiting, keyOf(pod))
		c.retryWaiting()
	case change.Type == watch.Added:
		c.resumePod(pod)
	}
}

// resume puts everything that has to happen from now on onto the agenda.
func (c *Cluster) resume() {
	for _, o := range c.List(Budgets) {
		c.after(c.options.BudgetLag, step{deed: syncBudget, key: keyOf(o.(*policyv1.PodDisruptionBudget))})
	}
	for _, o := range c.List(Pods) {
		c.resumePod(o.(*corev1.Pod))
	}
	for _, uid := range slices.Sorted(maps.Keys(c.workloads)) {
		c.after(c.options.ReplaceLag, step{deed: syncWorkload, uid: uid})
	}
}
