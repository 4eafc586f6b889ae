package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/plan"
)

// Preset is rules for the marks of another program.
type Preset struct {
	// name is cluster-autoscaler (pods with the annotation
	// cluster-autoscaler.kubernetes.io/safe-to-evict: "false"), karpenter
	// (karpenter.sh/do-not-disrupt: "true"), cluster-api (the label
	// cluster.x-k8s.io/drain: skip) or critical-last (the priority of
	// system-cluster-critical and above).
	Name string `json:"name"`
	// action is what happens to these pods; without it WaitCompleted, but Ignore for
	// cluster-api. Pods of critical-last are evicted, with the order 1000.
	Action plan.Action `json:"action,omitempty"`
	// atMost is for how long WaitCompleted waits; 4h without it.
	AtMost *metav1.Duration `json:"atMost,omitempty"`
}

const (
	// presetWaits is for how long a preset lets a pod complete, if it does not say.
	presetWaits = 4 * time.Hour
	// criticalOrder and criticalPriority are those of the preset critical-last.
	criticalOrder    = 1000
	criticalPriority = int32(2_000_000_000)
)

// marks are what presets match, and their actions.
var marks = map[string]struct {
	match  plan.PodMatch
	action plan.Action
}{
	"cluster-autoscaler": {plan.PodMatch{Annotations: map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}, plan.AwaitPod},
	"karpenter":          {plan.PodMatch{Annotations: map[string]string{"karpenter.sh/do-not-disrupt": "true"}}, plan.AwaitPod},
	"cluster-api":        {plan.PodMatch{Pods: labels.SelectorFromSet(labels.Set{"cluster.x-k8s.io/drain": "skip"})}, plan.IgnorePod},
	"critical-last":      {plan.PodMatch{MinPriority: new(criticalPriority)}, plan.EvictPod},
}

// presetNames are those of marks, as they are told.
var presetNames = []string{"cluster-autoscaler", "karpenter", "cluster-api", "critical-last"}

// presets validates the presets.
func (v *validator) presets(presets []Preset) {
	seen := map[string]bool{}
	for i, p := range presets {
		path := fmt.Sprintf("presets[%d]", i)
		v.oneOf(path+".name", p.Name, presetNames...)
		if seen[p.Name] {
			v.bad(path+".name", p.Name, "expected each preset once")
		}
		seen[p.Name] = true
		if p.Action != "" {
			v.oneOf(path+".action", string(p.Action), string(plan.EvictPod), string(plan.IgnorePod), string(plan.AwaitPod), string(plan.BlockPod))
		}
		if p.AtMost != nil {
			v.positive(path+".atMost", *p.AtMost)
		}
		if p.Name == "critical-last" && (p.Action != "" || p.AtMost != nil) {
			v.bad(path, p.Name, "expected neither action nor atMost: the pods are evicted last")
		}
		if action := p.action(); p.AtMost != nil && action != plan.AwaitPod && action != "" {
			v.bad(path+".atMost", p.AtMost.Duration, "expected only with the action WaitCompleted: remove it, or change the action")
		}
	}
}

// reservedNames are names that a rule may not have.
func reservedNames() string { return strings.Join(slices.Concat(builtInRules, presetNames), ", ") }

func (p *Preset) action() plan.Action {
	if p.Action != "" {
		return p.Action
	}
	return marks[p.Name].action
}

// planRules are the rules of a preset. Tenants can write the marks: outside of
// trusted namespaces they hold up a node for a limited time at most. They never let
// a pod be evicted that barePods or emptyDir block.
func (p *Preset) planRules(c *DrainerConfiguration) []*plan.Rule {
	rule := plan.Rule{Name: p.Name, Match: marks[p.Name].match, Action: p.action()}
	if p.Name == "critical-last" {
		rule.Order = criticalOrder
	}
	limit := presetWaits
	if p.AtMost != nil {
		limit = p.AtMost.Duration
	}
	stays := rule.Action == plan.IgnorePod || rule.Action == plan.BlockPod
	var rules []*plan.Rule
	if trust := c.TrustPodAnnotations; stays && trust.somewhere() {
		there := rule
		there.Match.Namespaces, there.Match.NamespaceLabels = trust.Namespaces, selectorOf(trust.NamespaceSelector)
		rules = append(rules, &there)
	}
	if stays {
		rule.Action = plan.AwaitPod
	}
	if rule.Action == plan.AwaitPod {
		rule.AtMost = limit
	}
	if c.BarePods != plan.EvictBarePods {
		rule.Match.Controllers = []string{"*/*"}
	}
	if c.EmptyDir != plan.EvictEmptyDir {
		rule.Match.EmptyDir = new(false)
	}
	return append(rules, &rule)
}
