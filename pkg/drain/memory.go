package drain

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// NodeMemory is what is remembered of a node with a request. The first block
// is durable: it is read back from the status annotation after a restart.
type NodeMemory struct {
	Request     string
	RequestedAt time.Time
	StartedAt   time.Time
	FinishedAt  time.Time
	PausedAt    time.Time
	PausedFor   time.Duration
	// Gone counts the wanted pods that have left.
	Gone int
	// Phase is the phase of the plan before, or of the process before.
	Phase api.Phase

	// recalled says since when pods were blocked, by key, as the process
	// before wrote it.
	recalled map[string]time.Time
	// before is how many pods remained when the process before last wrote;
	// those missing at the first look have gone meanwhile.
	before int
	looked bool

	// CordonSeen is since when the node is seen unschedulable by our wish.
	CordonSeen time.Time
	// Uncordons counts how often somebody else took the cordon away.
	Uncordons int
	// RecordonAt is when the cordon is put back.
	RecordonAt time.Time
	// IdleSince is since when nothing terminates and nothing can be sent.
	IdleSince time.Time
	// GrantedAt is when a budget's disruption was last given to the node.
	GrantedAt time.Time
	// RetryConfirmAt is when the last look before Drained may be repeated.
	RetryConfirmAt time.Time
	// Instructed is true while a wanted pod has an annotation that is not
	// carried out.
	Instructed bool
	// Trouble is why the node could not be written to; empty if it could.
	Trouble string
	// CountedFinish and CountedTimeout say which ends have been counted.
	CountedFinish  time.Time
	CountedTimeout bool
	// Returns counts, by controller, the pods that came back and were evicted.
	Returns map[types.UID]Return
}

// Return is how often pods of one controller came to a cordoned node and were
// evicted, and when last.
type Return struct {
	Count int
	Last  time.Time
}

// late is true for a pod that came after the cordon was seen.
func (m NodeMemory) late(pod *PodMemory) bool {
	return !m.CordonSeen.IsZero() && pod.FirstSeen.After(m.CordonSeen)
}

// evicted is r after a pod that had come late was evicted. Pods that came
// together, such as bindings in flight at the cordon, count once.
func (r Return) evicted(pod *PodMemory, at time.Time) Return {
	if pod.FirstSeen.After(r.Last) {
		r.Count++
	}
	r.Last = at
	return r
}

// delay is how long the next pod that comes back has to wait.
func (r Return) delay() time.Duration { return doubled(returnDelay, r.Count-1, returnDelayMost) }

const (
	returnDelay     = 10 * time.Second
	returnDelayMost = 5 * time.Minute
)

// doubled is first, doubled times times, at most most.
func doubled(first time.Duration, times int, most time.Duration) time.Duration {
	d := first
	for range times {
		if d >= most {
			return most
		}
		d *= 2
	}
	return min(d, most)
}

// recall is the memory of a request that another process wrote down.
func recall(n *Node, id string) (NodeMemory, bool) {
	status, err := api.ParseStatus(n.Annotations[api.StatusAnnotation])
	if err != nil || status.Request != id {
		return NodeMemory{}, false
	}
	recalled := map[string]time.Time{}
	for _, b := range status.Blockers {
		if b.State == string(BlockedPod) {
			recalled[b.Pod] = b.Since
		}
	}
	m := NodeMemory{
		Request:     id,
		RequestedAt: timeOf(status.RequestedAt),
		StartedAt:   timeOf(status.StartedAt),
		FinishedAt:  timeOf(status.FinishedAt),
		PausedAt:    timeOf(status.PausedAt),
		PausedFor:   time.Duration(status.PausedSeconds) * time.Second,
		Gone:        status.Pods.Gone,
		Phase:       status.Phase,
		before:      status.Pods.Remaining(),
		recalled:    recalled,

		CountedTimeout: status.Phase == api.TimedOut,
	}
	m.CountedFinish = m.FinishedAt
	return m, true
}

// reopened is m of a drain that was done and is not any more. The time in
// between does not count.
func (m NodeMemory) reopened(now time.Time) NodeMemory {
	if !m.FinishedAt.IsZero() {
		m.PausedFor += now.Sub(m.FinishedAt)
		m.FinishedAt = time.Time{}
	}
	return m
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// started is true once the node was chosen to be cordoned and drained.
func (m NodeMemory) started() bool { return !m.StartedAt.IsZero() }

// active is how long the drain has been going on, pauses not counted.
func (m NodeMemory) active(now time.Time) time.Duration {
	if !m.started() {
		return 0
	}
	end := now
	if !m.PausedAt.IsZero() {
		end = m.PausedAt
	}
	return end.Sub(m.StartedAt) - m.PausedFor
}

// paused is m with its clock stopped or going on. The clock of a drain that is
// done stands still anyway.
func (m NodeMemory) paused(yes bool, now time.Time) NodeMemory {
	switch {
	case !m.started() || !m.FinishedAt.IsZero():
	case yes && m.PausedAt.IsZero():
		m.PausedAt = now
	case !yes && !m.PausedAt.IsZero():
		m.PausedFor += now.Sub(m.PausedAt)
		m.PausedAt = time.Time{}
	}
	return m
}

// PodMemory is what is remembered of a wanted pod.
type PodMemory struct {
	Pod       *Pod
	FirstSeen time.Time
	// BlockedSince is since when the pod is blocked; zero if it is not.
	BlockedSince time.Time
	// BlockedBy is what blocked it last.
	BlockedBy Reason

	// Outcome is the last refusal, zero if there was none.
	Outcome Outcome
	// RetryAt is when it may be sent again.
	RetryAt time.Time
	// Refusals counts answers that were not an admission, in a row.
	Refusals int
	// RefusedVersions is how the pod's budgets looked when it was refused.
	RefusedVersions string
	// AskedSets is the set of budgets for which the server has already said
	// that they are too many.
	AskedSets string

	// AdmittedAt is when the API server admitted the eviction.
	AdmittedAt time.Time
	// LookUp is true while it is unknown what became of the eviction.
	LookUp bool
	// LooksLeft is how many more looks are taken before the pod counts as
	// not evicted.
	LooksLeft int
	// LookAt is when to look next.
	LookAt time.Time
	// ConfirmedGone is true if the server said that the pod is not there.
	ConfirmedGone bool

	// Told says which events have been written.
	ToldBlocked, ToldStuck bool

	// seen is the step that last found the pod there.
	seen int
	// forgotten is true once nothing is to be remembered of it any more.
	forgotten bool
}

// staysBlocked is true for a pod that counts as blocked while it is sent once
// more: it was refused before, or is expected to be.
func (m *PodMemory) staysBlocked(proof bool) bool {
	return !m.BlockedSince.IsZero() && (proof || m.Outcome.Reason != "")
}

// BudgetMemory is what is remembered of a budget that blocks.
type BudgetMemory struct {
	// ProvenAt is when a stuck pod was last really sent.
	ProvenAt time.Time
	// SeenVersion is the version that the polling interval counts from.
	SeenVersion string
	// PollAt is when to look at it without having been told.
	PollAt time.Time
	// Polls counts the looks since the last event.
	Polls int
}
