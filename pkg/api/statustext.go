package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxStatusBytes bounds the status annotation.
const MaxStatusBytes = 4096

// Format renders the status within MaxStatusBytes, whatever is in it: first
// messages are cut, then the youngest blockers are counted instead of listed.
// Times are cut to whole seconds.
func (s Status) Format() string {
	s = s.writable()
	for len(s.Blockers) > MaxBlockers {
		s.countLast()
	}
	for {
		text, err := json.Marshal(s)
		if err != nil {
			// Status holds only strings, numbers and writable times.
			panic(fmt.Sprintf("status does not marshal: %v", err))
		}
		if len(text) <= MaxStatusBytes {
			return string(text)
		}
		s.shorten()
	}
}

// writable is s of this version, with times that can be written. What is behind a
// pointer or in a list is copied first.
func (s Status) writable() Status {
	s.Version = StatusVersion
	s.RequestedAt, s.StartedAt = wholeSecond(s.RequestedAt), wholeSecond(s.StartedAt)
	s.FinishedAt, s.PausedAt, s.IdleSince = wholeSecond(s.FinishedAt), wholeSecond(s.PausedAt), wholeSecond(s.IdleSince)
	if s.Deadline != nil {
		deadline := *s.Deadline
		deadline.At = writable(deadline.At)
		s.Deadline = &deadline
	}
	if s.Verdicts != nil {
		verdicts := *s.Verdicts
		verdicts.At = wholeSecond(verdicts.At)
		s.Verdicts = &verdicts
	}
	s.ReleasedAt = wholeSecond(s.ReleasedAt)
	if s.Volumes != nil {
		volumes := *s.Volumes
		volumes.Since = writable(volumes.Since)
		s.Volumes = &volumes
	}
	s.Blockers, s.MoreBlockers = slices.Clone(s.Blockers), slices.Clone(s.MoreBlockers)
	for i := range s.Blockers {
		s.Blockers[i].Since = writable(s.Blockers[i].Since)
	}
	for i := range s.MoreBlockers {
		s.MoreBlockers[i].Since = writable(s.MoreBlockers[i].Since)
	}
	return s
}

// shorten drops the least important part that the status still has.
func (s *Status) shorten() {
	messages := false
	for i := range s.Blockers {
		messages = messages || s.Blockers[i].Message != ""
		s.Blockers[i].Message = ""
	}
	switch {
	case messages:
	case s.Volumes != nil && s.Volumes.Message != "":
		// Format has made a copy.
		s.Volumes.Message = ""
	case len(s.Warnings) > 0:
		s.Warnings = nil
	case len(s.CannotFinish) > 1:
		s.CannotFinish = s.CannotFinish[:len(s.CannotFinish)-1]
	case len(s.Blockers) < 2 && len(s.CannotFinish) > 0:
		s.CannotFinish = nil
	case len(s.Blockers) < 2 && s.RequestedBy+s.RequestReason != "":
		s.RequestedBy, s.RequestReason = "", ""
	case len(s.Blockers) > 0:
		s.countLast()
	case len(s.Deletions) > 1 || len(s.Deletions) == 1 && s.Deletions[0].Budget != otherBudgets:
		s.Deletions = foldLast(s.Deletions)
	default:
		s.strip()
	}
}

// strip keeps only what a drain needs to continue. Only a status that somebody
// has edited is still too long here.
func (s *Status) strip() {
	s.MoreBlockers, s.Pool, s.Reason, s.Result = nil, "", "", ""
	s.Request, s.Phase = shortened(s.Request), Phase(shortened(string(s.Phase)))
}

func shortened(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), MaxIDBytes)], "")
}

// countLast counts the last blocker instead of listing it.
func (s *Status) countLast() {
	last := s.Blockers[len(s.Blockers)-1]
	s.Blockers = s.Blockers[:len(s.Blockers)-1]
	if last.State != BlockedState {
		return
	}
	at, found := slices.BinarySearchFunc(s.MoreBlockers, last.Reason, func(m MoreBlockers, reason string) int {
		return strings.Compare(m.Reason, reason)
	})
	if !found {
		s.MoreBlockers = slices.Insert(s.MoreBlockers, at, MoreBlockers{Reason: last.Reason, Since: writable(last.Since)})
	}
	m := &s.MoreBlockers[at]
	m.Count++
	if last.Since.After(m.Since) {
		m.Since = writable(last.Since)
	}
}

// otherBudgets stands for budgets that Deletions does not name.
const otherBudgets = "others"

// foldLast counts the last two of a list as one, and does not name the last.
func foldLast(list []Deletions) []Deletions {
	list = slices.Clone(list)
	if n := len(list) - 1; n > 0 {
		list[n-1].Count += list[n].Count
		list = list[:n]
	}
	list[len(list)-1].Budget = otherBudgets
	return list
}

func wholeSecond(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	cut := writable(*t)
	return &cut
}

// writable is a time in whole seconds, within the years that JSON can
// represent: a time that was read can be in another year in its own time zone
// than in UTC.
func writable(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	switch {
	case t.Year() < 0:
		return time.Date(0, time.January, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 9999:
		return time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	default:
		return t
	}
}

// ParseStatus reads a status annotation. It fails for text that is not a
// Status, or longer than any, and for versions it does not know.
func ParseStatus(text string) (Status, error) {
	if len(text) > MaxStatusBytes {
		return Status{}, fmt.Errorf("reading %s: it is %d bytes long, expected at most %d", StatusAnnotation, len(text), MaxStatusBytes)
	}
	var s Status
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Status{}, fmt.Errorf("reading %s: %w", StatusAnnotation, err)
	}
	if s.Version != StatusVersion {
		return Status{}, fmt.Errorf("reading %s: version %d is not known, expected %d", StatusAnnotation, s.Version, StatusVersion)
	}
	return s, nil
}
