package plan

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Action is what happens to a pod of a node that is drained.
type Action string

// What may happen to it.
const (
	// EvictPod evicts it.
	EvictPod Action = "Evict"
	// IgnorePod lets it stay: the node is Drained with it.
	IgnorePod Action = "Ignore"
	// AwaitPod waits until it has completed, and evicts it then, or once it has
	// waited for as long as the rule says.
	AwaitPod Action = "WaitCompleted"
	// BlockPod waits until somebody else removes it.
	BlockPod Action = "Block"
)

// Rule says what happens to the pods that it matches. It does not change once
// made.
type Rule struct {
	Name   string
	Match  PodMatch
	Action Action
	// Order is when the pod's turn comes: once all pods of the node that have a
	// lower order are gone.
	Order int
	// GracePeriod overrides the pods' own, in seconds; nil if it does not.
	GracePeriod *int64
	// StuckAfter overrides Config.StuckAfter; 0 if it does not.
	StuckAfter time.Duration
	// AtMost is for how long a pod may hold up the drain until it completes; 0 for
	// as long as it takes.
	AtMost time.Duration
	// DeleteAfter is how long a pod may be held by budgets until it is deleted
	// past them, if Config.AllowDelete lets it; 0 for never.
	DeleteAfter time.Duration

	// reason and message are why a built-in rule blocks, and an annotation that
	// cannot be read.
	reason  Reason
	message string
	// own is true for what an annotation of the pod says.
	own bool
	// unseen is set for what holds a pod only until something has been seen: what to
	// do if that lasts.
	unseen string
}

// title names the rule in messages.
func (r *Rule) title() string {
	if r.own {
		return "its annotation " + r.Name
	}
	return "rule " + r.Name
}

// Rules are what the configuration says about pods. The first rule that matches
// a pod decides. A nil Rules has none.
type Rules struct {
	List []*Rule
	// Trusted are patterns of namespaces in which the pods' own annotations count,
	// TrustedLabels selects such namespaces by their labels. Where both are set both
	// have to match; nowhere if none is.
	Trusted       []string
	TrustedLabels labels.Selector
}

// PodOf makes a plan's Pod of the API's.
func (r *Rules) PodOf(pod *corev1.Pod) *Pod {
	p := PodOf(pod)
	if r == nil || p.Static {
		return p
	}
	for _, rule := range r.List {
		if !rule.Match.matches(pod, p.EmptyDir) {
			continue
		}
		p.Rules = append(p.Rules, rule)
		if !rule.Match.conditional() {
			break
		}
	}
	p.Rules = slices.Clip(p.Rules)
	if len(p.Instructions) > 0 {
		r.listen(p, pod.Annotations)
	}
	return p
}

// The built-in rules. They come after all others, and only the flags change them.
var (
	evicts      = &Rule{Name: "default", Action: EvictPod}
	ignoresBare = &Rule{Name: "bare-pods", Action: IgnorePod}
	blocksBare  = &Rule{Name: "bare-pods", Action: BlockPod, reason: BarePod, message: "no controller would create it again"}
	blocksDirs  = &Rule{Name: "empty-dir", Action: BlockPod, reason: EmptyDirVolume, message: "it would lose its emptyDir volume"}
)

// builtIn is the built-in rule for a pod. One that has finished leaves: nothing
// of it is running.
func (c *Config) builtIn(pod *Pod) *Rule {
	switch {
	case pod.Finished():
		return evicts
	case pod.Controller.Kind == "" && c.BarePods == IgnoreBarePods:
		return ignoresBare
	case pod.Controller.Kind == "" && c.BarePods != EvictBarePods:
		return blocksBare
	case pod.EmptyDir && c.EmptyDir == BlockEmptyDir:
		return blocksDirs
	default:
		return evicts
	}
}

// stays is true for a pod that no rule moves: a drain could not.
func (p *Pod) stays(daemonSets map[types.UID]bool) bool {
	return p.Static || p.OfDaemonSet() && daemonSets[p.Controller.UID]
}

// unlessFinished is r for a pod that still runs, or that stays anyway.
func (r *Rule) unlessFinished(pod *Pod) *Rule {
	if pod.Finished() && r.Action != IgnorePod {
		return evicts
	}
	return r
}

// rule finds the rule that decides about a pod, and when its turn comes.
func (p *planner) rule(n *nodeWork, s *PodState) {
	s.order = anyTime
	if s.Pod.stays(p.DaemonSets) {
		s.State = Ignored
		return
	}
	s.rule, s.obeyed = p.ruleOf(n, s)
	if s.rule.Action == IgnorePod {
		s.State = Ignored
		return
	}
	if p.Config.Unconfirmed(s.Pod, n.node, p.Now) {
		s.State, s.Reason, s.Since = UnconfirmedPod, NodeUnreachable, s.Pod.Deadline.Add(-s.Pod.Grace)
		return
	}
	if s.Pod.UID == p.Config.OwnPod {
		return
	}
	n.others = true
	if !s.Pod.Finished() && !n.urgent() {
		if s.order = s.rule.Order; s.ownOrder() != nil {
			s.order = *s.ownOrder()
		}
		n.lowest.add(s.Pod, s.order)
	}
}

// holds is why a rule does not let a pod be evicted, and until when; the zero
// time if that does not pass by itself. The reason is empty if it lets it.
func (r *Rule) holds(pod *Pod, began, now time.Time) (Reason, string, time.Time) {
	switch r.Action {
	case BlockPod:
		message := cmp.Or(r.message, r.title()+" does not let it be evicted")
		return cmp.Or(r.reason, Policy), message, time.Time{}
	case AwaitPod:
		message := r.title() + " waits until it completes"
		if r.AtMost == 0 {
			return Completion, message, time.Time{}
		}
		until := latest(began, time.Unix(pod.Created, 0)).Add(r.AtMost)
		if !now.Before(until) {
			return "", "", time.Time{}
		}
		return Completion, message + ", or until " + clock(until), until
	default:
		return "", "", time.Time{}
	}
}

// ruled is why the pod's rule does not let it be evicted now.
func (p *planner) ruled(n *nodeWork, s *PodState) (Reason, string) {
	reason, message, until := s.rule.holds(s.Pod, n.memory.StartedAt, p.Now)
	switch {
	case reason == Completion && n.urgent():
		return "", ""
	case reason != "":
		s.Until = until
		p.wakeAt(until)
		return reason, message
	case n.lowest.order < s.order:
		return Order, n.lowest.text(s)
	default:
		return "", ""
	}
}

// stuckAfter is when the pod counts as stuck. One whose turn has not come does
// not, nor one that a rule lets complete, unless the rule says when; nor one that
// waits for the replacement of another.
func (s *PodState) stuckAfter(otherwise time.Duration) time.Duration {
	const never = 1<<63 - 1
	switch {
	case s.State == Blocked && s.Reason == Pace:
		return never
	case s.rule == nil:
		return otherwise
	case s.rule.StuckAfter > 0:
		return s.rule.StuckAfter
	case s.State == Blocked && (s.Reason == Completion || s.Reason == Order && s.order != anyTime):
		return never
	default:
		return otherwise
	}
}

// Rule is the name of the rule that keeps the pod from being evicted now, or of
// its own annotation that does; empty if something else does, or nothing.
func (s *PodState) Rule() string {
	if s.State != Blocked || s.rule == nil {
		return ""
	}
	switch {
	case s.Reason == Order && s.order != anyTime:
		return s.orderedBy().Name
	case s.Reason == Completion, s.rule.Action == BlockPod && s.Reason == Policy:
		return s.rule.Name
	default:
		return ""
	}
}
