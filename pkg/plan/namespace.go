package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// LooksAtNamespaces is true if labels of namespaces decide about pods:
// Snapshot.NamespaceLabels has to be filled then.
func (r *Rules) LooksAtNamespaces() bool { return len(r.namespaceSelectors()) > 0 }

// namespaceSelectors are those that look at labels of namespaces.
func (r *Rules) namespaceSelectors() []labels.Selector {
	if r == nil {
		return nil
	}
	var all []labels.Selector
	if r.TrustedLabels != nil {
		all = append(all, r.TrustedLabels)
	}
	for _, rule := range r.List {
		if rule.Match.NamespaceLabels != nil {
			all = append(all, rule.Match.NamespaceLabels)
		}
	}
	return all
}

// LabelsOf are the labels of a namespace that rules look at. The others may change
// without any effect.
func (r *Rules) LabelsOf(namespace *corev1.Namespace) labels.Set {
	kept := labels.Set{}
	for _, selector := range r.namespaceSelectors() {
		requirements, _ := selector.Requirements()
		for i := range requirements {
			if value, has := namespace.Labels[requirements[i].Key()]; has {
				kept[requirements[i].Key()] = value
			}
		}
	}
	return kept
}

// LabelsOfAll are the labels of namespaces that rules look at, as
// Snapshot.NamespaceLabels has them.
func (r *Rules) LabelsOfAll(namespaces []corev1.Namespace) map[string]labels.Set {
	all := make(map[string]labels.Set, len(namespaces))
	for i := range namespaces {
		all[namespaces[i].Name] = r.LabelsOf(&namespaces[i])
	}
	return all
}

// inNamespace says whether the labels of a namespace are as the PodMatch wants them;
// known is false while that decides and nothing is known of the namespace.
func (m *PodMatch) inNamespace(name string, all map[string]labels.Set) (matches, known bool) {
	return selectsNamespace(m.NamespaceLabels, name, all)
}

func selectsNamespace(selector labels.Selector, name string, all map[string]labels.Set) (selects, known bool) {
	if selector == nil {
		return true, true
	}
	set, known := all[name]
	return known && selector.Matches(set), known
}

// trusts says whether the pod's own annotations count; known is false while
// nothing is known of its namespace, whose labels decide.
func (r *Rules) trusts(pod *Pod, all map[string]labels.Set) (trusted, known bool) {
	if pod.Claims == nil || r == nil {
		return false, true
	}
	return selectsNamespace(r.TrustedLabels, pod.Namespace, all)
}

// unheard is true for a pod with annotations that do not count. As long as nobody
// knows, it is false.
func (s *PodState) unheard() bool {
	return len(s.Pod.Instructions) > 0 && !s.obeyed && (s.rule == nil || s.rule.unseen == "")
}

// unknownNamespace holds a pod until its namespace has been seen, because what the title
// names depends on its labels. Neither an eviction nor a node that is Drained with
// the pod on it could be undone.
func unknownNamespace(pod *Pod, name, title string) *Rule {
	return heldFor(pod, name, "if this lasts, let drainer's role list and watch namespaces",
		fmt.Sprintf("%s depends on the labels of namespace %s, which drainer has not seen yet", title, pod.Namespace))
}

// heldFor holds a pod until something has been seen that decides about it. Its order
// is the lowest that it may turn out to have.
func heldFor(pod *Pod, name, unseen, message string) *Rule {
	held := &Rule{Name: name, Action: BlockPod, unseen: unseen, message: message}
	for _, r := range pod.Rules {
		held.Order = min(held.Order, r.Order)
	}
	if pod.Claims != nil && pod.Claims.Order != nil {
		held.Order = min(held.Order, *pod.Claims.Order)
	}
	return held
}

// trustOfAnnotations is the field of the configuration that says where annotations
// of pods count.
const trustOfAnnotations = "trustPodAnnotations"
