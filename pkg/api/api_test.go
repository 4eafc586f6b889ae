package api

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRequestOf(t *testing.T) {
	minutes, seconds := 90*time.Minute, int64(30)
	at := time.Date(2030, 1, 31, 22, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		annotations map[string]string
		want        Request
		asked       bool
	}{
		"nothing":       {nil, Request{}, false},
		"another's":     {map[string]string{"example.com/drain": "x"}, Request{}, false},
		"empty":         {map[string]string{DrainAnnotation: ""}, Request{}, false},
		"false":         {map[string]string{DrainAnnotation: "False"}, Request{}, false},
		"no":            {map[string]string{DrainAnnotation: "NO"}, Request{}, false},
		"off":           {map[string]string{DrainAnnotation: "off"}, Request{}, false},
		"0":             {map[string]string{DrainAnnotation: "0"}, Request{}, false},
		"true":          {map[string]string{DrainAnnotation: "true"}, Request{ID: "true"}, true},
		"an ID":         {map[string]string{DrainAnnotation: "CHG-1"}, Request{ID: "CHG-1"}, true},
		"longest":       {map[string]string{DrainAnnotation: strings.Repeat("x", 128)}, Request{ID: strings.Repeat("x", 128)}, true},
		"settings only": {map[string]string{PausedAnnotation: "nonsense"}, Request{}, false},
		"all settings": {map[string]string{
			DrainAnnotation: "r", PausedAnnotation: "true", NotBeforeAnnotation: "2030-01-31T22:00:00Z", TimeoutAnnotation: "90m",
			OnTimeoutAnnotation: "Stop", GracePeriodAnnotation: "30", PriorityAnnotation: "-7", IgnoreWindowsAnnotation: "true", StatusAnnotation: "{}", DrainedAnnotation: "old",
			DeadlineAnnotation: "2030-01-31T22:02:00Z",
		}, Request{ID: "r", Paused: true, NotBefore: at, Deadline: at.Add(2 * time.Minute), Timeout: &minutes, OnTimeout: Stop, GracePeriod: &seconds, Priority: -7, IgnoreWindows: true}, true},
		"claims": {
			map[string]string{DrainAnnotation: "r", RequestedByAnnotation: " alice\n@example.com\x1b ", ReasonAnnotation: strings.Repeat("ü", 200)},
			Request{ID: "r", RequestedBy: "alice @example.com", Reason: strings.Repeat("ü", 126) + "…"},
			true,
		},
		"no claims":  {map[string]string{DrainAnnotation: "r", RequestedByAnnotation: "", ReasonAnnotation: " "}, Request{ID: "r"}, true},
		"a hold":     {map[string]string{DrainAnnotation: "r", HoldPrefix + "backup": "x"}, Request{ID: "r"}, true},
		"dry run":    {map[string]string{DrainAnnotation: "r", DryRunAnnotation: "true"}, Request{ID: "r", DryRun: true}, true},
		"no dry run": {map[string]string{DrainAnnotation: "r", DryRunAnnotation: "false"}, Request{ID: "r"}, true},
		"not paused": {map[string]string{DrainAnnotation: "r", PausedAnnotation: "false"}, Request{ID: "r"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, asked, err := RequestOf(test.annotations)
			if err != nil || asked != test.asked || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v, %v; want %+v, %v", got, asked, err, test.want, test.asked)
			}
		})
	}
}

