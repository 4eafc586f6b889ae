package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"drainer.dev/drainer/pkg/api"
)

// placementOf is the part of a pod's spec by which nodes admit it, in a form that is
// the same for equal parts: pods of one controller share one text. It is empty for a
// pod that is not placed again elsewhere once it leaves its node.
func placementOf(pod *corev1.Pod, p *Pod) string {
	if p.Controller.UID == "" || p.OfDaemonSet() || p.Static {
		return ""
	}
	spec := corev1.PodSpec{NodeSelector: pod.Spec.NodeSelector, Tolerations: pod.Spec.Tolerations}
	if required := requiredAffinity(&pod.Spec); required != nil {
		spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}}
	}
	text, err := spec.Marshal()
	if err != nil {
		return ""
	}
	return string(text)
}

func requiredAffinity(spec *corev1.PodSpec) *corev1.NodeSelector {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return nil
	}
	return spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

// placement is what placementOf says, ready to be compared with nodes. What cannot
// be read counts as admitted: a drain is called unfinishable only for what is known.
type placement struct {
	nodes labels.Selector
	// terms are those of the required node affinity, of which one has to match; all
	// nodes match if it is not restricted.
	terms       []placementTerm
	restricted  bool
	tolerations []corev1.Toleration
}

// placementTerm is a term of a required node affinity.
type placementTerm struct {
	nodes  labels.Selector
	fields []corev1.NodeSelectorRequirement
}

// parsePlacement reads a text that placementOf wrote; false if it cannot.
func parsePlacement(text string) (*placement, bool) {
	var spec corev1.PodSpec
	if text == "" || spec.Unmarshal([]byte(text)) != nil {
		return nil, false
	}
	p := &placement{nodes: labels.SelectorFromSet(spec.NodeSelector), tolerations: spec.Tolerations}
	required := requiredAffinity(&spec)
	if p.restricted = required != nil; !p.restricted {
		return p, true
	}
	for i := range required.NodeSelectorTerms {
		term := &required.NodeSelectorTerms[i]
		if len(term.MatchExpressions) == 0 && len(term.MatchFields) == 0 {
			continue // Such a term matches no node.
		}
		nodes, ok := selectorOf(term.MatchExpressions)
		if !ok {
			return nil, false
		}
		p.terms = append(p.terms, placementTerm{nodes: nodes, fields: term.MatchFields})
	}
	return p, true
}

// operators are those of node affinity, as selectors name them.
var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
	corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}

func selectorOf(expressions []corev1.NodeSelectorRequirement) (labels.Selector, bool) {
	selector := labels.NewSelector()
	for _, e := range expressions {
		operator, known := operators[e.Operator]
		if !known {
			return nil, false
		}
		r, err := labels.NewRequirement(e.Key, operator, e.Values)
		if err != nil {
			return nil, false
		}
		selector = selector.Add(*r)
	}
	return selector, true
}

// selects is true for a node that the node selector and the required node affinity
// admit.
func (p *placement) selects(n *Node) bool {
	return p.nodes.Matches(n.Labels) && (!p.restricted || slices.ContainsFunc(p.terms, func(t placementTerm) bool { return t.selects(n) }))
}

// selects compares with the name, too: it is the only field that the API has here.
func (t *placementTerm) selects(n *Node) bool {
	for _, f := range t.fields {
		if slices.Contains(f.Values, n.Name) == (f.Operator == corev1.NodeSelectorOpNotIn) {
			return false
		}
	}
	return t.nodes.Matches(n.Labels)
}

// tolerates is true if one of the tolerations is for the taint.
func (p *placement) tolerates(taint *corev1.Taint) bool {
	return slices.ContainsFunc(p.tolerations, func(t corev1.Toleration) bool {
		switch {
		case t.Effect != "" && t.Effect != taint.Effect, t.Key != "" && t.Key != taint.Key:
			return false
		case t.Operator == "", t.Operator == corev1.TolerationOpEqual:
			return t.Value == taint.Value
		default:
			return true // Exists; operators that compare numbers count as met.
		}
	})
}

// standing is whether a node takes a pod that it would admit.
type standing int

const (
	nodeRefuses standing = iota
	nodeTakes
	nodeDrains
	nodeCordoned
	nodeUnhealthy
)

// standingOf is how a node stands to a pod of the placement.
func (p *placement) standingOf(n *Node) standing {
	if n.Deleting || n.RemovalTaint != "" || !p.selects(n) {
		return nodeRefuses
	}
	healthy := n.Ready
	for i := range n.Taints {
		switch taint := &n.Taints[i]; {
		case p.tolerates(taint):
		case ofCondition(taint.Key):
			healthy = false
		default:
			return nodeRefuses
		}
	}
	switch {
	case n.Unschedulable && n.Annotations[api.DrainAnnotation] != "":
		return nodeDrains
	case n.Unschedulable:
		return nodeCordoned
	case !healthy:
		return nodeUnhealthy
	default:
		return nodeTakes
	}
}

// ofCondition is true for the taints that Kubernetes sets and removes as the node's
// condition changes.
func ofCondition(key string) bool {
	return strings.HasPrefix(key, "node.kubernetes.io/") || strings.HasPrefix(key, "node.cloudprovider.kubernetes.io/")
}
