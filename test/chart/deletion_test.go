package chart

import (
	"reflect"
	"testing"
)

// TestAllowDelete: the permission to delete pods, and to delete nothing else, is
// granted with drain.allowDelete and only then, and drainer knows of it.
func TestAllowDelete(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]bool{"{}": false, "drain: {allowDelete: true}": true} {
		all := render(t, values)
		rules, _ := at(all.find(t, "ClusterRole", ""), "rules").([]any)
		var deletes []any
		for _, rule := range rules {
			for _, verb := range rule.(map[string]any)["verbs"].([]any) {
				if verb == "delete" || verb == "deletecollection" || verb == "*" {
					deletes = append(deletes, rule)
				}
			}
		}
		rule := map[string]any{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"delete"}}
		if granted := len(deletes) == 1 && reflect.DeepEqual(deletes[0], rule); granted != want || !want && len(deletes) > 0 {
			t.Errorf("with %s the rules that delete are %v", values, deletes)
		}
		if got := effective(t, renderedArgs(t, values)...)["allowDelete"]; got != want {
			t.Errorf("with %s allowDelete is %v", values, got)
		}
	}
}
