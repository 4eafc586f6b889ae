package api

import (
	"encoding/json"
	"fmt"
	"time"
)

// StatusVersion is the version of Status that this package writes.
const StatusVersion = 1

// MaxStatusBytes bounds the status annotation.
const MaxStatusBytes = 4096

// MaxBlockers bounds Status.Blockers.
const MaxBlockers = 10

// Status is what the status annotation says to programs. It is also drainer's
// only durable memory of a request.
type Status struct {
	Version int    `json:"version"`
	Request string `json:"request"`
	Phase   Phase  `json:"phase"`
	// Reason is the reason of the worst blocker, empty if nothing is blocked
	// or stuck.
	Reason string `json:"reason,omitempty"`
	// RequestedAt is when the request was first seen: the queue's order.
	RequestedAt *time.Time `json:"requestedAt,omitempty"`
	// StartedAt is when the drain began, absent while it is queued.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	// FinishedAt is when the node was found drained.
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// PausedAt is when the present pause began.
	PausedAt *time.Time `json:"pausedAt,omitempty"`
	// PausedSeconds is how long earlier pauses lasted; the timeout does not
	// count them.
	PausedSeconds int64     `json:"pausedSeconds,omitempty"`
	Pods          PodCounts `json:"pods"`
	// Blockers are the pods that hold the drain up, oldest first, at most
	// MaxBlockers.
	Blockers []Blocker `json:"blockers,omitempty"`
}

// PodCounts counts a node's pods by state. The states are disjoint.
type PodCounts struct {
	Wanted      int `json:"wanted"`
	Blocked     int `json:"blocked"`
	Terminating int `json:"terminating"`
	Gone        int `json:"gone"`
	Left        int `json:"left"`
}

// Remaining is the number of pods that still have to leave.
func (c PodCounts) Remaining() int { return c.Wanted + c.Blocked + c.Terminating }

// Blocker is one pod that holds a drain up.
type Blocker struct {
	// Pod is namespace/name.
	Pod string `json:"pod"`
	// State is "blocked" or "terminating".
	State string `json:"state"`
	// Reason is one of the reasons of a blocked or terminating pod.
	Reason string `json:"reason"`
	// Budget is the PodDisruptionBudget, or several parted by commas.
	Budget string `json:"budget,omitempty"`
	// Message says more, for people.
	Message string `json:"message,omitempty"`
	// Since is when the pod began to be in this state.
	Since time.Time `json:"since"`
}

// Format renders the status within MaxStatusBytes: first messages are cut,
// then the youngest blockers are left out. Times are cut to whole seconds.
func (s Status) Format() string {
	s.Version = StatusVersion
	s.RequestedAt, s.StartedAt = wholeSecond(s.RequestedAt), wholeSecond(s.StartedAt)
	s.FinishedAt, s.PausedAt = wholeSecond(s.FinishedAt), wholeSecond(s.PausedAt)
	blockers := make([]Blocker, 0, MaxBlockers)
	for _, b := range s.Blockers[:min(len(s.Blockers), MaxBlockers)] {
		b.Since = b.Since.UTC().Truncate(time.Second)
		blockers = append(blockers, b)
	}
	s.Blockers = blockers
	for {
		text, err := json.Marshal(s)
		if err != nil {
			// Status holds only strings, numbers and times in the years that
			// JSON can write.
			panic(fmt.Sprintf("status does not marshal: %v", err))
		}
		if len(text) <= MaxStatusBytes {
			return string(text)
		}
		s.Blockers = shortened(s.Blockers)
	}
}

// shortened takes the next thing away that the status can do without.
func shortened(blockers []Blocker) []Blocker {
	for i := range blockers {
		if blockers[i].Message != "" {
			for j := range blockers {
				blockers[j].Message = ""
			}
			return blockers
		}
	}
	return blockers[:len(blockers)-1]
}

func wholeSecond(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	cut := t.UTC().Truncate(time.Second)
	return &cut
}

// ParseStatus reads a status annotation. It fails for text that is not a
// Status and for versions it does not know.
func ParseStatus(text string) (Status, error) {
	var s Status
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Status{}, fmt.Errorf("reading %s: %w", StatusAnnotation, err)
	}
	if s.Version != StatusVersion {
		return Status{}, fmt.Errorf("reading %s: version %d is not known, expected %d", StatusAnnotation, s.Version, StatusVersion)
	}
	return s, nil
}