// TestRequestOfBadValues: the error names the value, what was expected and how
// to fix it, and nothing but the ID may be acted on.
func TestRequestOfBadValues(t *testing.T) {
	for _, test := range []struct {
		key, value string
		want       []string
	}{
		{PausedAnnotation, "yes", []string{`"yes"`, `"true" or "false"`, "correct or remove"}},
		{PausedAnnotation, "", []string{`""`}},
		{IgnoreWindowsAnnotation, "1", []string{`"1"`, `"true" or "false"`}},
		{NotBeforeAnnotation, "tomorrow", []string{`"tomorrow"`, "RFC 3339", "2030-01-31T22:00:00Z"}},
		{DeadlineAnnotation, "2m", []string{`"2m"`, "RFC 3339", "2030-01-31T22:00:00Z", "correct or remove"}},
		{DeadlineAnnotation, "", []string{`""`}},
		{TimeoutAnnotation, "10", []string{`"10"`, "duration above 0", "90m"}},
		{TimeoutAnnotation, "0s", []string{`"0s"`}},
		{TimeoutAnnotation, "-1m", []string{`"-1m"`}},
		{OnTimeoutAnnotation, "wait", []string{`"wait"`, "Wait, Stop, Release or Delete"}},
		{GracePeriodAnnotation, "0", []string{`"0"`, "at least 1"}},
		{GracePeriodAnnotation, "30s", []string{`"30s"`, "whole number of seconds"}},
		{GracePeriodAnnotation, "99999999999999999999", []string{"whole number of seconds"}},
		{DryRunAnnotation, "ture", []string{`"ture"`, `"true" or "false"`}},
		{PriorityAnnotation, "high", []string{`"high"`, "an integer such as 100"}},
		{PriorityAnnotation, "1.5", []string{`"1.5"`}},
		{PriorityAnnotation, "9999999999", []string{"an integer such as 100"}},
		{"drainer.dev/dryrun", "true", []string{`"drainer.dev/dryrun"`, "not an annotation that drainer knows", DrainAnnotation}},
		{DrainAnnotation, "Ignore", []string{`"Ignore"`, "names an action", "CHG-1234", "remove the annotation"}},
		{DrainAnnotation, "evict", []string{`"evict"`}},
		{DrainAnnotation, "WaitCompleted", []string{`"WaitCompleted"`}},
		{DrainAnnotation, "Block", []string{`"Block"`}},
		{DrainAnnotation, "DELETE", []string{`"DELETE"`}},
		{DrainAnnotation, "Wait", []string{`"Wait"`}},
		{DrainAnnotation, "Stop", []string{`"Stop"`}},
		{DrainAnnotation, "Release", []string{`"Release"`}},
		{DrainAnnotation, strings.Repeat("x", 129), []string{"129 bytes", "at most 128"}},
	} {
		annotations := map[string]string{DrainAnnotation: "r", TimeoutAnnotation: "1m"}
		annotations[test.key] = test.value
		got, asked, err := RequestOf(annotations)
		if err == nil || !asked {
			t.Errorf("%s=%s: asked %v, error %v", test.key, test.value, asked, err)
			continue
		}
		for _, want := range append(test.want, test.key) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s=%s: error %q, want %q in it", test.key, test.value, err, want)
			}
		}
		if got.ID == "" || got.Timeout != nil || len(got.ID) > MaxIDBytes {
			t.Errorf("%s=%s: got %+v, want the ID alone", test.key, test.value, got)
		}
	}
	_, _, err := RequestOf(map[string]string{DrainAnnotation: "r", TimeoutAnnotation: "x", PausedAnnotation: "y"})
	if err == nil || !strings.Contains(err.Error(), PausedAnnotation) || !strings.Contains(err.Error(), TimeoutAnnotation) {
		t.Errorf("error %q does not name both values", err)
	}
}

