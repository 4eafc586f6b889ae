package config_test

import (
	"strings"
	"testing"
	"time"
)

// TestValidateRules: what is wrong with a rule is named by its path.
func TestValidateRules(t *testing.T) {
	const some = "match: {namespaces: [a]}"
	for name, test := range map[string]struct {
		fields string
		want   []string // Each is in a problem of its own; none for a valid file.
	}{
		"a rule":                {"rules: [{name: a, match: {namespaces: [team-*], controllers: [batch/v1/Job, v1/ReplicationController, apps/*/StatefulSet, None], budget: NeverAllows, minPriority: -1}, action: WaitCompleted, order: -1000000, gracePeriod: 90s, stuckAfter: 1ms, atMost: 4h}]", nil},
		"trusted":               {"trustPodAnnotations: {namespaces: [ops, team-*]}", nil},
		"trusted by mistake":    {"trustPodAnnotations: {namespaces: [ops, A]}", []string{`trustPodAnnotations.namespaces[1]: Invalid value: "A": expected the name of a namespace`}},
		"namespaces by labels":  {"trustPodAnnotations: {namespaceSelector: {matchLabels: {a: b}}}\nrules: [{name: a, match: {namespaceSelector: {}}, action: Evict}]", nil},
		"namespace selector":    {`rules: [{name: a, match: {namespaceSelector: {matchLabels: {a: "?"}}}, action: Evict}]`, []string{"rules[0].match.namespaceSelector"}},
		"trusted by a mistake":  {`trustPodAnnotations: {namespaceSelector: {matchExpressions: [{key: a, operator: Is}]}}`, []string{"trustPodAnnotations.namespaceSelector"}},
		"all pods":              {`rules: [{name: a, match: {namespaces: ["*"]}, action: Evict}]`, nil},
		"no emptyDir":           {"rules: [{name: a, match: {emptyDir: false}, action: Evict}]", nil},
		"no name":               {"rules: [{" + some + ", action: Evict}]", []string{`rules[0].name: Invalid value: "": expected a DNS label such as databases-last`}},
		"a built-in name":       {"rules: [{name: bare-pods, " + some + ", action: Evict}]", []string{`rules[0].name: Invalid value: "bare-pods": expected a name other than that of a built-in rule or a preset: bare-pods, `}},
		"two of a name":         {"rules: [{name: a, " + some + ", action: Evict}, {name: a, " + some + ", action: Evict}]", []string{`rules[1].name: Invalid value: "a": expected a name other than that of rules[0]`}},
		"no match":              {"rules: [{name: a, action: Ignore}]", []string{`rules[0].match: Invalid value: "": expected at least one field, such as namespaces`}},
		"an empty match":        {"rules: [{name: a, match: {}, action: Ignore}]", []string{"rules[0].match"}},
		"no action":             {"rules: [{name: a, " + some + "}]", []string{`rules[0].action: Invalid value: "": expected Evict, Ignore, WaitCompleted or Block`}},
		"another action":        {"rules: [{name: a, " + some + ", action: Delete}]", []string{`rules[0].action: Invalid value: "Delete"`}},
		"order":                 {"rules: [{name: a, " + some + ", action: Evict, order: 1000001}]", []string{"rules[0].order: Invalid value: 1000001: expected a number from -1000000 to 1000000"}},
		"no grace":              {"rules: [{name: a, " + some + ", action: Evict, gracePeriod: 0s}]", []string{"rules[0].gracePeriod: Invalid value: 0: expected whole seconds, at least 1s"}},
		"half a second":         {"rules: [{name: a, " + some + ", action: Evict, gracePeriod: 1500ms}]", []string{"rules[0].gracePeriod"}},
		"deletes":               {"allowDelete: true\nrules: [{name: a, " + some + ", action: Evict, deleteAfter: 1h}]", nil},
		"deletes at once":       {"allowDelete: true\nrules: [{name: a, " + some + ", action: Evict, deleteAfter: 0s}]", []string{"rules[0].deleteAfter: Invalid value: 0: expected a duration above 0"}},
		"deletes what stays":    {"allowDelete: true\nrules: [{name: a, " + some + ", action: Block, deleteAfter: 1h}]", []string{"rules[0].deleteAfter"}},
		"deletes, not allowed":  {"rules: [{name: a, " + some + ", action: Evict, deleteAfter: 1h}]", []string{"rules[0].deleteAfter"}},
		"stuck at once":         {"rules: [{name: a, " + some + ", action: Evict, stuckAfter: 0s}]", []string{"rules[0].stuckAfter: Invalid value: 0: expected a duration above 0"}},
		"no time":               {"rules: [{name: a, " + some + ", action: WaitCompleted, atMost: 0s}]", []string{"rules[0].atMost"}},
		"at most, but evicted":  {"rules: [{name: a, " + some + ", action: Evict, atMost: 1h}]", []string{"rules[0].atMost: Invalid value: 3600000000000: expected only with the action WaitCompleted: remove it, or change the action"}},
		"order of what stays":   {"rules: [{name: a, " + some + ", action: Ignore, order: 1}]", []string{"rules[0].action: Invalid value: \"Ignore\": expected no order"}},
		"namespace":             {"rules: [{name: a, match: {namespaces: [b, Team-*]}, action: Evict}]", []string{`rules[0].match.namespaces[1]: Invalid value: "Team-*": expected the name of a namespace, in which * stands for any characters`}},
		"selector":              {`rules: [{name: a, match: {podSelector: {matchLabels: {a: "?"}}}, action: Evict}]`, []string{"rules[0].match.podSelector"}},
		"annotation":            {`rules: [{name: a, match: {podAnnotations: {"a b": c}}, action: Evict}]`, []string{`rules[0].match.podAnnotations: Invalid value: "a b": expected the key of an annotation`}},
		"kind alone":            {"rules: [{name: a, match: {controllers: [Job]}, action: Evict}]", []string{`rules[0].match.controllers[0]: Invalid value: "Job": expected group/version/Kind such as batch/v1/Job`}},
		"kind without version":  {"rules: [{name: a, match: {controllers: [batch//Job]}, action: Evict}]", []string{"rules[0].match.controllers[0]"}},
		"a Deployment":          {"rules: [{name: a, match: {controllers: [apps/v1/Deployment]}, action: Evict}]", []string{`rules[0].match.controllers[0]: Invalid value: "apps/v1/Deployment": expected the kind that controls the pods themselves: apps/v1/ReplicaSet`}},
		"a CronJob":             {"rules: [{name: a, match: {controllers: [batch/v1/CronJob]}, action: Evict}]", []string{"batch/v1/Job"}},
		"priorities":            {"rules: [{name: a, match: {minPriority: 2, maxPriority: 1}, action: Evict}]", []string{"rules[0].match.maxPriority: Invalid value: 1: expected at least minPriority (2)"}},
		"resource":              {"rules: [{name: a, match: {resources: [a/b/c]}, action: Evict}]", []string{"rules[0].match.resources[0]: Invalid value: \"a/b/c\": expected the name of a resource"}},
		"responders":            {`rules: [{name: a, match: {evictionResponders: [example.com/backup, "example.com/*", "*", None], schedulingGroup: false}, action: Evict}]`, nil},
		"no domain":             {"rules: [{name: a, match: {evictionResponders: [None, backup]}, action: Evict}]", []string{`rules[0].match.evictionResponders[1]: Invalid value: "backup": expected the name of an eviction responder such as example.com/backup`}},
		"no such pool":          {"rules: [{name: a, match: {pools: [gpu]}, action: Evict}]", []string{`rules[0].match.pools[0]: Invalid value: "gpu": expected the name of one of the pools`}},
		"a pool":                {"pools: [{name: gpu, nodeSelector: {}}]\nrules: [{name: a, match: {pools: [gpu]}, action: Evict}]", nil},
		"replicas":              {"rules: [{name: a, match: {replicas: 1}, action: Block}]", nil},
		"no replicas":           {"rules: [{name: a, match: {replicas: 0}, action: Block}]", []string{"rules[0].match.replicas: Invalid value: 0: expected a number of at least 1"}},
		"a budget":              {"rules: [{name: a, match: {budget: Some}, action: Evict}]", []string{`rules[0].match.budget: Invalid value: "Some": expected None or NeverAllows`}},
		"more than one mistake": {"rules: [{name: A, match: {}, action: evict}]", []string{"rules[0].action", "rules[0].match", "rules[0].name"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := decoded(t, test.fields+"\n")
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

// TestPlanRules: a plan and what watches pods have the rules as the file has them.
func TestPlanRules(t *testing.T) {
	c, problems := decoded(t, `allowDelete: true
pools: [{name: gpu, nodeSelector: {}}]
rules:
- name: a
  match: {namespaces: [x], namespaceSelector: {matchLabels: {g: h}}, podSelector: {matchLabels: {b: c}}, podAnnotations: {d: e}, controllers: [None], minPriority: 1, maxPriority: 2, resources: [f], emptyDir: true, evictionResponders: [i/j], schedulingGroup: true, pools: [gpu], budget: None, replicas: 4}
  action: WaitCompleted
  order: 3
  gracePeriod: 90s
  stuckAfter: 2h
  atMost: 1h
  deleteAfter: 5h
- {name: b, match: {namespaces: [y]}, action: Block}
`)
	if problems != nil {
		t.Fatal(problems)
	}
	r := c.Plan().Rules.List
	if len(r) != 2 || len(c.Selectors().Rules.List) != 2 || r[1].Name != "b" || r[1].Action != "Block" || r[1].GracePeriod != nil || r[1].Match.Pods != nil {
		t.Fatalf("got %+v", r)
	}
	a, m := r[0], r[0].Match
	if a.Name != "a" || a.Action != "WaitCompleted" || a.Order != 3 || *a.GracePeriod != 90 || a.StuckAfter != 2*time.Hour || a.AtMost != time.Hour || a.DeleteAfter != 5*time.Hour {
		t.Errorf("got %+v", a)
	}
	if m.Namespaces[0] != "x" || m.NamespaceLabels.String() != "g=h" || !c.Selectors().Rules.LooksAtNamespaces() || m.Pods.String() != "b=c" || m.Annotations["d"] != "e" || m.Controllers[0] != "None" || *m.MinPriority != 1 ||
		*m.MaxPriority != 2 || m.Resources[0] != "f" || !*m.EmptyDir || m.EvictionResponders[0] != "i/j" || !*m.SchedulingGroup || m.Pools[0] != "gpu" || m.Budget != "None" || m.Replicas != 4 {
		t.Errorf("got %+v", m)
	}
	if trust, _ := decoded(t, "trustPodAnnotations: {namespaces: [ops]}\n"); trust.Plan().Rules.Trusted[0] != "ops" || trust.Selectors().Rules.Trusted[0] != "ops" {
		t.Errorf("trusted are %v", trust.Plan().Rules.Trusted)
	}
	if trust, _ := decoded(t, "trustPodAnnotations: {namespaceSelector: {matchLabels: {a: b}}}\n"); trust.Plan().Rules.TrustedLabels.String() != "a=b" {
		t.Errorf("trusted are %v", trust.Plan().Rules.TrustedLabels)
	}
	if none, _ := decoded(t, "barePods: Evict\n"); none.Plan().Rules != nil {
		t.Error("without rules there are some")
	}
}
