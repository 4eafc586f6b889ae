package api

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// MaxIDBytes bounds a request's ID.
const MaxIDBytes = 128

// MaxClaimBytes is how much is shown of who asks, and of why.
const MaxClaimBytes = 256

// Request is what the annotations of one Node ask for.
type Request struct {
	// ID names the request; another ID is another request.
	ID string
	// Paused holds the request.
	Paused bool
	// NotBefore is the earliest start; zero means at once.
	NotBefore time.Time
	// Timeout is nil if the daemon's default applies, zero for none.
	Timeout *time.Duration
	// OnTimeout is empty if the daemon's default applies.
	OnTimeout OnTimeout
	// Deadline is when the node disappears; zero if nobody says so.
	Deadline time.Time
	// Priority decides who begins first: the higher one.
	Priority int32
	// IgnoreWindows makes the request ignore windows and freezes.
	IgnoreWindows bool
	// GracePeriod is in seconds and at least 1, or nil for the pod's own.
	GracePeriod *int64
	// DryRun asks for verdicts only.
	DryRun bool
	// RequestedBy and Reason say who asks and why, each on one line of at most
	// MaxClaimBytes; empty if nobody says so.
	RequestedBy, Reason string
}

// RequestOf reads the request from a Node's annotations. asked is false if
// there is none: the annotation is absent, empty, or has a value such
// as false or no. An error names every value that cannot be read, what was
// expected instead and how to fix it; the Request then holds only the ID, and
// nothing else of it may be acted on.
func RequestOf(annotations map[string]string) (r Request, asked bool, err error) {
	id := annotations[DrainAnnotation]
	if !IsRequestID(id) {
		return Request{}, false, nil
	}
	var problems []error
	r = Request{ID: id}
	if len(id) > MaxIDBytes {
		r.ID = strings.ToValidUTF8(id[:MaxIDBytes], "")
		problems = append(problems, fmt.Errorf("%s is %d bytes long, at most %d are allowed: shorten it",
			DrainAnnotation, len(id), MaxIDBytes))
	}
	if isAction(id) {
		problems = append(problems, fmt.Errorf("%s=%s names an action, expected an ID: to drain the node, use an ID such as CHG-1234; otherwise remove the annotation",
			DrainAnnotation, shown(id)))
	}
	for _, key := range sortedKeys(annotations) {
		if err := r.read(key, annotations[key]); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return Request{ID: r.ID}, true, joined(problems)
	}
	return r, true, nil
}

// sortedKeys lists the annotations under Prefix, sorted, so that the messages
// for the same Node do not change.
func sortedKeys(annotations map[string]string) []string {
	var keys []string
	for key := range annotations {
		if strings.HasPrefix(key, Prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// joined is one error on one line: conditions and events show it.
func joined(problems []error) error {
	texts := make([]string, 0, len(problems))
	for _, p := range problems {
		texts = append(texts, p.Error())
	}
	return errors.New(strings.Join(texts, "; "))
}

func (r *Request) read(key, value string) error {
	bad := func(want string) error {
		return fmt.Errorf("%s=%s is not %s: correct or remove it", key, shown(value), want)
	}
	if flag := r.flags()[key]; flag != nil {
		if *flag = value == "true"; !*flag && value != "false" {
			return bad(`"true" or "false"`)
		}
		return nil
	}
	switch key {
	case DrainAnnotation, DrainedAnnotation, StatusAnnotation, MarksAnnotation, LatchedAnnotation:
	case RequestedByAnnotation:
		r.RequestedBy = claim(value)
	case ReasonAnnotation:
		r.Reason = claim(value)
	case NotBeforeAnnotation, DeadlineAnnotation:
		t, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return bad("an RFC 3339 time such as 2030-01-31T22:00:00Z")
		}
		*r.times()[key] = t
	case TimeoutAnnotation:
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return bad("a duration above 0 such as 90m")
		}
		r.Timeout = &d
	case OnTimeoutAnnotation:
		return r.readOnTimeout(value)
	case PriorityAnnotation, GracePeriodAnnotation:
		if want := r.readNumber(key, value); want != "" {
			return bad(want)
		}
	default:
		return fmt.Errorf("%s is not an annotation that drainer knows: correct its name (known: %s) or remove it",
			shown(key), strings.Join(requestKeys(), ", "))
	}
	return nil
}

// readNumber reads a setting that is a number; if it is none, it returns what is
// expected.
func (r *Request) readNumber(key, value string) (want string) {
	number, err := strconv.ParseInt(value, 10, 32)
	switch {
	case key == PriorityAnnotation && err != nil:
		return "an integer such as 100 or -1"
	case key == PriorityAnnotation:
		r.Priority = int32(number)
	case err != nil || number < 1:
		return "a whole number of seconds, at least 1"
	default:
		r.GracePeriod = &number
	}
	return ""
}

// flags are the annotations that are true or false.
func (r *Request) flags() map[string]*bool {
	return map[string]*bool{PausedAnnotation: &r.Paused, DryRunAnnotation: &r.DryRun, IgnoreWindowsAnnotation: &r.IgnoreWindows}
}

// times are the annotations that are a time.
func (r *Request) times() map[string]*time.Time {
	return map[string]*time.Time{NotBeforeAnnotation: &r.NotBefore, DeadlineAnnotation: &r.Deadline}
}

func (r *Request) readOnTimeout(value string) error {
	action, err := ParseOnTimeout(value)
	if err != nil {
		return fmt.Errorf("%s=%w: correct or remove it", OnTimeoutAnnotation, err)
	}
	r.OnTimeout = action
	return nil
}

// ParseOnTimeout reads Wait, Stop, Release or Delete.
func ParseOnTimeout(value string) (OnTimeout, error) {
	switch action := OnTimeout(value); action {
	case Wait, Stop, Release, Delete:
		return action, nil
	default:
		return "", fmt.Errorf("%s is not Wait, Stop, Release or Delete", shown(value))
	}
}

// isAction is true for the words that say what to do with a pod, or at a
// timeout. Somebody who uses one as an ID does not want a drain: most of these
// words prevent something.
func isAction(id string) bool {
	return slices.ContainsFunc([]string{
		"Evict", "Ignore", "WaitCompleted", "Block", string(Wait), string(Stop), string(Release), string(Delete),
	}, func(word string) bool { return strings.EqualFold(word, id) })
}

// claim is a text for people on one line, cut to MaxClaimBytes, without
// characters that move the cursor of a terminal.
func claim(value string) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(value, "")), " ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
	if len(text) <= MaxClaimBytes {
		return text
	}
	return strings.ToValidUTF8(text[:MaxClaimBytes-len("…")], "") + "…"
}

func requestKeys() []string {
	return []string{
		DrainAnnotation, PausedAnnotation, NotBeforeAnnotation, TimeoutAnnotation,
		OnTimeoutAnnotation, DeadlineAnnotation, PriorityAnnotation, IgnoreWindowsAnnotation, GracePeriodAnnotation, DryRunAnnotation,
		RequestedByAnnotation, ReasonAnnotation,
	}
}

// shown quotes a user's text, cut so that no message grows without bound.
func shown(text string) string {
	const most = 64
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}