// TestHoldsOf: every annotation under the prefix holds, whatever its value.
func TestHoldsOf(t *testing.T) {
	got := HoldsOf(map[string]string{
		HoldPrefix + "storage": "rebuilds\nvolumes", HoldPrefix + "backup": "", HoldPrefix + "a": "false",
		DrainAnnotation: "r", "example.com/hold": "x", "xhold.drainer.dev/x": "x",
	})
	if want := []Hold{{"a", "false"}, {"backup", ""}, {"storage", "rebuilds volumes"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("the holds are %v, want %v", got, want)
	}
	if HoldsOf(map[string]string{DrainAnnotation: "r"}) != nil {
		t.Error("a request holds the node")
	}
}

func TestStatus(t *testing.T) {
	at := time.Date(2030, 1, 31, 12, 0, 0, 999, time.FixedZone("X", 3600))
	s := Status{
		Request: "r", Phase: Blocked, Reason: "budget_exhausted", StartedAt: &at, IdleSince: &at, PausedSeconds: 5,
		Pods:     PodCounts{Eligible: 1, Blocked: 2, Terminating: 3, Gone: 4, Ignored: 5},
		Blockers: []Blocker{{Pod: "ns/a", State: "blocked", Reason: "x", Since: at}},
	}
	got, err := ParseStatus(s.Format())
	if err != nil {
		t.Fatal(err)
	}
	if got.Request != "r" || got.Phase != Blocked || !got.StartedAt.Equal(at.Truncate(time.Second)) || !got.IdleSince.Equal(at.Truncate(time.Second)) || got.Pods != s.Pods ||
		got.Version != StatusVersion || len(got.Blockers) != 1 || got.PausedSeconds != 5 || got.FinishedAt != nil {
		t.Errorf("read back %+v", got)
	}
	if n := got.Pods.Remaining(); n != 6 {
		t.Errorf("%d remain, want 6", n)
	}
	for _, bad := range []string{"", "{}", "[]", `{"version":2}`, "x", `{"version":1}` + strings.Repeat(" ", MaxStatusBytes)} {
		if _, err := ParseStatus(bad); err == nil || !strings.Contains(err.Error(), StatusAnnotation) {
			t.Errorf("%q is read with error %v", bad, err)
		}
	}
}

// TestStatusBounds: the annotation never outgrows its bound, and keeps the
// oldest blockers.
func TestStatusBounds(t *testing.T) {
	s := Status{
		Request: strings.Repeat("r", MaxIDBytes), Phase: Blocked,
		RequestedBy: strings.Repeat("<", MaxClaimBytes), RequestReason: strings.Repeat("<", MaxClaimBytes),
	}
	for range 50 {
		s.Blockers = append(s.Blockers, Blocker{
			Pod: strings.Repeat("p", 300), State: "blocked", Reason: "x",
			Budget: strings.Repeat("b", 300), Message: strings.Repeat("\"m", 300),
		})
	}
	s.Blockers[0].Pod = "oldest" + strings.Repeat("p", 300)
	text := s.Format()
	if len(text) > MaxStatusBytes {
		t.Fatalf("%d bytes", len(text))
	}
	got, err := ParseStatus(text)
	if err != nil || len(got.Blockers) == 0 || !strings.HasPrefix(got.Blockers[0].Pod, "oldest") {
		t.Errorf("read back %d blockers, %v", len(got.Blockers), err)
	}
	if len(got.MoreBlockers) != 1 || got.MoreBlockers[0].Count+len(got.Blockers) != 50 {
		t.Errorf("%d blockers are listed and %+v counted, want 50 in all", len(got.Blockers), got.MoreBlockers)
	}
}

// TestStatusEdited: even a status that somebody has edited is written within
// its bound, and keeps what the drain needs to continue.
func TestStatusEdited(t *testing.T) {
	at := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	var many []MoreBlockers
	for i := range 200 {
		many = append(many, MoreBlockers{Reason: strings.Repeat("x", i), Count: 1, Since: at})
	}
	for name, s := range map[string]Status{
		"more blockers":         {Request: "r", StartedAt: &at, MoreBlockers: many},
		"one deletion":          {Request: "r", StartedAt: &at, Deletions: []Deletions{{Budget: strings.Repeat("b", MaxStatusBytes), Count: 3}}},
		"pool and reason":       {Request: "r", StartedAt: &at, Pool: strings.Repeat("p", MaxStatusBytes), Reason: strings.Repeat("x", MaxStatusBytes)},
		"volumes":               {Request: "r", StartedAt: &at, Volumes: &Volumes{Attached: 2, Since: at, Message: strings.Repeat("<", MaxStatusBytes)}},
		"request and phase":     {Request: strings.Repeat("r", MaxStatusBytes), StartedAt: &at, Phase: Phase(strings.Repeat("x", MaxStatusBytes))},
		"what JSON writes long": {Request: strings.Repeat("<", MaxIDBytes), StartedAt: &at, Phase: Phase(strings.Repeat("\x01", MaxStatusBytes))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseStatus(s.Format())
			if err != nil || len(s.Format()) > MaxStatusBytes {
				t.Fatalf("%d bytes, read back with error %v", len(s.Format()), err)
			}
			if got.StartedAt == nil || !got.StartedAt.Equal(at) || !strings.HasPrefix(s.Request, got.Request) || got.Request == "" {
				t.Errorf("read back %+v", got)
			}
			if n := len(s.Deletions); n > 0 && (len(got.Deletions) != 1 || got.Deletions[0].Count != 3) {
				t.Errorf("read back the deletions %+v", got.Deletions)
			}
			if v := got.Volumes; s.Volumes != nil && (v == nil || v.Attached != 2 || !v.Since.Equal(at)) {
				t.Errorf("read back the volumes %+v", v)
			}
		})
	}
}

// TestStatusYears: a time may be in a year in UTC that JSON cannot write.
func TestStatusYears(t *testing.T) {
	for text, want := range map[string]string{
		"0000-01-01T00:00:00+10:00": "0000-01-01T00:00:00Z",
		"9999-12-31T23:59:59-10:00": "9999-12-31T23:59:59Z",
		"2030-01-31T23:59:59-10:00": "2030-02-01T09:59:59Z",
	} {
		s, err := ParseStatus(`{"version":1,"startedAt":"` + text + `","blockers":[{"since":"` + text + `"}],"moreBlockers":[{"since":"` + text + `"}],"volumes":{"since":"` + text + `"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if written := s.Format(); strings.Count(written, want) != 4 {
			t.Errorf("%s is written as %s, want %s four times", text, written, want)
		}
	}
}
