package plan

import "time"

// Entry is a pod of a watched node and what is remembered of it.
type Entry struct {
	*Pod
	Memory PodMemory

	// matched are the places of the budgets that select the pod, in the list
	// of the epoch; no list has the epoch 0.
	matched      []int
	matchedEpoch uint64
	// seen is the number of the observation that last found the pod there.
	seen int
}

// ownDeadline is when the grace period of a pod that terminates ends, by the clock of
// this process; zero if it did not see the pod begin to terminate. What the API
// server wrote is by its own clock, which may be minutes away.
func (e *Entry) ownDeadline() time.Time {
	if e.Deadline.IsZero() || e.Memory.LeavingSince.IsZero() {
		return time.Time{}
	}
	return e.Memory.LeavingSince.Add(e.Grace)
}

// Match finds the budgets that select each pod, for Make, which has to find
// them itself for pods that are not matched. Only the owner of the entries may call
// it. A pod is matched again only after its labels or the selectors in
// its namespace have changed.
func Match(pods map[string][]*Entry, budgets map[string]NamespaceBudgets) {
	for _, list := range pods {
		// Pods come sorted: mostly the namespace is that of the pod before.
		namespace, in := "", budgets[""]
		for _, e := range list {
			if e.Namespace != namespace {
				namespace, in = e.Namespace, budgets[e.Namespace]
			}
			if e.matchedEpoch != in.Epoch {
				e.matched, e.matchedEpoch = placesOf(e.Labels, in.List), in.Epoch
			}
		}
	}
}

// placesOf is where in the list the budgets are that select the labels.
func placesOf(pod Labels, list []BudgetView) []int {
	var places []int
	for i := range list {
		if list[i].Selector.Matches(pod) {
			places = append(places, i)
		}
	}
	return places
}

// PodMemory is what is remembered of a target.
type PodMemory struct {
	// FirstSeen is when this process first saw the pod.
	FirstSeen time.Time
	// TargetSince is since when the pod has been a target, as far as is known:
	// FirstSeen, or earlier if a previous process wrote that down.
	TargetSince time.Time
	// BlockedSince is since when the pod is blocked; zero if it is not.
	BlockedSince time.Time
	// BlockedBy is what blocked it last.
	BlockedBy Reason
	// HeldSince is since when budgets, and nothing else, hold a pod whose rule says
	// DeleteAfter; zero if they do not. Each process counts for itself.
	HeldSince time.Time

	// LeavingSince is when this process saw the pod begin to terminate; zero if it
	// did not.
	LeavingSince time.Time

	// tries is nil until something is known of the pod's evictions. It saves memory: very
	// many pods may wait to be sent. What it points to is never changed.
	tries *Tries
	// Deletion is the event to report once it is known that the pod was deleted
	// past its budgets; nil if that was not tried.
	Deletion *PodDeleted
	// Orphan is set once the pod's DaemonSet was missing.
	Orphan *Orphan
	// These are together to save memory: there may be very many pods.

	// Target is true once a plan has found that the pod has to leave.
	Target bool
	// Late is true for a pod that came after the cordon of its node was seen.
	Late bool
	// Paced is true for a pod that no budget selects and whose controller loses
	// something while it leaves.
	Paced bool
	// ConfirmedGone is true if the server said that the pod is not there.
	ConfirmedGone bool
	// ToldBlocked, ToldStuck and ToldIgnored say which events have been written.
	ToldBlocked, ToldStuck, ToldIgnored bool
}

// Tries is what is known of the evictions of one pod that were sent.
type Tries struct {
	// Outcome is the last refusal, zero if there was none.
	Outcome Outcome
	// Refusals counts answers that were not an admission, in a row.
	Refusals int
	// RetryAt is when it may be sent again.
	RetryAt time.Time
	// RefusedVersions are the resourceVersions that the pod's budgets had when
	// it was refused.
	RefusedVersions string
	// RefusedBudgets is the set of budgets for which the server has already
	// answered that they are too many.
	RefusedBudgets string

	// SentAt is when the eviction was last sent, of those that were answered.
	SentAt time.Time
	// AdmittedAt is when the API server admitted the eviction.
	AdmittedAt time.Time
	// Uncertain is true while the outcome of the eviction is unknown.
	Uncertain bool
	// LookupAt is when to look the pod up next; zero for never.
	LookupAt time.Time
	// LookupsLeft is how many more lookups have to find the pod before it
	// counts as not evicted.
	LookupsLeft int
}

// Tries is what is known of the pod's evictions.
func (m *PodMemory) Tries() Tries {
	if m.tries == nil {
		return Tries{}
	}
	return *m.tries
}

// with is m with what is known of the pod's evictions now.
func (m PodMemory) with(t Tries) PodMemory {
	m.tries = &t
	return m
}

// uncertain is true while nobody knows whether the eviction was admitted.
func (m *PodMemory) uncertain() bool {
	tries := m.Tries()
	return tries.Uncertain && tries.AdmittedAt.IsZero()
}

// staysBlocked is true for a pod that counts as blocked while it is sent once
// more: it was refused before, or is expected to be.
func (m *PodMemory) staysBlocked(probe bool) bool {
	return !m.BlockedSince.IsZero() && (probe || m.Tries().Outcome.Reason != "" || m.restoredRefusal())
}

// restoredRefusal is true for a pod whose eviction the API server refused to a previous
// process, for a reason that only the next answer can confirm, which is still to come.
func (m *PodMemory) restoredRefusal() bool {
	switch m.BlockedBy {
	case Webhook, Evacuating, Forbidden, NamespaceTerminating, ServerError, MultipleBudgets:
		return !m.BlockedSince.IsZero() && m.Tries().SentAt.IsZero()
	default:
		return false
	}
}

// BudgetMemory is what is remembered of a budget that blocks.
type BudgetMemory struct {
	// ProbedAt is when it last refused a stuck pod that was sent under it, HeardAt when
	// such a pod was last refused by it or by a webhook.
	ProbedAt, HeardAt time.Time
	// SeenVersion is the version that the polling interval counts from.
	SeenVersion string
	// PollAt is when to read it although no event came.
	PollAt time.Time
	// Polls counts the reads since the last event.
	Polls int
	// Forced is the last deletion past it.
	Forced Forced
}
