package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// MarkKind is what marks nodes.
type MarkKind string

// What may mark a node.
const (
	ConditionMark MarkKind = "condition"
	TaintMark     MarkKind = "taint"
	LabelMark     MarkKind = "label"
)

// MarkRule turns a mark of a node into a request.
type MarkRule struct {
	Kind MarkKind
	// Name is the type of the condition, or the key of the taint or label.
	Name string
	// Value is the status of the condition, or the value of the taint or label;
	// empty for any value.
	Value string
	// For is how long a node has to be marked before its drain is requested.
	For time.Duration
	// MaxNodes is how many nodes may be marked, or hold a request of the rule: with
	// more, it requests nothing.
	MaxNodes int
	// MinInterval is how long after its last request on a node the rule makes the
	// next one there.
	MinInterval time.Duration
	// ReleaseWhenCleared removes the request once the mark has been cleared for as
	// long as it had to be there.
	ReleaseWhenCleared bool
	// StartPaused lets somebody approve each request.
	StartPaused bool
}

// Key names the rule, such as condition/KernelDeadlock. No two rules of a
// configuration have the same.
func (r *MarkRule) Key() string { return string(r.Kind) + "/" + r.Name }

// Mark is what a rule looks at on a node, as it stands.
type Mark struct {
	// Present is true for a node that is marked, Cleared for one that is not. Neither
	// is true while nothing is known: the condition is Unknown.
	Present, Cleared bool
	// Value is that of the condition, taint or label.
	Value string
	// Since is since when the node is marked; zero if the API does not tell.
	Since time.Time
}

// marksOf are the marks of a node, in the order of the rules.
func marksOf(rules []MarkRule, node *corev1.Node) []Mark {
	var marks []Mark
	for i := range rules {
		marks = append(marks, rules[i].markOf(node))
	}
	return marks
}

// markOf is the rule's mark of a node.
func (r *MarkRule) markOf(node *corev1.Node) Mark {
	switch r.Kind {
	case ConditionMark:
		for _, c := range node.Status.Conditions {
			if string(c.Type) == r.Name {
				return r.mark(string(c.Status), c.LastTransitionTime.Time)
			}
		}
	case TaintMark:
		for _, t := range node.Spec.Taints {
			if t.Key != r.Name || r.Value != "" && t.Value != r.Value {
				continue
			}
			mark := Mark{Present: true, Value: t.Value}
			if t.TimeAdded != nil {
				mark.Since = t.TimeAdded.Time
			}
			return mark
		}
	case LabelMark:
		if value, has := node.Labels[r.Name]; has && (r.Value == "" || value == r.Value) {
			return Mark{Present: true, Value: value}
		}
	}
	return Mark{Cleared: true}
}

// mark is the mark of a condition. One that is Unknown says neither that the node
// is marked nor that it is well, unless that is what the rule looks for.
func (r *MarkRule) mark(status string, since time.Time) Mark {
	if status == r.Value {
		return Mark{Present: true, Value: status, Since: since}
	}
	return Mark{Cleared: status != string(corev1.ConditionUnknown)}
}

// markKey is a mark of a node.
type markKey struct {
	node types.UID
	rule string
}

// seeMarks notes since when nodes are marked where the API does not tell.
func (m *Memory) seeMarks(s *Snapshot) {
	seen := map[markKey]time.Time{}
	for _, n := range s.Nodes {
		for i := range n.Marks {
			if !n.Marks[i].Present || !n.Marks[i].Since.IsZero() {
				continue
			}
			key := markKey{n.UID, s.Config.Requests[i].Key()}
			at, known := m.marked[key]
			if !known {
				at = s.Now
			}
			seen[key] = at
		}
	}
	m.marked = seen
}

// followRules takes in the rules of a plan, and returns the events that follow.
func (m *Memory) followRules(states []MarkState) []Event {
	var events []Event
	latched := make(map[string]bool, len(states))
	for i := range states {
		s := &states[i]
		latched[s.Rule] = s.Latched
		if m.latchedRules[s.Rule] != s.Latched {
			events = append(events, RuleChanged{Rule: s.Rule, Latched: s.Latched, Text: s.text()})
		}
	}
	m.latchedRules = latched
	return events
}

// markedSince is since when a node has been marked, as far as is known.
func (p *planner) markedSince(n *Node, rule int) time.Time {
	if since := n.Marks[rule].Since; !since.IsZero() {
		return since
	}
	if at, seen := p.Memory.marked[markKey{n.UID, p.Config.Requests[rule].Key()}]; seen {
		return at
	}
	return p.Now
}
