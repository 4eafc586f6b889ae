package drain

import "time"

// Observer is told what happens, as it happens. Its methods are called from
// several goroutines and must not block.
type Observer interface {
	// Answered: the API server answered an eviction.
	Answered(o Outcome, took time.Duration)
	// PodAdmitted: a pod that was blocked by reason has been admitted, after
	// it had been wanted for the time.
	PodAdmitted(reason Reason, wanted time.Duration)
	// PodGone: an admitted pod is gone, after terminating for the time.
	PodGone(terminating time.Duration)
	// Planned: a plan was made and handed out, which took the time.
	Planned(took time.Duration)
	// DrainEnded: a drain that had begun came to an end.
	DrainEnded(result Ending, took time.Duration)
}

// Ending is how a drain ended. A drain that times out and goes on is counted
// then, and again when it ends.
type Ending string

// The endings of a drain.
const (
	EndedDrained     Ending = "drained"
	EndedCancelled   Ending = "cancelled"
	EndedTimedOut    Ending = "timed_out"
	EndedSuperseded  Ending = "superseded"
	EndedNodeDeleted Ending = "node_deleted"
)

// Endings lists every ending.
func Endings() []Ending {
	return []Ending{EndedDrained, EndedCancelled, EndedTimedOut, EndedSuperseded, EndedNodeDeleted}
}
