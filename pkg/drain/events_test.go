package drain

import (
	"strings"
	"testing"
)

// TestEventName: the API server checks the names of events strictly.
func TestEventName(t *testing.T) {
	for _, object := range []string{"n", "a.b", strings.Repeat("a", 253), strings.Repeat("a", 239) + "-." + strings.Repeat("b", 12)} {
		name := eventName(object)
		if len(name) > 253 || strings.Contains(name, "..") || strings.Contains(name, "-.") {
			t.Errorf("an event about %s is called %s", object, name)
		}
		if name == eventName(object) {
			t.Errorf("two events are called %s", name)
		}
	}
}
