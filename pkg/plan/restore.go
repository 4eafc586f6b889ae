package plan

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// restoredBlock is what the previous process wrote about a blocked pod.
type restoredBlock struct {
	since  time.Time
	reason Reason
}

// restored is what a process wrote about the pods of a node, for the next one.
type restored struct {
	// blocked is since when pods were blocked, and by what, by key.
	blocked map[string]restoredBlock
	// more are the blocked pods that were only counted, by reason.
	more map[Reason]api.MoreBlockers
	// idleSince is since when the drain made no progress.
	idleSince time.Time
	// remaining is how many targets were still there; those that are missing when the pods
	// are first counted have gone since.
	remaining int
}

// restore is the memory of a request that another process wrote down.
func restore(node *Node, status api.Status) NodeMemory {
	r := restored{
		blocked: map[string]restoredBlock{}, more: map[Reason]api.MoreBlockers{}, idleSince: timeOf(status.IdleSince), remaining: status.Pods.Present(),
	}
	for _, b := range status.Blockers {
		if b.State == api.BlockedState {
			r.blocked[b.Pod] = restoredBlock{b.Since, Reason(b.Reason)}
		}
	}
	for _, more := range status.MoreBlockers {
		r.more[Reason(more.Reason)] = more
	}
	memory := NodeMemory{
		Deletions:   countsOf(status.Deletions),
		Request:     status.Request,
		RequestedAt: timeOf(status.RequestedAt),
		StartedAt:   timeOf(status.StartedAt),
		FinishedAt:  timeOf(status.FinishedAt),
		PausedAt:    timeOf(status.PausedAt),
		ReleasedAt:  timeOf(status.ReleasedAt),
		PausedFor:   time.Duration(status.PausedSeconds) * time.Second,
		Gone:        status.Pods.Gone,
		Phase:       status.Phase,
		Result:      Result(status.Result),
		HeldSlot:    heldSlot(node, status),
		restored:    r,
	}
	if v := status.Volumes; v != nil {
		memory.Volumes.Since, memory.Volumes.Attached = v.Since, v.Attached
	}
	memory.ToldUnfinishable = len(status.CannotFinish) > 0
	if status.Verdicts != nil {
		memory.DryRun = &DryRun{Verdicts: *status.Verdicts, Kept: status.Blockers, More: status.MoreBlockers}
		memory.ToldVerdicts = status.Verdicts.At != nil
	}
	return memory
}

// heldSlot is true if a drain held a slot in the previous process, as the Node
// says. The Node does not say that of an invalid request: if in doubt, it counts.
func heldSlot(node *Node, status api.Status) bool {
	if status.StartedAt == nil || status.FinishedAt != nil {
		return false
	}
	return node.InProgress.Status == corev1.ConditionTrue || status.Phase == api.InvalidRequest
}

// blockedSince is since when a pod of the node's first list has been blocked
// for the reason, if the previous process counted such pods without naming them.
// It takes one of them.
func (r *restored) blockedSince(reason Reason) (time.Time, bool) {
	more, counted := r.more[reason]
	if !counted || more.Count < 1 {
		return time.Time{}, false
	}
	more.Count--
	// Plans share the map: it is replaced and not changed.
	r.more = maps.Clone(r.more)
	r.more[reason] = more
	return more.Since, true
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
