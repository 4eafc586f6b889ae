package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/test/invariant"
)

// PodRule is a rule for pods. What is empty matches every pod.
type PodRule struct {
	Namespace, Tier string
	// Team is the value of the namespace's label team; empty for all namespaces.
	Team string
	// Kind is that of the pod's controller; None for pods without one.
	Kind string
	// Replicas is how many the pod's controller has; 0 for any number.
	Replicas int
	Action   plan.Action
	Order    int
	AtMost   time.Duration
	// DeleteAfter is as in drainer's rules.
	DeleteAfter time.Duration
}

// String is for people.
func (r PodRule) String() string {
	return fmt.Sprintf("%s of %q, team %q, tier %q, kind %q, replicas %d: order %d, at most %v, delete after %v", r.Action, r.Namespace, r.Team, r.Tier, r.Kind, r.Replicas, r.Order, r.AtMost, r.DeleteAfter)
}

// podRules draws rules for pods: none in the simplest case.
func (g *generator) podRules() {
	if !g.chance("rules for pods", 40) {
		return
	}
	for range 1 + g.IntN("rules for pods", 3) {
		r := PodRule{Action: pick(g, "action", plan.EvictPod, plan.EvictPod, plan.AwaitPod, plan.IgnorePod, plan.BlockPod)}
		switch pick(g, "matches", "tier", "tier", "namespace", "kind", "team", "replicas") {
		case "tier":
			r.Tier = fmt.Sprint(g.IntN("tier", 10))
		case "namespace":
			r.Namespace = pick(g, "namespace of a rule", namespaces...)
		case "team":
			r.Team = pick(g, "team of a rule", "red", "blue")
		case "kind":
			r.Kind = pick(g, "kind of a rule", "StatefulSet", "Job", "ReplicaSet", plan.NoController)
		case "replicas":
			r.Replicas = 1 + g.IntN("replicas of a rule", 6)
		}
		if r.Action != plan.IgnorePod {
			r.Order = pick(g, "order", 0, 0, 1, -1, 2)
		}
		if r.Action == plan.AwaitPod {
			r.AtMost = g.between("at most", 5*time.Second, 45*time.Second)
		}
		if r.Action == plan.EvictPod && g.chance("delete after", 40) {
			r.DeleteAfter = g.between("delete after", 5*time.Second, 2*time.Minute)
		}
		g.ForPods = append(g.ForPods, r)
	}
	g.teams()
}

// teams are the values of the label team of the namespaces.
var teams = map[string]string{"shop": "red", "data": "blue", "sys": ""}

// teams adds the Namespaces, some of which drainer sees late.
func (g *generator) teams() {
	for _, name := range namespaces {
		add := func(c *sim.Cluster) {
			c.Put(sim.Namespaces, &corev1.Namespace{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": teams[name]}},
			})
		}
		if g.chance("seen late", 20) {
			g.step(g.between("seen late", 0, time.Minute), func(h Hands) { h.Cluster(add) }, "namespace %s of team %s is seen", name, teams[name])
			continue
		}
		g.build(add, "namespace %s of team %s", name, teams[name])
	}
}

// PodRules are the rules of drainer.
func (c *Config) PodRules() *plan.Rules {
	rules := &plan.Rules{}
	for i, r := range c.ForPods {
		rule := &plan.Rule{Name: fmt.Sprintf("rule-%d", i), Action: r.Action, Order: r.Order, AtMost: r.AtMost, DeleteAfter: r.DeleteAfter}
		if r.Namespace != "" {
			rule.Match.Namespaces = []string{r.Namespace}
		}
		if r.Team != "" {
			rule.Match.NamespaceLabels = labels.SelectorFromSet(labels.Set{"team": r.Team})
		}
		if r.Tier != "" {
			rule.Match.Pods = labels.SelectorFromSet(labels.Set{"tier": r.Tier})
		}
		rule.Match.Replicas = int32(r.Replicas)
		switch r.Kind {
		case "":
		case plan.NoController:
			rule.Match.Controllers = []string{r.Kind}
		default:
			rule.Match.Controllers = []string{"*/" + r.Kind}
		}
		rules.List = append(rules.List, rule)
	}
	return rules
}

// matches is true for a pod that the rule is for.
func (r *PodRule) matches(p *corev1.Pod) bool {
	kind := plan.NoController
	if owner := metav1.GetControllerOf(p); owner != nil {
		kind = owner.Kind
	}
	return strings.HasPrefix(p.Namespace, r.Namespace) && (r.Team == "" || teams[p.Namespace] == r.Team) && (r.Tier == "" || p.Labels["tier"] == r.Tier) && (r.Kind == "" || r.Kind == kind) &&
		(r.Replicas == 0 || p.Labels[replicasLabel] == fmt.Sprint(r.Replicas))
}

// looksAtScales is true if the number of replicas decides about pods.
func (c *Config) looksAtScales() bool {
	return slices.ContainsFunc(c.ForPods, func(r PodRule) bool { return r.Replicas > 0 })
}

var actions = map[plan.Action]invariant.Action{
	plan.EvictPod: invariant.Evicts, plan.IgnorePod: invariant.Ignores, plan.AwaitPod: invariant.Awaits, plan.BlockPod: invariant.Blocks,
}

// verdict is what the rules say about a pod, for the checker.
func (c *Config) verdict(p *corev1.Pod) invariant.Verdict {
	for i := range c.ForPods {
		if r := &c.ForPods[i]; r.matches(p) {
			return invariant.Verdict{Action: actions[r.Action], Order: r.Order, AtMost: r.AtMost, DeleteAfter: r.DeleteAfter}
		}
	}
	return invariant.Verdict{}
}
