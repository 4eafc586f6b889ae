package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// MarkRelease is when a rule removes its request.
type MarkRelease string

// When it may be.
const (
	// ReleaseNever leaves it to people.
	ReleaseNever MarkRelease = "Never"
	// ReleaseWhenCleared removes it once the mark has cleared.
	ReleaseWhenCleared MarkRelease = "WhenCleared"
)

// MarkStart is how the requests of a rule begin.
type MarkStart string

// How they may.
const (
	// StartAtOnce lets them begin like any other.
	StartAtOnce MarkStart = "AtOnce"
	// StartPaused lets each wait until somebody approves it.
	StartPaused MarkStart = "Paused"
)

// RequestRule requests the drain of nodes that something has marked.
type RequestRule struct {
	// condition is the type of the condition that marks a node, such as
	// KernelDeadlock. A rule has one of condition, taint and label, and it must not be a
	// mark that a drain itself makes: Drained, DrainInProgress,
	// node.kubernetes.io/unschedulable, or a name that begins with drainer.dev/.
	Condition string `json:"condition,omitempty"`
	// status is the condition's status that marks a node: True, which is the default,
	// False or Unknown.
	Status corev1.ConditionStatus `json:"status,omitempty"`
	// taint is the key of the taint that marks a node.
	Taint string `json:"taint,omitempty"`
	// label is the key of the label that marks a node.
	Label string `json:"label,omitempty"`
	// value is the value of the taint or label; without it any value marks a node.
	Value string `json:"value,omitempty"`
	// for is how long a node has to be marked before its drain is requested. Required,
	// and at least 1m. The condition's lastTransitionTime counts, or the taint's
	// timeAdded. Where there is no such time, as for labels, it counts from when drainer
	// first saw the mark, and again when drainer restarts.
	For metav1.Duration `json:"for"`
	// maxNodes is how many nodes may be marked, or hold a request of the rule, drained
	// ones included. Required, and at least 1. With more, the rule requests nothing. Once
	// more have been marked for the duration of the field for, it stays that way until somebody
	// resumes the rule by removing the annotation drainer.dev/latched from all nodes.
	MaxNodes int `json:"maxNodes"`
	// release is when the rule removes its request, with all its settings: Never, which
	// is the default, or WhenCleared, once the mark has been cleared for the duration of the
	// field for, and no rule finds the node marked.
	Release MarkRelease `json:"release,omitempty"`
	// minInterval is how long the rule waits after its last request for a node before it makes the
	// next one; 24h without it.
	MinInterval *metav1.Duration `json:"minInterval,omitempty"`
	// start is how requests begin: AtOnce, which is the default, or Paused, which
	// sets drainer.dev/paused until somebody removes it.
	Start MarkStart `json:"start,omitempty"`
}

// leastFor is the shortest time for which a mark may have to last.
const leastFor = time.Minute

// defaultInterval is minInterval where it is not set.
const defaultInterval = 24 * time.Hour

// requests validates the rules for marked nodes.
func (v *validator) requests(rules []RequestRule) {
	first := map[string]int{}
	for i := range rules {
		path, r := fmt.Sprintf("requests[%d]", i), &rules[i]
		kind, name := r.mark()
		if v.mark(path, r) {
			key := string(kind) + "/" + name
			if other, twice := first[key]; twice {
				v.bad(path+"."+string(kind), name, fmt.Sprintf("expected a mark other than that of requests[%d]", other))
			} else {
				first[key] = i
			}
		}
		if r.For.Duration < leastFor {
			v.bad(path+".for", r.For.Duration, fmt.Sprintf("expected a duration of at least %v", leastFor))
		}
		v.atLeast(path+".maxNodes", r.MaxNodes, 1)
		v.oneOf(path+".release", string(cmp.Or(r.Release, ReleaseNever)), string(ReleaseNever), string(ReleaseWhenCleared))
		v.oneOf(path+".start", string(cmp.Or(r.Start, StartAtOnce)), string(StartAtOnce), string(StartPaused))
		if r.MinInterval != nil {
			v.notNegative(path+".minInterval", *r.MinInterval)
		}
	}
}

// mark validates what marks a node. It returns false if that cannot be told.
func (v *validator) mark(path string, r *RequestRule) bool {
	kind, name := r.mark()
	named := 0
	for _, n := range []string{r.Condition, r.Taint, r.Label} {
		if n != "" {
			named++
		}
	}
	if named != 1 {
		v.bad(path, name, "expected one of condition, taint and label")
		return false
	}
	path += "." + string(kind)
	problems := validation.IsQualifiedName(name)
	switch most := api.MaxMarkRule - len(kind) - len("/"); {
	case len(problems) > 0:
		v.bad(path, name, fmt.Sprintf("expected the name of a %s: %s", kind, strings.Join(problems, "; ")))
	case len(name) > most:
		v.bad(path, name, fmt.Sprintf("expected at most %d bytes: the requests are named after it", most))
	case strings.HasPrefix(name, api.Prefix), name == corev1.TaintNodeUnschedulable,
		name == string(corev1.NodeDrainInProgress), name == string(corev1.NodeDrained):
		v.bad(path, name, "expected a mark that a drain itself does not make")
	}
	if kind != plan.ConditionMark && r.Status != "" {
		v.bad(strings.TrimSuffix(path, string(kind))+"status", string(r.Status), "expected a status only with a condition")
	}
	if kind == plan.ConditionMark {
		v.conditionMark(strings.TrimSuffix(path, string(kind)), r)
	}
	return true
}

// conditionMark validates what only conditions have. The path ends with a dot.
func (v *validator) conditionMark(path string, r *RequestRule) {
	v.oneOf(path+"status", string(cmp.Or(r.Status, corev1.ConditionTrue)),
		string(corev1.ConditionTrue), string(corev1.ConditionFalse), string(corev1.ConditionUnknown))
	if r.Value != "" {
		v.bad(path+"value", r.Value, "expected a value only with a taint or label; a condition has a status")
	}
}

// mark is what marks a node, and its name.
func (r *RequestRule) mark() (plan.MarkKind, string) {
	switch {
	case r.Taint != "":
		return plan.TaintMark, r.Taint
	case r.Label != "":
		return plan.LabelMark, r.Label
	default:
		return plan.ConditionMark, r.Condition
	}
}

// planRequests are the rules of a valid configuration.
func (c *DrainerConfiguration) planRequests() []plan.MarkRule {
	var rules []plan.MarkRule
	for i := range c.Requests {
		r := &c.Requests[i]
		kind, name := r.mark()
		rule := plan.MarkRule{
			Kind: kind, Name: name, Value: r.Value, For: r.For.Duration, MaxNodes: r.MaxNodes, MinInterval: defaultInterval,
			ReleaseWhenCleared: r.Release == ReleaseWhenCleared, StartPaused: r.Start == StartPaused,
		}
		if kind == plan.ConditionMark {
			rule.Value = string(cmp.Or(r.Status, corev1.ConditionTrue))
		}
		if r.MinInterval != nil {
			rule.MinInterval = r.MinInterval.Duration
		}
		rules = append(rules, rule)
	}
	return rules
}
