package api

import (
	"time"
)

// StatusVersion is the version of Status that this package writes.
const StatusVersion = 1

// MaxBlockers bounds Status.Blockers.
const MaxBlockers = 10

// Status is what the status annotation says to programs. It is also drainer's
// only durable memory of a request.
type Status struct {
	Version int    `json:"version"`
	Request string `json:"request"`
	Phase   Phase  `json:"phase"`
	// RequestedBy and RequestReason say who asks and why, if somebody says so.
	RequestedBy   string `json:"requestedBy,omitempty"`
	RequestReason string `json:"requestReason,omitempty"`
	// Pool is the node's pool, if it is in one.
	Pool string `json:"pool,omitempty"`
	// Reason is the reason of the worst blocker, empty if nothing is blocked
	// or stuck.
	Reason string `json:"reason,omitempty"`
	// RequestedAt is when the request was first seen: the queue's order.
	RequestedAt *time.Time `json:"requestedAt,omitempty"`
	// StartedAt is when the drain began, absent while it is queued.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	// ReleasedAt is when the request timed out and the node was released. It stays
	// until there is a request with another ID.
	ReleasedAt *time.Time `json:"releasedAt,omitempty"`
	// FinishedAt is when the node was found drained.
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// Deadline is what is known of the time at which the node disappears; nil if its
	// request does not give one, or one that no longer counts.
	Deadline *Deadline `json:"deadline,omitempty"`
	// PausedAt is when the current pause began.
	PausedAt *time.Time `json:"pausedAt,omitempty"`
	// PausedSeconds is how long earlier pauses lasted; the timeout does not
	// count them.
	PausedSeconds int64 `json:"pausedSeconds,omitempty"`
	// IdleSince is when the drain stopped making progress, absent while it makes
	// progress.
	IdleSince *time.Time `json:"idleSince,omitempty"`
	Pods      PodCounts  `json:"pods"`
	// Volumes are those that are still attached to the node although its pods are
	// gone, if the drain waits for them. A node that was Drained while it was
	// unreachable keeps them.
	Volumes *Volumes `json:"volumes,omitempty"`
	// Blockers are the pods that block the drain, oldest first, at most
	// MaxBlockers.
	Blockers []Blocker `json:"blockers,omitempty"`
	// MoreBlockers counts the blocked pods that Blockers does not list, by
	// reason, sorted by reason.
	MoreBlockers []MoreBlockers `json:"moreBlockers,omitempty"`
	// Result is how the request ended, once it has: drained or timed_out. It
	// stays when a drained node gets another target.
	Result string `json:"result,omitempty"`
	// Verdicts are those of a dry run, and nil of any other request. Blockers
	// are then the pods that would not leave now.
	Verdicts *Verdicts `json:"verdicts,omitempty"`
	// Deletions count the pods that were deleted past the budgets that held them,
	// by budget.
	Deletions []Deletions `json:"deletions,omitempty"`
	// CannotFinish is what keeps the drain from finishing however long it waits,
	// at most MaxObstacles. It is also set while the drain is queued.
	CannotFinish []Obstacle `json:"cannotFinish,omitempty"`
	// Warnings are problems that somebody should look at although they do not
	// block the drain.
	Warnings []string `json:"warnings,omitempty"`
}

// PodCounts counts a node's pods by state. The states are disjoint.
type PodCounts struct {
	Eligible    int `json:"eligible"`
	Blocked     int `json:"blocked"`
	Terminating int `json:"terminating"`
	Gone        int `json:"gone"`
	Ignored     int `json:"ignored"`
	// Unconfirmed pods are terminating, past their grace period, on a node that has
	// been unreachable for so long that they are not waited for.
	Unconfirmed int `json:"unconfirmed,omitempty"`
}

// Volumes are volumes that are attached to a node.
type Volumes struct {
	// Attached is how many; 0 if that is not known.
	Attached int `json:"attached"`
	// Since is when the drain began to wait for them.
	Since time.Time `json:"since"`
	// Message says more, for people.
	Message string `json:"message,omitempty"`
}

