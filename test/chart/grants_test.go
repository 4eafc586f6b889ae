package chart

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestWaitForVolumeDetach: the permissions to look at volumes are granted with
// drain.waitForVolumeDetach and only then, and drainer knows of it.
func TestWaitForVolumeDetach(t *testing.T) {
	t.Parallel()
	want := []any{
		map[string]any{"apiGroups": []any{"storage.k8s.io"}, "resources": []any{"volumeattachments"}, "verbs": []any{"list"}},
		map[string]any{"apiGroups": []any{""}, "resources": []any{"persistentvolumes"}, "verbs": []any{"get"}},
	}
	for values, waits := range map[string]bool{"{}": false, "drain: {waitForVolumeDetach: true}": true} {
		rules, _ := at(render(t, values).find(t, "ClusterRole", ""), "rules").([]any)
		var granted []any
		for _, rule := range rules {
			for _, resource := range rule.(map[string]any)["resources"].([]any) {
				if name := resource.(string); strings.Contains(name, "volume") || strings.Contains(name, "*") {
					granted = append(granted, rule)
				}
			}
		}
		if waits != reflect.DeepEqual(granted, want) || !waits && len(granted) > 0 {
			t.Errorf("with %s the rules about volumes are %v", values, granted)
		}
		if got := effective(t, renderedArgs(t, values)...)["waitForVolumeDetach"]; got != waits {
			t.Errorf("with %s waitForVolumeDetach is %v", values, got)
		}
	}
}

// TestPaceWithoutBudget: drainer knows of drain.paceWithoutBudget, which grants nothing.
func TestPaceWithoutBudget(t *testing.T) {
	t.Parallel()
	without := at(render(t, "{}").find(t, "ClusterRole", ""), "rules")
	for values, paces := range map[string]bool{"{}": false, "drain: {paceWithoutBudget: true}": true} {
		if rules := at(render(t, values).find(t, "ClusterRole", ""), "rules"); !reflect.DeepEqual(rules, without) {
			t.Errorf("with %s the rules are %v", values, rules)
		}
		if got := effective(t, renderedArgs(t, values)...)["paceWithoutBudget"]; got != paces {
			t.Errorf("with %s paceWithoutBudget is %v", values, got)
		}
	}
}

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

// TestNamespacesGranted: the permission to list and watch namespaces is granted if
// something in the configuration looks at their labels, and only then.
func TestNamespacesGranted(t *testing.T) {
	t.Parallel()
	rule := map[string]any{"apiGroups": []any{""}, "resources": []any{"namespaces"}, "verbs": []any{"list", "watch"}}
	for values, want := range map[string]bool{
		"{}": false,
		"config: {rules: [{name: a, match: {namespaces: [b]}, action: Evict}], trustPodAnnotations: {namespaces: [c]}}":                                      false,
		"config: {rules: [{name: a, match: {namespaces: [b]}, action: Evict}, {name: c, match: {namespaceSelector: {matchLabels: {d: e}}}, action: Evict}]}": true,
		"config: {rules: [{name: a, match: {namespaceSelector: {}}, action: Evict}]}":                                                                        true,
		"config: {rules: [{name: a, match: {namespaces: [b], namespaceSelector: null}, action: Evict}]}":                                                     false,
		"config: {trustPodAnnotations: {namespaceSelector: {matchLabels: {d: e}}}}":                                                                          true,
	} {
		rules, _ := at(render(t, values).find(t, "ClusterRole", ""), "rules").([]any)
		namespaces := slices.DeleteFunc(slices.Clone(rules), func(r any) bool {
			return !slices.Contains(r.(map[string]any)["resources"].([]any), any("namespaces"))
		})
		if granted := len(namespaces) == 1 && reflect.DeepEqual(namespaces[0], rule); granted != want || !want && len(namespaces) > 0 {
			t.Errorf("with %s the rules about namespaces are %v", values, namespaces)
		}
	}
}

// TestScalesGranted: the permission to get ReplicaSets and StatefulSets is granted if
// a rule looks at replicas, and only then.
func TestScalesGranted(t *testing.T) {
	t.Parallel()
	rule := map[string]any{"apiGroups": []any{"apps"}, "resources": []any{"replicasets", "statefulsets"}, "verbs": []any{"get"}}
	for values, want := range map[string]bool{
		"{}": false,
		"config: {rules: [{name: a, match: {namespaces: [b]}, action: Evict}]}":                                                 false,
		"config: {rules: [{name: a, match: {namespaces: [b]}, action: Evict}, {name: c, match: {replicas: 1}, action: Block}]}": true,
		"config: {rules: [{name: a, match: {namespaces: [b], replicas: null}, action: Evict}]}":                                 false,
	} {
		rules, _ := at(render(t, values).find(t, "ClusterRole", ""), "rules").([]any)
		granted := slices.ContainsFunc(rules, func(r any) bool { return reflect.DeepEqual(r, rule) })
		others := slices.ContainsFunc(rules, func(r any) bool {
			return slices.Contains(r.(map[string]any)["resources"].([]any), any("replicasets")) && !reflect.DeepEqual(r, rule)
		})
		if granted != want || others {
			t.Errorf("with %s the rules are %v", values, rules)
		}
	}
}
