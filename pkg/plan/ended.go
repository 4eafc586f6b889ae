package plan

import (
	"time"

	"drainer.dev/drainer/pkg/api"
)

// DrainEnded: a drain that had begun came to its end. A request has one end.
type DrainEnded struct {
	Node    *Node
	Request string
	// RequestedBy and Reason are what the request claimed last.
	RequestedBy, Reason             string
	RequestedAt, StartedAt, EndedAt time.Time
	Result                          Result
	// Took does not count the time queued or paused.
	Took time.Duration
	// Gone are the pods that have left, Deletions those deleted past budgets.
	Gone      int
	Deletions []api.Deletions
	Worst     WorstBlocker
}

func (DrainEnded) event() {}

// WorstBlocker is what blocked a pod of a drain for the longest time. A process
// that takes over begins with what is blocked then.
type WorstBlocker struct {
	// Pod is namespace/name, Budget those of its budgets, separated by commas.
	Pod, Budget string
	Reason      Reason
	For         time.Duration
}

// worse is w, or the pod that is blocked longest if that has been for longer.
func (w WorstBlocker) worse(pods []PodState, now time.Time) WorstBlocker {
	for i := range pods {
		s := &pods[i]
		if s.State != Blocked || now.Sub(s.Since) <= w.For || s.Reason == BudgetUnsynced && w.Pod == s.Pod.Key() {
			// A budget that is being computed again is not what the pod waited for.
			continue
		}
		w = WorstBlocker{Pod: s.Pod.Key(), Budget: budgetNames(s.budgets), Reason: s.Reason, For: now.Sub(s.Since)}
	}
	return w
}

// end is the event of a drain that has ended at the time.
func (m NodeMemory) end(result Result, took time.Duration, now time.Time) DrainEnded {
	// The node is as it was when the request was last planned.
	request, _, _ := api.RequestOf(m.Node.Annotations)
	return DrainEnded{
		Node: m.Node, Request: m.Request, RequestedBy: request.RequestedBy, Reason: request.Reason,
		RequestedAt: m.RequestedAt, StartedAt: m.StartedAt, EndedAt: now,
		Result: result, Took: took, Gone: m.Gone, Deletions: deletionsOf(m.Deletions), Worst: m.Worst,
	}
}

// ended is the event of a drain that began and ends before it was done.
func (m NodeMemory) ended(result Result, now time.Time) []Event {
	if !m.started() || m.Result != "" || m.Node == nil {
		return nil
	}
	return []Event{m.end(result, m.active(now), now)}
}
