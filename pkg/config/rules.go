package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"drainer.dev/drainer/pkg/plan"
)

// Rule says what happens to the pods that it matches.
type Rule struct {
	// name is shown in messages, in the status and in metrics; a DNS label. Required, and
	// different for each rule. The names of presets, bare-pods, empty-dir and default are
	// reserved.
	Name string `json:"name"`
	// match says which pods the rule is for: those that match everything that
	// it sets. Required, with at least one field.
	Match PodMatch `json:"match"`
	// action is what happens to them: Evict evicts them, Ignore lets them stay on the
	// drained node, WaitCompleted waits until they have completed, Block waits until
	// somebody else removes them. Required.
	Action plan.Action `json:"action"`
	// order is when they are evicted, from -1000000 to 1000000: lower orders first, and a
	// higher one once all pods of the node with a lower order are gone. Pods without a
	// rule have order 0. Not with Ignore.
	Order int `json:"order,omitempty"`
	// gracePeriod overrides the pods' own grace period, in whole seconds, at least 1s. The
	// annotation drainer.dev/grace-period of the node overrides it. Not with Ignore.
	GracePeriod *metav1.Duration `json:"gracePeriod,omitempty"`
	// stuckAfter overrides stuckAfter for these pods. Without it, pods that wait for
	// their completion, or for their order, never count as stuck. Not with Ignore.
	StuckAfter *metav1.Duration `json:"stuckAfter,omitempty"`
	// atMost is for how long WaitCompleted waits, from the beginning of the drain, or
	// from the creation of the pod if that is later. Then the pod is evicted. Without
	// it there is no limit.
	AtMost *metav1.Duration `json:"atMost,omitempty"`
	// deleteAfter is how long budgets may hold a pod until it is deleted past them,
	// as with onTimeout Delete, one pod of a budget at a time. It needs
	// allowDelete, and the action Evict or WaitCompleted. Time counts only while nothing
	// but a budget holds the pod and drainer would evict it. A pause, a closed window, a
	// freeze, an uncordoned node, a budget that the disruption controller has not
	// processed, or a new process restarts the count. Without it a rule
	// deletes nothing.
	DeleteAfter *metav1.Duration `json:"deleteAfter,omitempty"`
}

// PodMatch says which pods a rule is for.
type PodMatch struct {
	// namespaces are names of namespaces, of which one has to match; * stands for any
	// characters.
	Namespaces []string `json:"namespaces,omitempty"`
	// namespaceSelector selects the pod's namespace by its labels. drainer's role has
	// to allow it to list and watch namespaces.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// podSelector selects pods by their labels.
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`
	// podAnnotations are annotations that a pod has to have, with their values.
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`
	// controllers are the kinds of the pods' controllers, with their API version, such as
	// batch/v1/Job or apps/*/StatefulSet; None for pods without a controller.
	Controllers []string `json:"controllers,omitempty"`
	// minPriority is the lowest priority of these pods.
	MinPriority *int32 `json:"minPriority,omitempty"`
	// maxPriority is the highest priority of these pods.
	MaxPriority *int32 `json:"maxPriority,omitempty"`
	// resources are names of resources, such as nvidia.com/gpu, of which a pod has to
	// request at least one.
	Resources []string `json:"resources,omitempty"`
	// emptyDir is whether a pod has an emptyDir volume.
	EmptyDir *bool `json:"emptyDir,omitempty"`
	// evictionResponders are names of eviction responders (spec.evictionResponders), of
	// which a pod has to have one; * stands for any characters, and None for pods
	// without any. drainer does not ask them.
	EvictionResponders []string `json:"evictionResponders,omitempty"`
	// schedulingGroup is whether a pod is in a scheduling group (spec.schedulingGroup).
	SchedulingGroup *bool `json:"schedulingGroup,omitempty"`
	// pools are names of pools, of which the node has to be in one.
	Pools []string `json:"pools,omitempty"`
	// budget is what the PodDisruptionBudgets of a pod are like: None if there is
	// none, NeverAllows if one of them allows no disruption even when all its pods are
	// healthy.
	Budget plan.BudgetMatch `json:"budget,omitempty"`
	// replicas is how many replicas the controller of a pod has to have, such as 1 for
	// pods that no other replica stands in for. drainer reads it for ReplicaSets and StatefulSets only;
	// drainer's role has to allow it to get them.
	Replicas *int32 `json:"replicas,omitempty"`
}

