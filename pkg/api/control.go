package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ControlName is the name of the ConfigMap in drainer's namespace by which
// people stop drainer everywhere.
const ControlName = "drainer-control"

// ControlPaused is the ConfigMap's key whose value is why everything is paused.
// It is the only key that the ConfigMap may have.
const ControlPaused = "paused"

// PausedBy reads the data of the ConfigMap: why everything is paused, or the
// empty text if nothing is. An error names every key and value that cannot be
// understood, what was expected instead and how to resume. Somebody wanted to
// control drainer then, most likely to stop it: nothing may be started or
// evicted until the ConfigMap is corrected.
func PausedBy(data map[string]string) (reason string, err error) {
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if key != ControlPaused {
			problems = append(problems, fmt.Errorf("%s is not a key that drainer knows: correct its name (known: %s) or remove it",
				shown(key), ControlPaused))
			continue
		}
		// Conditions and events show the reason: it is one line there.
		reason = strings.Join(strings.Fields(data[key]), " ")
		switch strings.ToLower(reason) {
		case "", "false", "no", "off", "0":
			problems = append(problems, fmt.Errorf("%s=%s is not a reason such as INC-42: write the reason, or remove the key to resume",
				key, shown(data[key])))
		}
	}
	if len(problems) > 0 {
		return "", joined(problems)
	}
	return reason, nil
}
