package drain

import (
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// record is the log's record of a drain that has ended, as JSON in either
// format of the log. Fields are added, and never renamed or removed.
type record struct {
	Version       int             `json:"version"`
	Request       string          `json:"request"`
	RequestedBy   string          `json:"requestedBy,omitempty"`
	RequestReason string          `json:"requestReason,omitempty"`
	Node          string          `json:"node"`
	UID           string          `json:"uid"`
	ProviderID    string          `json:"providerID,omitempty"`
	Pool          string          `json:"pool,omitempty"`
	RequestedAt   *time.Time      `json:"requestedAt,omitempty"`
	StartedAt     time.Time       `json:"startedAt"`
	EndedAt       time.Time       `json:"endedAt"`
	Result        plan.Result     `json:"result"`
	ActiveSeconds float64         `json:"activeSeconds"`
	PodsGone      int             `json:"podsGone"`
	Deletions     []api.Deletions `json:"deletions,omitempty"`
	WorstBlocker  *worstBlocker   `json:"worstBlocker,omitempty"`
}

type worstBlocker struct {
	Pod     string      `json:"pod"`
	Reason  plan.Reason `json:"reason"`
	Budget  string      `json:"budget,omitempty"`
	Seconds float64     `json:"seconds"`
}

func recordOf(e *plan.DrainEnded) record {
	r := record{
		Version: 1, Request: e.Request, RequestedBy: e.RequestedBy, RequestReason: e.Reason,
		Node: e.Node.Name, UID: string(e.Node.UID), ProviderID: e.Node.ProviderID, Pool: e.Node.PoolName(),
		StartedAt: wholeSecond(e.StartedAt), EndedAt: wholeSecond(e.EndedAt),
		Result: e.Result, ActiveSeconds: e.Took.Round(time.Millisecond).Seconds(), PodsGone: e.Gone, Deletions: e.Deletions,
	}
	if !e.RequestedAt.IsZero() {
		at := wholeSecond(e.RequestedAt)
		r.RequestedAt = &at
	}
	if w := e.Worst; w.Pod != "" {
		r.WorstBlocker = &worstBlocker{Pod: w.Pod, Reason: w.Reason, Budget: w.Budget, Seconds: w.For.Round(time.Second).Seconds()}
	}
	return r
}

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
