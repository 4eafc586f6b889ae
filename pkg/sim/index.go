package sim

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// guard is a budget, its selector, and the pods that it selects. A selector that
// cannot be read selects none.
type guard struct {
	budget   *policyv1.PodDisruptionBudget
	selector labels.Selector
	pods     map[Key]bool
}

func (s *store) newGuard(budget *policyv1.PodDisruptionBudget) guard {
	g := guard{budget: budget, selector: selectorOf(budget), pods: map[Key]bool{}}
	for key := range s.housed[budget.Namespace] {
		if pod := s.objects[Pods][key].(*corev1.Pod); g.selector.Matches(labels.Set(pod.Labels)) {
			g.pods[key] = true
		}
	}
	return g
}

// guardOf finds a budget in its namespace's list; found is false if it is not
// there but belongs at this place.
func (s *store) guardOf(key Key) (at int, found bool) {
	return slices.BinarySearchFunc(s.guarding[key.Namespace], key.Name, func(g guard, name string) int { return cmp.Compare(g.budget.Name, name) })
}

func (s *store) reindexBudget(change Change) {
	budget, is := change.Object.(*policyv1.PodDisruptionBudget)
	if !is {
		return
	}
	list := s.guarding[budget.Namespace]
	at, found := s.guardOf(keyOf(budget))
	switch {
	case change.Type == watch.Deleted && found:
		s.guarding[budget.Namespace] = slices.Delete(list, at, at+1)
	case change.Type == watch.Deleted:
	case !found:
		s.guarding[budget.Namespace] = slices.Insert(list, at, s.newGuard(budget))
	case !equality.Semantic.DeepEqual(list[at].budget.Spec.Selector, budget.Spec.Selector):
		list[at] = s.newGuard(budget)
	default:
		list[at].budget = budget
	}
}

func selectorOf(budget *policyv1.PodDisruptionBudget) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil {
		return labels.Nothing()
	}
	return selector
}

func (s *store) reindexPod(change Change) {
	key := keyOf(change.Object)
	was, existed := change.Was.(*corev1.Pod)
	if !existed || change.Type == watch.Deleted || !maps.Equal(was.Labels, change.Object.GetLabels()) {
		s.guardPod(key, change)
	}
	if existed {
		delete(s.placed[was.Spec.NodeName], key)
		delete(s.housed[key.Namespace], key)
		delete(s.owned[controllerOf(was)], key)
	}
	if change.Type == watch.Deleted {
		return
	}
	pod := change.Object.(*corev1.Pod)
	set(s.housed, key.Namespace, key)
	if pod.Spec.NodeName != "" {
		set(s.placed, pod.Spec.NodeName, key)
	}
	if controller := controllerOf(pod); controller != "" {
		set(s.owned, controller, key)
	}
}

// guardPod puts a pod under the budgets that select it.
func (s *store) guardPod(key Key, change Change) {
	for _, g := range s.guarding[key.Namespace] {
		if change.Type != watch.Deleted && g.selector.Matches(labels.Set(change.Object.GetLabels())) {
			g.pods[key] = true
		} else if change.Was != nil {
			delete(g.pods, key)
		}
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

func set(index map[string]map[Key]bool, value string, key Key) {
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
		delete(c.behaviours, pod.UID)
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
