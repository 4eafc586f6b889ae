package config

import (
	"time"

	"drainer.dev/drainer/pkg/plan"
)

// controlledBy says what controls the pods of workloads that do not do so
// themselves.
var controlledBy = map[string]string{"Deployment": "apps/v1/ReplicaSet", "CronJob": "batch/v1/Job"}

// planRules are the rules of a valid configuration; nil if there are none.
func (c *DrainerConfiguration) planRules() *plan.Rules {
	trust := c.TrustPodAnnotations
	if len(c.Rules)+len(c.Presets) == 0 && !trust.somewhere() {
		return nil
	}
	rules := &plan.Rules{Trusted: trust.Namespaces, TrustedLabels: selectorOf(trust.NamespaceSelector)}
	for i := range c.Rules {
		rules.List = append(rules.List, c.Rules[i].plan())
	}
	for i := range c.Presets {
		rules.List = append(rules.List, c.Presets[i].planRules(c)...)
	}
	return rules
}

func (r *Rule) plan() *plan.Rule {
	rule := &plan.Rule{Name: r.Name, Match: r.Match.plan(), Action: r.Action, Order: r.Order}
	if r.GracePeriod != nil {
		seconds := int64(r.GracePeriod.Duration / time.Second)
		rule.GracePeriod = &seconds
	}
	if r.StuckAfter != nil {
		rule.StuckAfter = r.StuckAfter.Duration
	}
	if r.AtMost != nil {
		rule.AtMost = r.AtMost.Duration
	}
	if r.DeleteAfter != nil {
		rule.DeleteAfter = r.DeleteAfter.Duration
	}
	return rule
}

func (m *PodMatch) plan() plan.PodMatch {
	replicas := int32(0)
	if m.Replicas != nil {
		replicas = *m.Replicas
	}
	return plan.PodMatch{
		Namespaces: m.Namespaces, NamespaceLabels: selectorOf(m.NamespaceSelector), Pods: selectorOf(m.PodSelector), Annotations: m.PodAnnotations, Controllers: m.Controllers,
		MinPriority: m.MinPriority, MaxPriority: m.MaxPriority, Resources: m.Resources, EmptyDir: m.EmptyDir,
		EvictionResponders: m.EvictionResponders, SchedulingGroup: m.SchedulingGroup,
		Pools: m.Pools, Budget: m.Budget, Replicas: replicas,
	}
}
