package config

import "drainer.dev/drainer/pkg/plan"

// builtInRules are the names of the rules that come after all others.
var builtInRules = []string{"bare-pods", "empty-dir", "default"}

// BuiltInRules are the rules that come after all others, as barePods and emptyDir
// make them. They are about pods that have not finished.
func (c *DrainerConfiguration) BuiltInRules() []Rule {
	var rules []Rule
	if c.BarePods != plan.EvictBarePods {
		rules = append(rules, Rule{Name: "bare-pods", Match: PodMatch{Controllers: []string{plan.NoController}}, Action: plan.Action(c.BarePods)})
	}
	if c.EmptyDir != plan.EvictEmptyDir {
		has := true
		rules = append(rules, Rule{Name: "empty-dir", Match: PodMatch{EmptyDir: &has}, Action: plan.Action(c.EmptyDir)})
	}
	return append(rules, Rule{Name: "default", Match: PodMatch{Namespaces: []string{"*"}}, Action: plan.EvictPod})
}
