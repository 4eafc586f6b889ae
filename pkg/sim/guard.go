package sim

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/watch"
)

// guard is a budget, its selector, and the pods that it selects. A selector that
// cannot be read selects none.
type guard struct {
	budget   *policyv1.PodDisruptionBudget
	selector labels.Selector
	pods     map[Key]bool
}

// label is a label in a namespace. Without a key it stands for the whole
// namespace.
type label struct{ namespace, key, value string }

// demands is a label that every pod selected by the selector has, or the
// namespace if it demands no single value of any label. It lets budgets find their
// pods, and pods their budgets, without trying all.
func demands(namespace string, selector labels.Selector) label {
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		switch r.Operator() {
		case selection.Equals, selection.DoubleEquals, selection.In:
			if values := r.ValuesUnsorted(); len(values) == 1 {
				return label{namespace, r.Key(), values[0]}
			}
		}
	}
	return label{namespace: namespace}
}

// labelsOf are the labels of a pod, and its namespace.
func labelsOf(pod *corev1.Pod) []label {
	list := []label{{namespace: pod.Namespace}}
	for key, value := range pod.Labels {
		list = append(list, label{pod.Namespace, key, value})
	}
	return list
}

// guardsOf are the budgets that select the pod, in order.
func (s *store) guardsOf(pod *corev1.Pod) []*guard {
	var found []*guard
	for _, l := range labelsOf(pod) {
		for _, g := range s.demanding[l] {
			if g.selector.Matches(labels.Set(pod.Labels)) {
				found = append(found, g)
			}
		}
	}
	slices.SortFunc(found, func(a, b *guard) int { return cmp.Compare(a.budget.Name, b.budget.Name) })
	return found
}

func (s *store) reindexBudget(change Change) {
	budget, is := change.Object.(*policyv1.PodDisruptionBudget)
	if !is {
		return
	}
	g := s.guards[keyOf(budget)]
	if g != nil && change.Type != watch.Deleted && equality.Semantic.DeepEqual(g.budget.Spec.Selector, budget.Spec.Selector) {
		g.budget = budget
		return
	}
	if g != nil {
		demanded := demands(budget.Namespace, g.selector)
		s.demanding[demanded] = slices.DeleteFunc(s.demanding[demanded], func(other *guard) bool { return other == g })
		delete(s.guards, keyOf(budget))
	}
	if change.Type != watch.Deleted {
		s.addGuard(budget)
	}
}

func (s *store) addGuard(budget *policyv1.PodDisruptionBudget) {
	g := &guard{budget: budget, selector: selectorOf(budget), pods: map[Key]bool{}}
	demanded := demands(budget.Namespace, g.selector)
	for key := range s.labelled[demanded] {
		if g.selector.Matches(labels.Set(s.objects[Pods][key].GetLabels())) {
			g.pods[key] = true
		}
	}
	s.guards[keyOf(budget)] = g
	s.demanding[demanded] = append(s.demanding[demanded], g)
}

func selectorOf(budget *policyv1.PodDisruptionBudget) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil {
		return labels.Nothing()
	}
	return selector
}

// label puts a pod under the budgets that select it.
func (s *store) label(pod *corev1.Pod) {
	for _, l := range labelsOf(pod) {
		set(s.labelled, l, keyOf(pod))
	}
	for _, g := range s.guardsOf(pod) {
		g.pods[keyOf(pod)] = true
	}
}

// unlabel undoes what label did.
func (s *store) unlabel(pod *corev1.Pod) {
	for _, l := range labelsOf(pod) {
		delete(s.labelled[l], keyOf(pod))
	}
	for _, g := range s.guardsOf(pod) {
		delete(g.pods, keyOf(pod))
	}
}
