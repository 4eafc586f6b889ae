package plan

import (
	"time"

	"drainer.dev/drainer/pkg/api"
)

// State is the state of a pod of a draining node. The states are disjoint.
type State string

// The states of a pod. One that is gone has none.
const (
	Ignored     State = "ignored"
	Eligible    State = "eligible"
	Blocked     State = api.BlockedState
	Terminating State = "terminating"
	// UnconfirmedPod is the state of a pod that is not waited for, although nothing
	// confirms that it has ended.
	UnconfirmedPod State = "unconfirmed"
)

// PodState is what a plan decided about one pod.
type PodState struct {
	Pod   *Pod
	State State
	// Reason is why the pod is blocked or still terminating.
	Reason Reason
	// Since is when the state began; zero for pods that are ignored.
	Since time.Time
	// Message is the server's own words, if it has said anything.
	Message string
	// Spared is why the pod is not deleted although its node deletes what budgets
	// hold; empty for all others.
	Spared string
	// nowhere is set for a pod that obstructs because no schedulable node admits it.
	nowhere *nowhere
	// stranded is set for such a pod on a waiting node: how many pods there, under its
	// budget, no other node admits.
	stranded int
	// Until is when the pod may be sent again, if that is known.
	Until time.Time

	// rule decides about the pod; nil for one that no rule moves. order is when its
	// turn comes.
	rule  *Rule
	order int
	// budgets are those that select the pod, sorted by name; none for pods that
	// no budget applies to.
	budgets []*budgetWork
	// ownDeadline is when the grace period ends by this process's own clock; zero if
	// only the API server's is known.
	ownDeadline time.Time
	// entry belongs to the loop: only Make and Memory.Keep read it. Reports are
	// written while the next plan changes it.
	entry *Entry
	// orphan is set for a pod whose DaemonSet is missing.
	orphan *Orphan
	// These are together to save memory: there may be very many pods.

	// AtRisk is true for a pod that is lost when its node disappears, as things stand.
	AtRisk bool
	// Obstructs is true for a pod that keeps the drain from finishing, however long
	// the drain waits.
	Obstructs bool
	// counts is true while the pod is held for its rule's DeleteAfter.
	counts bool
	// paced is true for a pod after which the next one of its controller waits.
	paced bool
	// obeyed is true if the pod's Claims count.
	obeyed bool
	// send is how the pod may be sent now.
	send sending
}

// sending says whether a pod may be sent, and what that spends.
type sending uint8

const (
	// hold: not now.
	hold sending = iota
	// freely: no budget is spent.
	freely
	// spending: one disruption of the only budget is spent.
	spending
	// underway: it is being sent, or its outcome is being looked up.
	underway
)

// Stuck is true if the pod has been blocked, or overdue in terminating, for at
// least after.
func (s *PodState) Stuck(now time.Time, after time.Duration) bool {
	since := s.StuckFrom()
	return !since.IsZero() && now.Sub(since) >= s.stuckAfter(after)
}

// StuckFrom is the time from which being stuck is counted: the block's
// beginning, or the end of the grace period. Zero if neither applies.
func (s *PodState) StuckFrom() time.Time {
	switch s.State {
	case Blocked:
		return s.Since
	case Terminating:
		return s.deadline()
	default:
		return time.Time{}
	}
}

// deadline is when the grace period ends; zero for a pod that does not terminate.
func (s *PodState) deadline() time.Time {
	if s.ownDeadline.IsZero() {
		return s.Pod.Deadline
	}
	return s.ownDeadline
}

// Budgets are those that select the pod, sorted by name; none for a pod that no
// budget applies to.
func (s *PodState) Budgets() []*Budget {
	list := make([]*Budget, len(s.budgets))
	for i, b := range s.budgets {
		list[i] = b.Budget
	}
	return list
}

// leaves is true for a pod that terminates, whoever waits for it.
func (s *PodState) leaves() bool { return s.State == Terminating || s.State == UnconfirmedPod }

// throttled is true for a pod that waits because the API server throttles evictions.
func (s *PodState) throttled() bool { return s.State == Blocked && s.Reason == Throttled }

// BlockedBy are the budgets that block the pod, sorted by name; none if
// something else does, or nothing.
func (s *PodState) BlockedBy() []*Budget {
	if s.State != Blocked || !s.Reason.byBudget() {
		return nil
	}
	return s.Budgets()
}

// Explanation says, for people, what holds the pod up.
func (s *PodState) Explanation() string { return s.explanation() }
