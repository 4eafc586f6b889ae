package plan

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Surroundings are what decides about a pod besides the pod itself.
type Surroundings struct {
	// Pool is that of the pod's node.
	Pool string
	// DaemonSets are those that exist.
	DaemonSets map[types.UID]bool
	Budgets    map[string]NamespaceBudgets
	// NamespaceLabels and Scales are those of Snapshot.
	NamespaceLabels map[string]labels.Set
	Scales          map[types.UID]ScaleMemory
}

// IsTarget is true if the pod has to leave its node when that is drained.
func (c *Config) IsTarget(pod *Pod, at Surroundings) bool {
	return !pod.stays(at.DaemonSets) && c.ruleOf(pod, at).Action != IgnorePod
}

// ruleOf is the rule that decides about a pod.
func (c *Config) ruleOf(pod *Pod, at Surroundings) *Rule {
	list := at.Budgets[pod.Namespace].List
	rule, _ := c.decide(pod, &at, func(m *PodMatch) bool {
		places := placesOf(pod.Labels, list)
		return m.under(len(places), slices.ContainsFunc(places, func(i int) bool { return list[i].NeverAllows() }))
	})
	return rule
}

// ruleOf is the rule that decides about a pod of a node, and whether the pod's own
// annotations count. It finds the pod's budgets if a rule asks for them.
func (p *planner) ruleOf(n *nodeWork, s *PodState) (rule *Rule, obeyed bool) {
	if p.looksAtScales {
		p.readScales(n, s)
	}
	p.around.Pool = n.node.Pool
	return p.Config.decide(s.Pod, &p.around, func(m *PodMatch) bool {
		if s.budgets == nil {
			s.budgets = p.matching(s.entry)
		}
		never := m.Budget == NeverAllowingBudget && slices.ContainsFunc(s.budgets, func(b *budgetWork) bool { return b.NeverAllows() })
		return m.under(len(s.budgets), never)
	})
}

// decide is the rule that decides about a pod, and whether the pod's own
// annotations count although its namespace is not trusted by name alone. The
// function says whether the pod's budgets are as a rule wants them; it is asked only
// if the rule looks at them.
func (c *Config) decide(pod *Pod, at *Surroundings, under func(*PodMatch) bool) (rule *Rule, obeyed bool) {
	rules := pod.Rules
	switch trusted, known := c.Rules.trusts(pod, at.NamespaceLabels); {
	case !known:
		return unknownNamespace(pod, trustOfAnnotations, "whether the annotations of the pod count"), false
	case trusted:
		obeyed = true
		if pod.Claims.Rules != nil {
			rules = pod.Claims.Rules
		}
	}
	for _, r := range rules {
		if !r.Match.inPool(at.Pool) {
			continue
		}
		matches, known := r.Match.inNamespace(pod.Namespace, at.NamespaceLabels)
		if !known {
			return unknownNamespace(pod, r.Name, r.title()), obeyed
		}
		scaled, known := r.Match.ofScale(pod, at.Scales)
		if matches && !known {
			return unknownScale(pod, r), obeyed
		}
		if matches && scaled && (r.Match.Budget == "" || under(&r.Match)) {
			return r.unlessFinished(pod), obeyed
		}
	}
	return c.builtIn(pod), obeyed
}

func (m *PodMatch) inPool(pool string) bool {
	return len(m.Pools) == 0 || slices.Contains(m.Pools, pool)
}