// PodTrust says where the annotations of pods count: in the namespaces that match
// everything that it sets, and nowhere if it sets nothing.
type PodTrust struct {
	// namespaces are names of namespaces; * stands for any characters.
	Namespaces []string `json:"namespaces,omitempty"`
	// namespaceSelector selects namespaces by their labels. drainer's role has to allow
	// it to list and watch namespaces.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// somewhere is true if annotations count in any namespace.
func (t *PodTrust) somewhere() bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil }

// mostOrder bounds orders, in both directions.
const mostOrder = 1_000_000

// rules validates the rules for pods.
func (v *validator) rules(c *DrainerConfiguration) {
	for i, name := range c.TrustPodAnnotations.Namespaces {
		v.namespacePattern(fmt.Sprintf("trustPodAnnotations.namespaces[%d]", i), name)
	}
	v.selector("trustPodAnnotations.namespaceSelector", c.TrustPodAnnotations.NamespaceSelector)
	v.presets(c.Presets)
	named := map[string]int{}
	for i := range c.Rules {
		r, path := &c.Rules[i], fmt.Sprintf("rules[%d]", i)
		v.rule(path, r)
		v.deleteAfter(path, r, c.AllowDelete)
		v.match(path+".match", &r.Match, c.Pools)
		if first, twice := named[r.Name]; twice {
			v.bad(path+".name", r.Name, fmt.Sprintf("expected a name other than that of rules[%d]", first))
		} else {
			named[r.Name] = i
		}
	}
}

func (v *validator) rule(path string, r *Rule) {
	if problems := validation.IsDNS1123Label(r.Name); len(problems) > 0 {
		v.bad(path+".name", r.Name, "expected a DNS label such as databases-last: "+strings.Join(problems, "; "))
	}
	if slices.Contains(builtInRules, r.Name) || slices.Contains(presetNames, r.Name) {
		v.bad(path+".name", r.Name, "expected a name other than that of a built-in rule or a preset: "+reservedNames())
	}
	v.oneOf(path+".action", string(r.Action), string(plan.EvictPod), string(plan.IgnorePod), string(plan.AwaitPod), string(plan.BlockPod))
	if r.Order < -mostOrder || r.Order > mostOrder {
		v.bad(path+".order", r.Order, fmt.Sprintf("expected a number from %d to %d", -mostOrder, mostOrder))
	}
	if g := r.GracePeriod; g != nil && (g.Duration < time.Second || g.Duration%time.Second != 0 || g.Duration/time.Second > math.MaxInt32) {
		v.bad(path+".gracePeriod", g.Duration, "expected whole seconds, at least 1s")
	}
	for _, d := range []struct {
		name  string
		value *metav1.Duration
	}{{".stuckAfter", r.StuckAfter}, {".atMost", r.AtMost}} {
		if d.value != nil {
			v.positive(path+d.name, *d.value)
		}
	}
	if r.AtMost != nil && r.Action != plan.AwaitPod {
		v.bad(path+".atMost", r.AtMost.Duration, "expected only with the action WaitCompleted: remove it, or change the action")
	}
	if r.Action == plan.IgnorePod && (r.Order != 0 || r.GracePeriod != nil || r.StuckAfter != nil) {
		v.bad(path+".action", string(r.Action), "expected no order, grace period or time until stuck with this action: the pods stay")
	}
}

// deleteAfter: only what is evicted may be deleted, and only if drainer may.
func (v *validator) deleteAfter(path string, r *Rule, allowDelete bool) {
	if r.DeleteAfter == nil {
		return
	}
	path += ".deleteAfter"
	v.positive(path, *r.DeleteAfter)
	if r.Action != plan.EvictPod && r.Action != plan.AwaitPod {
		v.bad(path, r.DeleteAfter.Duration, "expected only with the action Evict or WaitCompleted: remove it, or change the action")
	}
	if !allowDelete {
		v.bad(path, r.DeleteAfter.Duration, "expected only with allowDelete: remove it, or set allowDelete")
	}
}

