package plan

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// NodeMemory is what is remembered of a node with a request. The first block
// is durable: it is read from the status annotation after a restart.
type NodeMemory struct {
	Request     string
	RequestedAt time.Time
	StartedAt   time.Time
	FinishedAt  time.Time
	PausedAt    time.Time
	PausedFor   time.Duration
	// ReleasedAt is when the drain timed out and released the node. The request
	// has come to its end then, whatever its annotations say later.
	ReleasedAt time.Time
	// Deletions count the pods deleted past their budgets, by the budgets' names.
	Deletions map[string]int
	// Gone counts the targets that have left.
	Gone int
	// Held is the request that was removed while others hold the node; empty of a
	// node with a request.
	Held string
	// Worst is what has blocked a pod longest, as far as this process has seen.
	Worst WorstBlocker
	// Phase is the phase in the previous plan, or in the previous process.
	Phase api.Phase
	// Result is how the request ended; empty until it has. It is set once.
	Result Result
	// DryRun is not nil for a request that is a dry run.
	DryRun *DryRun

	// HeldSlot is true if the node counted against --max-draining in the plan
	// before.
	HeldSlot bool
	// Node is the node as it was last planned.
	Node *Node
	// Counted is true once the node's pods have been counted by this process.
	Counted bool
	// CordonSeen is since when our own cordon has been seen on the node.
	CordonSeen time.Time
	// Uncordons counts how often somebody else removed the cordon.
	Uncordons int
	// RecordonAt is when the cordon is restored.
	RecordonAt time.Time
	// IdleSince is since when nothing terminates and nothing can be sent.
	IdleSince time.Time
	// OverdueSince is since when the drain waits only for pods that are past their grace
	// periods, or will be then; zero while something else happens.
	OverdueSince time.Time
	// GrantedAt is when a budget's disruption was last granted to the node.
	GrantedAt time.Time
	// RetryConfirmAt is when the last check before Drained may be repeated.
	RetryConfirmAt time.Time
	// Trouble is why a step at the node failed; empty once nothing is
	// left to be done at it.
	Trouble string
	// Returns counts, by controller, the pods that came back and were evicted.
	Returns map[types.UID]Return
	// Written is what this process last wrote to the Node.
	Written Written
	// Conflict says which conditions of the Node others own, so that they are not
	// written; empty if none.
	Conflict string
	// Volumes is what is known of volumes once the targets are gone. Since and
	// Attached are durable.
	Volumes Volumes
	// Foreseen are the pods of a waiting node that could not leave according to the last
	// list of its pods; ForeseenAt is when that list was made.
	Foreseen   []*Entry
	ForeseenAt time.Time
	// ToldUnfinishable is true once it was told that the drain cannot finish.
	ToldUnfinishable bool
	// ToldVerdicts is true once the verdicts of a dry run have been told.
	ToldVerdicts bool

	// restored is what the previous process wrote about the pods.
	restored restored
}

// Return is how often pods of one controller came to a cordoned node and were
// evicted, and when the last of these evictions was sent and admitted: a pod that
// is seen in between has taken the evicted one's place.
type Return struct {
	Count              int
	SentAt, AdmittedAt time.Time
}

// evicted is r after a late pod was evicted. Pods that came together, such as
// bindings in flight at the cordon, count once.
func (r Return) evicted(pod *PodMemory) Return {
	if pod.FirstSeen.After(r.SentAt) {
		r.Count++
	}
	tries := pod.Tries()
	r.SentAt, r.AdmittedAt = tries.SentAt, tries.AdmittedAt
	return r
}

// delay is how long the next pod that comes back has to wait.
func (r Return) delay() time.Duration { return doubled(returnDelay, r.Count-1, returnDelayMost) }

const (
	returnDelay     = 10 * time.Second
	returnDelayMost = 5 * time.Minute
)

// doubled is first, doubled the given number of times, at most most.
func doubled(first time.Duration, times int, most time.Duration) time.Duration {
	d := min(first, most)
	for range times {
		d = min(2*d, most)
	}
	return d
}

// nodeMemoryOf is what is remembered of a node for the request with the ID.
// known is false for a node of which this process remembers nothing.
func nodeMemoryOf(node *Node, id string, memory NodeMemory, known bool, now time.Time) NodeMemory {
	if known && memory.Request == id {
		return memory
	}
	if !known {
		status, err := api.ParseStatus(node.Annotations[api.StatusAnnotation])
		switch {
		case err != nil:
		case status.Request == id:
			return restore(node, status)
		default:
			memory = restore(node, status)
		}
	}
	done := !memory.FinishedAt.IsZero() || node.saysDrained(memory.Request)
	return memory.superseded(id, done, now)
}

// superseded is the memory of a new request on a node that has had another, which was
// done or not. A drain that was under way keeps its slot and its place in the queue:
// the node is out of service already.
func (m NodeMemory) superseded(id string, done bool, now time.Time) NodeMemory {
	next := NodeMemory{Request: id, RequestedAt: now, Written: m.Written, Counted: true, Conflict: m.Conflict}
	if m.Request == "" || done || m.DryRun != nil || m.released() {
		return next
	}
	next.RequestedAt = cmp.Or(m.RequestedAt, now)
	if m.HeldSlot {
		next.StartedAt, next.CordonSeen, next.HeldSlot = now, m.CordonSeen, true
		next.Counted, next.restored = m.Counted, restored{blocked: m.restored.blocked, more: m.restored.more}
		next.Uncordons, next.RecordonAt, next.Returns, next.GrantedAt = m.Uncordons, m.RecordonAt, m.Returns, m.GrantedAt
	}
	return next
}

// reopened is m of a drain that was complete and no longer is. The time in
// between does not count.
func (m NodeMemory) reopened(now time.Time) NodeMemory {
	if !m.FinishedAt.IsZero() {
		m.PausedFor += now.Sub(m.FinishedAt)
		m.FinishedAt = time.Time{}
	}
	return m
}

// started is true once the node was chosen to be cordoned and drained.
func (m NodeMemory) started() bool { return !m.StartedAt.IsZero() }

// released is true once the drain has timed out and released the node.
func (m NodeMemory) released() bool { return !m.ReleasedAt.IsZero() }

// working is true for a drain that was begun and keeps the node out of service.
func (m NodeMemory) working() bool { return m.started() && !m.released() }

// active is how long the drain has been under way, not counting pauses.
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

// paused is m with its clock stopped or running. The clock of a drain that is
// done is stopped in any case.
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

// noProgressSince is since when the drain makes no progress; zero if it does.
func (n NodeMemory) noProgressSince() time.Time {
	if n.IdleSince.IsZero() {
		return n.OverdueSince
	}
	return n.IdleSince
}