// Deadline is when a node disappears, and what that means for its pods.
type Deadline struct {
	At time.Time `json:"at"`
	// AtRisk counts the pods that are lost with the node unless what holds them ends in
	// time, and those that take longer to terminate than the node has left.
	AtRisk int `json:"atRisk"`
	// ToDelete counts the pods that are deleted past their budgets once only their
	// grace period is left, unless the budgets let them leave earlier.
	ToDelete int `json:"toDelete,omitempty"`
}

// Verdicts are the results of a dry run for a node's pods. Each verdict is
// independent: if several pods share a budget, the API server may admit the
// eviction of each of them, but not of all.
type Verdicts struct {
	// At is when the last of them was given; nil while they are asked for.
	At *time.Time `json:"at,omitempty"`
	// Admitted counts the pods whose eviction the API server would admit now.
	Admitted int `json:"admitted"`
	// Refused counts those whose eviction it would not admit, Held those that
	// drainer itself does not evict.
	Refused int `json:"refused"`
	Held    int `json:"held"`
	// Unanswered counts the pods about which there was no answer.
	Unanswered int `json:"unanswered,omitempty"`
	// Ignored counts the pods that stay on a drained node.
	Ignored int `json:"ignored"`
}

// Remaining is the number of pods that still have to leave.
func (c PodCounts) Remaining() int { return c.Eligible + c.Blocked + c.Terminating }

// Present is the number of targets that are still on the node, whether or not the
// drain waits for them.
func (c PodCounts) Present() int { return c.Remaining() + c.Unconfirmed }

// Blocker is one pod that blocks a drain.
type Blocker struct {
	// Pod is namespace/name.
	Pod string `json:"pod"`
	// State is "blocked" or "terminating".
	State string `json:"state"`
	// Reason is one of the reasons of a blocked or terminating pod.
	Reason string `json:"reason"`
	// Budget is the PodDisruptionBudget, or several separated by commas.
	Budget string `json:"budget,omitempty"`
	// Rule is the rule of the configuration that keeps the pod from being evicted;
	// empty if something else does.
	Rule string `json:"rule,omitempty"`
	// AtRisk is true for a pod that Deadline.AtRisk counts.
	AtRisk bool `json:"atRisk,omitempty"`
	// EvictionResponders are those of the pod's spec; drainer does not ask them.
	EvictionResponders []string `json:"evictionResponders,omitempty"`
	// SchedulingGroup is the PodGroup of the pod; empty if it is in none.
	SchedulingGroup string `json:"schedulingGroup,omitempty"`
	// Message says more, for people.
	Message string `json:"message,omitempty"`
	// Since is when the pod began to be in this state.
	Since time.Time `json:"since"`
}

// MoreBlockers are blocked pods of one reason that Status does not list one by
// one.
type MoreBlockers struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	// Since is when the youngest of them began to be blocked.
	Since time.Time `json:"since"`
}

// Deletions are pods that were deleted past one PodDisruptionBudget, or past
// several at once.
type Deletions struct {
	// Budget is namespace/name, or several separated by commas.
	Budget string `json:"budget"`
	Count  int    `json:"count"`
}

// Obstacle is what keeps a drain from finishing until somebody acts.
type Obstacle struct {
	// Pod is the oldest of the Pods that wait for the same thing, as namespace/name.
	Pod    string `json:"pod"`
	Pods   int    `json:"pods"`
	Reason string `json:"reason"`
	// Budget is the PodDisruptionBudget, or several separated by commas.
	Budget string `json:"budget,omitempty"`
	// Message and Fix say, for people, what is wrong and how to fix it.
	Message string `json:"message,omitempty"`
	Fix     string `json:"fix"`
}

// MaxObstacles bounds Status.CannotFinish.
const MaxObstacles = 3

// BlockedState is the State of a Blocker that is blocked.
const BlockedState = "blocked"
