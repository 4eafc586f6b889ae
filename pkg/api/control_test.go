package api

import (
	"strings"
	"testing"
)

// TestPausedBy: whatever does not clearly say that drainer may continue is an error,
// which says how to resume.
func TestPausedBy(t *testing.T) {
	for name, test := range map[string]struct {
		data   map[string]string
		reason string
		says   []string // Of the error; none if empty.
	}{
		"nothing":       {nil, "", nil},
		"empty":         {map[string]string{}, "", nil},
		"a reason":      {map[string]string{"paused": "INC-42 database failover"}, "INC-42 database failover", nil},
		"several lines": {map[string]string{"paused": " INC-42\n  database\n"}, "INC-42 database", nil},
		"no reason":     {map[string]string{"paused": ""}, "", []string{`paused=""`, "INC-42", "remove the key to resume"}},
		"blank":         {map[string]string{"paused": " \n"}, "", []string{"remove the key to resume"}},
		"false":         {map[string]string{"paused": "False"}, "", []string{`paused="False"`, "remove the key to resume"}},
		"a typo":        {map[string]string{"pause": "INC-42"}, "", []string{`"pause"`, "known: paused", "remove it"}},
		"both":          {map[string]string{"paused": "", "x": "y"}, "", []string{`paused=""`, `"x"`}},
		"one too many":  {map[string]string{"paused": "INC-42", "x": "y"}, "", []string{`"x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			reason, err := PausedBy(test.data)
			if reason != test.reason || (err != nil) != (len(test.says) > 0) {
				t.Fatalf("got %q, %v; want %q and the error %v", reason, err, test.reason, test.says)
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
		})
	}
}