func (v *validator) match(path string, m *PodMatch, pools []Pool) {
	if m.empty() {
		v.bad(path, "", "expected at least one field, such as namespaces; for all pods write namespaces: [\"*\"]")
	}
	for i, name := range m.Namespaces {
		v.namespacePattern(fmt.Sprintf("%s.namespaces[%d]", path, i), name)
	}
	v.selector(path+".namespaceSelector", m.NamespaceSelector)
	v.selector(path+".podSelector", m.PodSelector)
	for key := range m.PodAnnotations {
		if problems := validation.IsQualifiedName(strings.ToLower(key)); len(problems) > 0 {
			v.bad(path+".podAnnotations", key, "expected the key of an annotation: "+strings.Join(problems, "; "))
		}
	}
	for i, kind := range m.Controllers {
		v.controller(fmt.Sprintf("%s.controllers[%d]", path, i), kind)
	}
	if m.MinPriority != nil && m.MaxPriority != nil && *m.MinPriority > *m.MaxPriority {
		v.bad(path+".maxPriority", *m.MaxPriority, fmt.Sprintf("expected at least minPriority (%d)", *m.MinPriority))
	}
	for i, name := range m.Resources {
		if problems := validation.IsQualifiedName(name); len(problems) > 0 {
			v.bad(fmt.Sprintf("%s.resources[%d]", path, i), name, "expected the name of a resource such as nvidia.com/gpu: "+strings.Join(problems, "; "))
		}
	}
	for i, name := range m.EvictionResponders {
		v.responder(fmt.Sprintf("%s.evictionResponders[%d]", path, i), name)
	}
	for i, name := range m.Pools {
		if !slices.ContainsFunc(pools, func(p Pool) bool { return p.Name == name }) {
			v.bad(fmt.Sprintf("%s.pools[%d]", path, i), name, "expected the name of one of the pools")
		}
	}
	if m.Replicas != nil {
		v.atLeast(path+".replicas", int(*m.Replicas), 1)
	}
	if m.Budget != "" {
		v.oneOf(path+".budget", string(m.Budget), string(plan.NoBudget), string(plan.NeverAllowingBudget))
	}
}

func (m *PodMatch) empty() bool {
	return len(m.Namespaces)+len(m.PodAnnotations)+len(m.Controllers)+len(m.Resources)+len(m.EvictionResponders)+len(m.Pools) == 0 &&
		m.SchedulingGroup == nil && m.NamespaceSelector == nil && m.PodSelector == nil && m.MinPriority == nil && m.MaxPriority == nil && m.EmptyDir == nil && m.Budget == "" && m.Replicas == nil
}

// namespacePattern validates a namespace in which * stands for any characters.
func (v *validator) namespacePattern(path, name string) {
	if problems := validation.IsDNS1123Label(strings.ReplaceAll(name, "*", "x")); len(problems) > 0 {
		v.bad(path, name, "expected the name of a namespace, in which * stands for any characters: "+strings.Join(problems, "; "))
	}
}

// responder validates the name of an eviction responder in which * stands for any
// characters.
func (v *validator) responder(path, name string) {
	if name == plan.NoResponder || name == "*" {
		return
	}
	problems := validation.IsQualifiedName(strings.ReplaceAll(name, "*", "x"))
	if !strings.Contains(name, "/") {
		problems = append(problems, "it has no domain")
	}
	if len(problems) > 0 {
		v.bad(path, name, "expected the name of an eviction responder such as example.com/backup, in which * stands for any characters, or None: "+strings.Join(problems, "; "))
	}
}

// controller validates the kind of a controller.
func (v *validator) controller(path, kind string) {
	parts := strings.Split(kind, "/")
	switch by := controlledBy[parts[len(parts)-1]]; {
	case kind == plan.NoController:
	case len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, ""):
		v.bad(path, kind, "expected group/version/Kind such as batch/v1/Job, version/Kind such as v1/ReplicationController, or None")
	case by != "":
		v.bad(path, kind, fmt.Sprintf("expected the kind that controls the pods themselves: %s", by))
	}
}
