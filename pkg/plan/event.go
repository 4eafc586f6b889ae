package plan

import (
	"time"

	"drainer.dev/drainer/pkg/api"
)

// Event is something that happened and that people or metrics are told of. It
// is one of the types of this file, plain data.
type Event interface{ event() }

// PodEvicted: the API server admitted the eviction of a pod.
type PodEvicted struct {
	Pod     *Pod
	Request string
}

// EvictionNotAdmitted: an eviction, or a deletion, got any answer other than an
// admission.
type EvictionNotAdmitted struct {
	Pod     *Pod
	Request string
	Outcome Outcome
	// Deletion is true for a deletion.
	Deletion bool
}

// PodDeleted: a pod was deleted past the budgets that held it.
type PodDeleted struct {
	Pod     *Pod
	Node    *Node
	Request string
	// Reason is what held the pod, Budgets the budgets, separated by commas.
	Reason  Reason
	Budgets string
	// Rule is the rule whose DeleteAfter it was, Deadline when the node disappears, if
	// that is why; both are zero if the request timed out.
	Rule     string
	Deadline time.Time
	// GracePeriod is in seconds.
	GracePeriod int64
}

// PodUnblocked: a pod that was blocked has been admitted, Waited after it
// became a target.
type PodUnblocked struct {
	Reason Reason
	Waited time.Duration
}

// PodGone: an admitted pod is gone, Terminating after its admission.
type PodGone struct {
	Pod         *Pod
	Terminating time.Duration
}

// PodNotEvicted: an eviction whose outcome was unknown did not happen. What was
// reserved for it is free.
type PodNotEvicted struct{ Pod *Pod }

// PodConfirmedGone: the API server said that the pod is not there. What is
// reserved for it is free.
type PodConfirmedGone struct{ Pod *Pod }

// PodBlocked: a pod has been blocked for long enough to say so.
type PodBlocked struct {
	Pod           *Pod
	Request, Text string
}

// PodStuck: a pod has been blocked, or terminating past its grace period, for longer than
// --stuck-after.
type PodStuck struct {
	Pod     *Pod
	Request string
	Reason  Reason
	Since   time.Time
	Text    string
}

// PodAnnotationsIgnored: a target has annotations of drainer's that do not
// count in its namespace.
type PodAnnotationsIgnored struct {
	Pod           *Pod
	Request, Text string
}

// PhaseChanged: a node has a different phase than in the previous plan.
type PhaseChanged struct {
	Node    *Node
	Request string
	Phase   api.Phase
	Message string
	// RequestedBy and Reason are what the request claims.
	RequestedBy, Reason string
}

// Claims says who asks for the drain and why; empty if nobody says so.
func (e *PhaseChanged) Claims() string {
	return claimsOf(api.Request{RequestedBy: e.RequestedBy, Reason: e.Reason})
}

// CordonRestored: somebody else uncordoned the node for the first time.
type CordonRestored struct {
	Node    *Node
	Request string
}

// Released: the request was removed.
type Released struct {
	Node    *Node
	Request string
}

// DrainUnfinishable: a drain cannot finish, however long it waits. It is reported once
// for each request.
type DrainUnfinishable struct {
	Node          *Node
	Request, Text string
}

// ConditionConflict: others own conditions of the node that drainer writes.
type ConditionConflict struct {
	Node          *Node
	Request, Text string
}

// ControlChanged: the ConfigMap drainer-control has changed since the previous
// plan.
type ControlChanged struct{ Control Control }

// MarkRequested: a rule requested the drain of a node because something marked it.
type MarkRequested struct {
	Node          *Node
	Request, Rule string
	// Text says by what and since when.
	Text string
	// Paused is true if somebody has to approve the request.
	Paused bool
}

// MarkCleared: the mark of a node has cleared, and the request was removed.
type MarkCleared struct {
	Node    *Node
	Request string
}

// RuleLatched: a node says that a rule is latched, because too many are marked.
type RuleLatched struct {
	Node       *Node
	Rule, Text string
}

// RuleChanged: a rule for marked nodes is latched, or no longer latched.
type RuleChanged struct {
	Rule    string
	Latched bool
	// Text says why it is.
	Text string
}

func (PodEvicted) event()            {}
func (EvictionNotAdmitted) event()   {}
func (PodDeleted) event()            {}
func (PodUnblocked) event()          {}
func (PodGone) event()               {}
func (PodNotEvicted) event()         {}
func (PodConfirmedGone) event()      {}
func (PodBlocked) event()            {}
func (PodStuck) event()              {}
func (PodAnnotationsIgnored) event() {}
func (PhaseChanged) event()          {}
func (CordonRestored) event()        {}
func (Released) event()              {}
func (DrainUnfinishable) event()     {}
func (ConditionConflict) event()     {}
func (ControlChanged) event()        {}
func (MarkRequested) event()         {}
func (MarkCleared) event()           {}
func (RuleLatched) event()           {}
func (RuleChanged) event()           {}

// Result is how a drain ended.
type Result string

// The results of a drain. A drain that times out keeps that result, even if it
// continues.
const (
	ResultDrained     Result = "drained"
	ResultCancelled   Result = "cancelled"
	ResultTimedOut    Result = "timed_out"
	ResultSuperseded  Result = "superseded"
	ResultNodeDeleted Result = "node_deleted"
	// ResultNotServed: the node's labels no longer match --node-selector.
	ResultNotServed Result = "not_served"
)

// Results lists every result.
func Results() []Result {
	return []Result{ResultDrained, ResultCancelled, ResultTimedOut, ResultSuperseded, ResultNodeDeleted, ResultNotServed}
}
