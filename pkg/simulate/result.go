package simulate

import (
	"slices"
	"time"
)

// Version is the version of Result: fields are added without a new one, and are
// never renamed or removed.
const Version = 1

// Result is a forecast. Times are in seconds since the request.
type Result struct {
	Version int `json:"version"`
	// At is the time of the objects from which the forecast is made.
	At time.Time `json:"at"`
	// Complete is true if every node asked for reaches Drained.
	Complete bool `json:"complete"`
	// MakespanSeconds is when the last node is Drained or, if not all are, when
	// the last pod leaves before the drain stops making progress.
	MakespanSeconds float64 `json:"makespanSeconds"`
	// EmptySeconds is when the last target has left.
	EmptySeconds float64 `json:"emptySeconds"`
	// Nodes are those asked for, in the order in which they are Drained; those
	// that are not come last.
	Nodes []NodeResult `json:"nodes"`
	// Budgets are those that block pods, the longest first.
	Budgets []BudgetResult `json:"budgets"`
	// SlotSeconds is for how long at least one of the nodes asked for waited for a
	// slot of --max-draining, SlotShare that time as a part of the whole, from 0 to 1.
	SlotSeconds float64 `json:"slotSeconds"`
	SlotShare   float64 `json:"slotShare"`
	// Blockers are what keeps nodes from being Drained; empty if Complete.
	Blockers []Blocker `json:"blockers"`
	// Evictions are the requests, Refused those that were not admitted.
	Evictions int `json:"evictions"`
	Refused   int `json:"refused"`
	// Homeless are the pods that fit on no node at the end.
	Homeless int `json:"homeless"`
	// StartTimes say how long new pods are assumed to take to start.
	StartTimes []StartTime `json:"startTimes"`
	// Assumptions are the other assumptions of the forecast.
	Assumptions []string `json:"assumptions"`
}

// NodeResult is the forecast of one node. A time is null if it does not come.
type NodeResult struct {
	Name string `json:"name"`
	// Pods is how many have to leave.
	Pods int `json:"pods"`
	// StartedSeconds is when the drain begins, EmptySeconds when the last pod
	// has left, DrainedSeconds when the node says so.
	StartedSeconds *float64 `json:"startedSeconds"`
	EmptySeconds   *float64 `json:"emptySeconds"`
	DrainedSeconds *float64 `json:"drainedSeconds"`
	// Phase and Message are what the node says at the end.
	Phase   string `json:"phase"`
	Message string `json:"message"`
}

// BudgetResult is a PodDisruptionBudget that blocks pods.
type BudgetResult struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Evictions are the pods evicted under it, AtOnce how many may be disrupted
	// at once.
	Evictions int `json:"evictions"`
	AtOnce    int `json:"atOnce"`
	// BlockedSeconds is for how long at least one pod waited for it.
	BlockedSeconds float64 `json:"blockedSeconds"`
	// Share is that time as a part of the whole, from 0 to 1.
	Share float64 `json:"share"`
}

// Blocker is what keeps pods of a node from leaving, and how to fix it.
type Blocker struct {
	Node string `json:"node"`
	// Pod is the first of the Pods that wait for the same reason, by namespace
	// and name; empty if no pod is the reason.
	Pod    string `json:"pod,omitempty"`
	Pods   int    `json:"pods,omitempty"`
	Reason string `json:"reason"`
	// Budgets are the names of those concerned, with their namespace.
	Budgets []string `json:"budgets,omitempty"`
	Message string   `json:"message"`
	Fix     string   `json:"fix"`
	// OnlyTime is true if nothing is wrong: the forecast ends before what the node waits
	// for comes.
	OnlyTime bool `json:"onlyTime,omitempty"`
}

// TooShort is true if a longer forecast may be complete: nothing is wrong with the nodes
// that are not drained.
func (f *Result) TooShort() bool {
	return !f.Complete && !slices.ContainsFunc(f.Blockers, func(b Blocker) bool { return !b.OnlyTime })
}
