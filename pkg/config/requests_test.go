package config_test

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/plan"
)

// TestValidateRequests: what is wrong with a rule for marked nodes is named by its
// path.
func TestValidateRequests(t *testing.T) {
	const rest = "for: 1m, maxNodes: 1"
	for name, test := range map[string]struct {
		rules string
		want  []string // Each is in a problem of its own; none for a valid file.
	}{
		"as little as it may":    {"{condition: C, " + rest + "}", nil},
		"one of each kind":       {"{condition: a, " + rest + "}, {taint: a, " + rest + "}, {label: a, " + rest + "}", nil},
		"everything":             {`{taint: example.com/a, value: b, for: 1h, maxNodes: 3, release: WhenCleared, minInterval: 0s, start: Paused}`, nil},
		"nothing":                {"{}", []string{"requests[0]: Invalid", "requests[0].for: Invalid value: 0: expected a duration of at least 1m0s", "requests[0].maxNodes: Invalid value: 0: expected a number of at least 1"}},
		"no mark":                {"{" + rest + "}", []string{"expected one of condition, taint and label"}},
		"two marks":              {"{condition: a, label: b, " + rest + "}", []string{"expected one of condition, taint and label"}},
		"twice the same":         {"{label: a, value: b, " + rest + "}, {label: a, value: c, " + rest + "}", []string{`requests[1].label: Invalid value: "a": expected a mark other than that of requests[0]`}},
		"not a name":             {"{taint: a b, " + rest + "}", []string{"requests[0].taint"}},
		"too long for a request": {"{label: " + strings.Repeat("a", 60) + "." + strings.Repeat("b", 40) + "/c, " + rest + "}", []string{"expected at most 101 bytes"}},
		"drainer's condition":    {"{condition: Drained, " + rest + "}", []string{"that a drain itself does not make"}},
		"drainer's taint":        {"{taint: drainer.dev/queued, " + rest + "}", []string{"that a drain itself does not make"}},
		"the taint of a cordon":  {"{taint: node.kubernetes.io/unschedulable, " + rest + "}", []string{"that a drain itself does not make"}},
		"another status":         {"{condition: a, status: yes please, " + rest + "}", []string{"requests[0].status: Invalid value: \"yes please\": expected True, False or Unknown"}},
		"a label's status":       {"{label: a, status: \"True\", " + rest + "}", []string{"requests[0].status"}},
		"a condition's value":    {"{condition: a, value: b, " + rest + "}", []string{"requests[0].value"}},
		"too short":              {"{condition: a, for: 59s, maxNodes: 1}", []string{"requests[0].for"}},
		"another release":        {"{condition: a, release: Always, " + rest + "}", []string{"requests[0].release: Invalid value: \"Always\": expected Never or WhenCleared"}},
		"another start":          {"{condition: a, start: Now, " + rest + "}", []string{"requests[0].start"}},
		"a negative interval":    {"{condition: a, minInterval: -1s, " + rest + "}", []string{"requests[0].minInterval"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := decoded(t, "requests: ["+test.rules+"]\n")
			if len(problems) != len(test.want) {
				t.Fatalf("problems %q, want %q", problems, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(problems[i], want) {
					t.Errorf("problem %q, want %q", problems[i], want)
				}
			}
		})
	}
}

// TestPlanRequests: what a rule does not say has its default.
func TestPlanRequests(t *testing.T) {
	c, _ := decoded(t, `requests:
- {condition: C, for: 5m, maxNodes: 2}
- {label: l, value: v, for: 1m, maxNodes: 1, minInterval: 1h, release: WhenCleared, start: Paused}
`)
	rules := c.Plan().Requests
	if want := (plan.MarkRule{Kind: plan.ConditionMark, Name: "C", Value: "True", For: 5 * time.Minute, MaxNodes: 2, MinInterval: 24 * time.Hour}); rules[0] != want {
		t.Errorf("got %+v, want %+v", rules[0], want)
	}
	want := plan.MarkRule{
		Kind: plan.LabelMark, Name: "l", Value: "v", For: time.Minute, MaxNodes: 1, MinInterval: time.Hour, ReleaseWhenCleared: true, StartPaused: true,
	}
	if rules[1] != want || len(c.Selectors().Requests) != 2 {
		t.Errorf("got %+v, want %+v", rules[1], want)
	}
}
