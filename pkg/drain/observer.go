package drain

import (
	"time"

	"drainer.dev/drainer/pkg/plan"
)

// Observer is notified of everything that happens. Its methods are called from
// several goroutines and must not block.
type Observer interface {
	// Answered: the API server answered an eviction.
	Answered(o plan.Outcome, took time.Duration)
	// PodAdmitted: a pod that was blocked by reason has been admitted, after it
	// had been a target for the time.
	PodAdmitted(reason plan.Reason, waited time.Duration)
	// PodDeleted: a pod that a budget held for the reason was deleted past it.
	PodDeleted(reason plan.Reason)
	// PodGone: an admitted pod is gone, after terminating for the time.
	PodGone(terminating time.Duration)
	// Planned: a plan was made and published, which took the time.
	Planned(took time.Duration)
	// DrainEnded: a drain that had begun came to its end.
	DrainEnded(result plan.Result, took time.Duration)
}
