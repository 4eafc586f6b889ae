package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// PodMatch says which pods a rule is for. Everything that is set has to match; the
// zero PodMatch matches every pod.
type PodMatch struct {
	// Namespaces are patterns, of which one has to match.
	Namespaces []string
	// Pods selects pods by their labels; nil for all.
	Pods labels.Selector
	// Annotations are those that a pod has to have, with their values.
	Annotations map[string]string
	// Controllers are patterns of a controller's apiVersion/kind, of which one has
	// to match; NoController matches pods without one.
	Controllers []string
	// MinPriority and MaxPriority bound the pod's priority.
	MinPriority, MaxPriority *int32
	// Resources are names of resources, of which the pod has to ask for one.
	Resources []string
	// EmptyDir is whether the pod has an emptyDir volume.
	EmptyDir *bool
	// EvictionResponders are patterns of the names of eviction responders, of which
	// one of the pod's has to match one; NoResponder matches pods without any.
	EvictionResponders []string
	// SchedulingGroup is whether the pod is in a scheduling group.
	SchedulingGroup *bool

	// NamespaceLabels selects the pod's namespace by its labels; nil for all.
	NamespaceLabels labels.Selector
	// Pools are names of pools, of which the pod's node has to be in one.
	Pools []string
	// Budget is what the pod's budgets have to be like.
	Budget BudgetMatch
	// Replicas is how many replicas the pod's controller has to have; 0 for any
	// number.
	Replicas int32
}

// NoController stands for pods without a controller in PodMatch.Controllers.
const NoController = "None"

// NoResponder stands for pods without an eviction responder in
// PodMatch.EvictionResponders.
const NoResponder = "None"

// BudgetMatch describes the budgets that select a pod.
type BudgetMatch string

// What they may be like.
const (
	// NoBudget: none selects the pod.
	NoBudget BudgetMatch = "None"
	// NeverAllowingBudget: one of them never allows a disruption.
	NeverAllowingBudget BudgetMatch = "NeverAllows"
)

// conditional is true if more than the pod itself decides about it.
func (m *PodMatch) conditional() bool {
	return len(m.Pools) > 0 || m.Budget != "" || m.NamespaceLabels != nil || m.Replicas > 0
}

// matches is true for a pod to which all that the PodMatch says about pods
// themselves applies.
func (m *PodMatch) matches(pod *corev1.Pod, emptyDir bool) bool {
	switch {
	case len(m.Namespaces) > 0 && !anyLike(m.Namespaces, pod.Namespace),
		m.Pods != nil && !m.Pods.Matches(labels.Set(pod.Labels)),
		len(m.Controllers) > 0 && !anyLike(m.Controllers, controllerOf(pod)),
		m.EmptyDir != nil && *m.EmptyDir != emptyDir,
		len(m.EvictionResponders) > 0 && !respondersLike(m.EvictionResponders, pod.Spec.EvictionResponders),
		m.SchedulingGroup != nil && *m.SchedulingGroup != (pod.Spec.SchedulingGroup != nil),
		len(m.Resources) > 0 && !asksForOne(&pod.Spec, m.Resources):
		return false
	}
	for key, value := range m.Annotations {
		if has, is := pod.Annotations[key]; !is || has != value {
			return false
		}
	}
	priority := int32(0)
	if pod.Spec.Priority != nil {
		priority = *pod.Spec.Priority
	}
	return (m.MinPriority == nil || priority >= *m.MinPriority) && (m.MaxPriority == nil || priority <= *m.MaxPriority)
}

// respondersLike is true if one of the patterns describes one of the responders, or
// stands for none.
func respondersLike(patterns []string, responders []corev1.EvictionResponder) bool {
	if len(responders) == 0 {
		return slices.Contains(patterns, NoResponder)
	}
	return slices.ContainsFunc(responders, func(r corev1.EvictionResponder) bool { return anyLike(patterns, r.Name) })
}

// controllerOf is the apiVersion/kind of a pod's controller.
func controllerOf(pod *corev1.Pod) string {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return NoController
	}
	return owner.APIVersion + "/" + owner.Kind
}

// asksForOne is true if the pod requests some of one of the resources, or has a
// limit for it.
func asksForOne(spec *corev1.PodSpec, names []string) bool {
	asks := func(r *corev1.ResourceRequirements) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			request, limit := r.Requests[corev1.ResourceName(name)], r.Limits[corev1.ResourceName(name)]
			return !request.IsZero() || !limit.IsZero()
		})
	}
	of := func(c corev1.Container) bool { return asks(&c.Resources) }
	return spec.Resources != nil && asks(spec.Resources) || slices.ContainsFunc(spec.Containers, of) || slices.ContainsFunc(spec.InitContainers, of)
}

// under is true if the budgets that select a pod, given their number and whether one
// of them never allows a disruption, are as the PodMatch wants them.
func (m *PodMatch) under(budgets int, neverAllows bool) bool {
	switch m.Budget {
	case NoBudget:
		return budgets == 0
	case NeverAllowingBudget:
		return neverAllows
	default:
		return true
	}
}

func anyLike(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return like(p, text) })
}

// like is true for a text that the pattern describes, in which * stands for any
// characters.
func like(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return pattern == text
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return true
}
