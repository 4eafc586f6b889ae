package chart

import (
	"reflect"
	"strings"
	"testing"
)

// TestRules: alerts can be left out, labelled, and told where the runbooks are;
// a rule without alerts is not made.
func TestRules(t *testing.T) {
	t.Parallel()
	all := alertsOf(t, "metrics: {prometheusRule: {enabled: true}}")
	if len(all) < 2 || all["DrainerDrainStuck"] == nil {
		t.Fatalf("the alerts are %v", all)
	}
	changed := alertsOf(t, "metrics: {prometheusRule: {enabled: true, disabled: [DrainerAbsent], alertLabels: {team: a}, runbookURL: https://x}}")
	if len(changed) != len(all)-1 || changed["DrainerAbsent"] != nil {
		t.Errorf("of %d alerts without one there are %d", len(all), len(changed))
	}
	for name, rule := range changed {
		annotations, _ := rule["annotations"].(map[string]any)
		if annotations["runbook_url"] != "https://x/"+name+".md" {
			t.Errorf("%s has the annotations %v", name, annotations)
		}
		labels, _ := rule["labels"].(map[string]any)
		if labels["team"] != "a" || labels["severity"] == nil {
			t.Errorf("%s has the labels %v", name, labels)
		}
		if !reflect.DeepEqual(rule["expr"], all[name]["expr"]) {
			t.Errorf("%s has another expression", name)
		}
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	values := "metrics: {prometheusRule: {enabled: true, disabled: [" + strings.Join(names, ", ") + "]}}"
	if none := alertsOf(t, values); len(none) != 0 {
		t.Errorf("all are disabled, and there are %v", none)
	}
}

// TestAlertChanges: of an alert that is changed just what is named is another,
// whatever is set for all, and of the others nothing.
func TestAlertChanges(t *testing.T) {
	t.Parallel()
	const forAll = "alertLabels: {team: a, severity: info}, runbookURL: https://x"
	all := alertsOf(t, "metrics: {prometheusRule: {enabled: true, "+forAll+"}}")
	changed := alertsOf(t, "metrics: {prometheusRule: {enabled: true, "+forAll+`, alerts: {
		DrainerDrainStuck: {for: 1h30m, severity: critical, annotations: {summary: s, runbook_url: https://y, own: o}},
		DrainerAbsent: {for: 0s}, DrainerNoLeader: {severity: page}}}}`)
	stuck := all["DrainerDrainStuck"]
	stuck["for"] = "1h30m"
	stuck["labels"] = map[string]any{"team": "a", "severity": "critical"}
	annotations := stuck["annotations"].(map[string]any)
	annotations["summary"], annotations["runbook_url"], annotations["own"] = "s", "https://y", "o"
	all["DrainerAbsent"]["for"] = "0s"
	all["DrainerNoLeader"]["labels"].(map[string]any)["severity"] = "page"
	if annotations["description"] == nil || !reflect.DeepEqual(changed, all) {
		t.Errorf("the changed alerts are\n%v\nwant\n%v", changed, all)
	}
}

// alertsOf are the alerts that are rendered, by name.
func alertsOf(t *testing.T, values string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for _, o := range render(t, values) {
		if o.GetKind() != "PrometheusRule" {
			continue
		}
		groups, _ := at(o, "spec", "groups").([]any)
		for _, g := range groups {
			rules, _ := g.(map[string]any)["rules"].([]any)
			if len(rules) == 0 {
				t.Errorf("a group without rules with %s", values)
			}
			for _, r := range rules {
				if rule := r.(map[string]any); rule["alert"] != nil {
					found[rule["alert"].(string)] = rule
				}
			}
		}
	}
	return found
}
