package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzRequestOf: whatever stands in the annotations, it is a request, or it is
// none, or it is an error with nothing but the ID; and a request means the same
// once it is written again.
func FuzzRequestOf(f *testing.F) {
	f.Add("r", TimeoutAnnotation, "1m", PausedAnnotation, "true")
	f.Add(strings.Repeat("ü", 100), "drainer.dev/x", "\x00", "example.com/x", "")
	f.Add("False", NotBeforeAnnotation, "2030-01-31T22:00:00Z", OnTimeoutAnnotation, "Delete")
	f.Add("CHG-1", GracePeriodAnnotation, "30", PriorityAnnotation, "-7")
	f.Add("spot", DeadlineAnnotation, "2030-01-31T22:00:00Z", NotBeforeAnnotation, "2030-01-31T21:00:00+05:00")
	f.Add("CHG-1", IgnoreWindowsAnnotation, "true", DryRunAnnotation, "false")
	f.Fuzz(func(t *testing.T, id, key, value, key2, value2 string) {
		annotations := map[string]string{key: value, key2: value2, DrainAnnotation: id}
		r, asked, err := RequestOf(annotations)
		if !asked && (err != nil || !reflect.DeepEqual(r, Request{})) {
			t.Errorf("no request, and yet %+v, %v", r, err)
		}
		if asked && len(r.ID) > MaxIDBytes {
			t.Errorf("asked with an ID of %d bytes", len(r.ID))
		}
		if err != nil && !reflect.DeepEqual(r, Request{ID: r.ID}) {
			t.Errorf("an error and %+v", r)
		}
		for k := range annotations {
			if asked && err == nil && strings.HasPrefix(k, Prefix) && !known(k) {
				t.Errorf("the unknown key %q went through", k)
			}
		}
		if !asked || err != nil {
			return
		}
		again, _, err := RequestOf(r.written())
		r.NotBefore, again.NotBefore = r.NotBefore.UTC(), again.NotBefore.UTC()
		r.Deadline, again.Deadline = r.Deadline.UTC(), again.Deadline.UTC()
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("read %+v, written and read again %+v, %v", r, again, err)
		}
	})
}

func known(key string) bool {
	return key == StatusAnnotation || key == DrainedAnnotation || slices.Contains(requestKeys(), key)
}

// FuzzParseStatus: a status that is read can be written within its bounds, and
// is the same when it is read and written again.
func FuzzParseStatus(f *testing.F) {
	seedStatus(f)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStatus(text)
		if err != nil {
			if !reflect.DeepEqual(s, Status{}) || !strings.Contains(err.Error(), StatusAnnotation) {
				t.Errorf("error %v, and yet %+v", err, s)
			}
			return
		}
		before, _ := json.Marshal(s)
		written := s.Format()
		if after, _ := json.Marshal(s); string(after) != string(before) {
			t.Errorf("Format changed %s to %s", before, after)
		}
		if len(written) > MaxStatusBytes || !utf8.ValidString(written) {
			t.Errorf("%d bytes: %q", len(written), written)
		}
		again, err := ParseStatus(written)
		if err != nil {
			t.Fatalf("%s is written, and not read: %v", written, err)
		}
		if twice := again.Format(); twice != written {
			t.Errorf("%s is written again as %s", written, twice)
		}
		if again.Pods != s.Pods {
			t.Errorf("counted %+v, read back %+v", s.Pods, again.Pods)
		}
	})
}

func seedStatus(f *testing.F) {
	at := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, s := range []Status{
		{},
		{Request: "r", Phase: Queued, RequestedAt: &at},
		{
			Request: "r", Phase: Blocked, Reason: "budget_exhausted", Pool: "gpu", StartedAt: &at, IdleSince: &at, PausedSeconds: 5,
			Pods:         PodCounts{Eligible: 1, Blocked: 2, Terminating: 3, Gone: 4, Ignored: 5},
			Blockers:     []Blocker{{Pod: "ns/a", State: BlockedState, Reason: "budget_exhausted", Budget: "ns/b", Message: "by PDB ns/b", Since: at}},
			MoreBlockers: []MoreBlockers{{Reason: "webhook", Count: 7, Since: at}}, Warnings: []string{"ignored"},
		},
		{Request: "r", Phase: Drained, FinishedAt: &at, Result: "drained", Deletions: []Deletions{{Budget: "ns/b", Count: 1}, {Budget: "ns/c", Count: 2}}},
		{Request: "r", Phase: Draining, Reason: "volume", Volumes: &Volumes{Attached: 2, Since: at, Message: "pv-1"}},
		{Request: "r", Phase: Blocked, Deadline: &Deadline{At: at, AtRisk: 1, ToDelete: 2}, Blockers: []Blocker{{Pod: "ns/a", State: BlockedState, AtRisk: true}}},
		{Request: "r", Phase: DryRun, Verdicts: &Verdicts{At: &at, Admitted: 1, Refused: 2, Held: 3}},
	} {
		f.Add(s.Format())
	}
	for _, text := range []string{
		"", "null", "[]", `{"version":2}`,
		`{"version":1,"startedAt":"0000-01-01T00:00:00+10:00"}`, `{"version":1,"verdicts":{"at":"9999-12-31T23:59:59-10:00"},"deadline":{"at":"9999-12-31T23:59:59-10:00"}}`,
		`{"version":1,"request":"` + strings.Repeat("<", 2000) + `"}`,
		`{"version":1,"moreBlockers":[` + strings.Repeat(`{"reason":"<<<<<<<<"},`, 150) + `{}]}`,
	} {
		f.Add(text)
	}
}

// FuzzPausedBy: only a ConfigMap that clearly says so lets drainer continue.
func FuzzPausedBy(f *testing.F) {
	f.Add("paused", "INC-42", "", "")
	f.Add("pause", "INC-42 database", "paused", "no")
	f.Fuzz(func(t *testing.T, key, value, key2, value2 string) {
		data := map[string]string{key: value, key2: value2}
		reason, err := PausedBy(data)
		if err != nil && reason != "" {
			t.Errorf("error %v, and yet paused by %q", err, reason)
		}
		if err == nil && reason == "" {
			t.Errorf("%q pauses nothing", data)
		}
		if again, errAgain := PausedBy(map[string]string{ControlPaused: reason}); err == nil && (again != reason || errAgain != nil) {
			t.Errorf("paused by %q, written and read again by %q, %v", reason, again, errAgain)
		}
	})
}

// written is the request as its user could write it.
func (r Request) written() map[string]string {
	annotations := map[string]string{
		DrainAnnotation: r.ID, PausedAnnotation: strconv.FormatBool(r.Paused), DryRunAnnotation: strconv.FormatBool(r.DryRun),
		IgnoreWindowsAnnotation: strconv.FormatBool(r.IgnoreWindows), PriorityAnnotation: strconv.Itoa(int(r.Priority)),
	}
	if !r.NotBefore.IsZero() {
		annotations[NotBeforeAnnotation] = r.NotBefore.Format(time.RFC3339Nano)
	}
	if !r.Deadline.IsZero() {
		annotations[DeadlineAnnotation] = r.Deadline.Format(time.RFC3339Nano)
	}
	if r.Timeout != nil {
		annotations[TimeoutAnnotation] = r.Timeout.String()
	}
	if r.OnTimeout != "" {
		annotations[OnTimeoutAnnotation] = string(r.OnTimeout)
	}
	if r.GracePeriod != nil {
		annotations[GracePeriodAnnotation] = strconv.FormatInt(*r.GracePeriod, 10)
	}
	return annotations
}
