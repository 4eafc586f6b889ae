package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/cluster/daemon"
)

// mutant is the policies with one thing changed.
type mutant struct {
	name   string
	change func(map[string]*daemon.Confinement) bool
	// passes is what must be denied and no longer is; breaks is what must pass
	// and no longer does.
	passes, breaks string
}

// replaced changes the expression of a variable.
func replaced(variable, text, by string) func(map[string]*daemon.Confinement) bool {
	return func(all map[string]*daemon.Confinement) bool {
		for i, v := range all["drainer-nodes"].Policy.Spec.Variables {
			if v.Name == variable && strings.Contains(v.Expression, text) {
				all["drainer-nodes"].Policy.Spec.Variables[i].Expression = strings.ReplaceAll(v.Expression, text, by)
				return true
			}
		}
		return false
	}
}

// both changes a variable and the one of the object before.
func both(variable, old, text, by string) func(map[string]*daemon.Confinement) bool {
	return func(all map[string]*daemon.Confinement) bool {
		return replaced(variable, text, by)(all) && replaced(old, text, by)(all)
	}
}

// unchecked leaves a validation out.
func unchecked(policy, text string) func(map[string]*daemon.Confinement) bool {
	return func(all map[string]*daemon.Confinement) bool {
		spec := &all[policy].Policy.Spec
		before := len(spec.Validations)
		spec.Validations = slices.DeleteFunc(spec.Validations, func(v admissionv1.Validation) bool {
			return strings.Contains(v.Expression, text)
		})
		return len(spec.Validations) == before-1
	}
}

// unmatched leaves a resource out.
func unmatched(resource string) func(map[string]*daemon.Confinement) bool {
	return func(all map[string]*daemon.Confinement) bool {
		rule := &all["drainer-nodes"].Policy.Spec.MatchConstraints.ResourceRules[0]
		before := len(rule.Resources)
		rule.Resources = slices.DeleteFunc(rule.Resources, func(r string) bool { return r == resource })
		return len(rule.Resources) == before-1
	}
}

// partMutants leave out, of one part of the object, each way to differ.
func partMutants(variable, part, old string, passes ...string) []mutant {
	var (
		added   = "!(k in variables." + old + ") ||"
		changed = "variables." + part + "[k] != variables." + old + "[k]"
		removed = "variables." + old + ".filter(k, !(k in variables." + part + "))"
	)
	return []mutant{
		{"keys that are added to " + part, replaced(variable, added, "(k in variables."+old+") &&"), passes[0], ""},
		{"values that change in " + part, replaced(variable, changed, "false"), passes[1], ""},
		{"keys that are removed from " + part, replaced(variable, removed, "[]"), passes[2], ""},
	}
}

// unbounded leaves out how many taints or conditions there may be.
func unbounded(part string) func(map[string]*daemon.Confinement) bool {
	return replaced("crowded", "?"+part+".orValue([]).size()", "?"+part+".orValue([]).size() - 1000")
}

var mutants = slices.Concat(
	partMutants("changedMetadata", "metadata", "oldMetadata", "an owner", "another label", "no finalizers"),
	partMutants("changedAnnotations", "annotations", "oldAnnotations", "a foreign annotation", "another foreign annotation", "no foreign annotation"),
	partMutants("changedSpec", "spec", "oldSpec", "provider ID", "another value of a new field of the spec", "no new field of the spec"),
	partMutants("changedStatus", "status", "oldStatus", "features", "the kubelet's port", "no volume in use"),
	[]mutant{
		{"metadata", unchecked("drainer-nodes", "changedMetadata"), "a label", ""},
		{"annotations", unchecked("drainer-nodes", "changedAnnotations"), "a foreign annotation", ""},
		{"the spec", unchecked("drainer-nodes", "changedSpec"), "pod CIDR", ""},
		{"taints", unchecked("drainer-nodes", "variables.taints"), "a taint NoExecute", ""},
		{"the status", unchecked("drainer-nodes", "changedStatus"), "addresses", ""},
		{"conditions", unchecked("drainer-nodes", "variables.conditions"), "not Ready", ""},
		{"evictions", unchecked("drainer-evictions", "gracePeriodSeconds"), "an eviction by force", ""},
		{"the grace period of deletions", unchecked("drainer-deletions", "gracePeriodSeconds"), "a deletion by force", ""},
		{"the UID of deletions", unchecked("drainer-deletions", "preconditions"), "a deletion of any pod of a name", ""},
		{"the resource nodes", unmatched("nodes"), "a taint NoExecute", ""},
		{"the resource nodes/status", unmatched("nodes/status"), "addresses", ""},
		{"the key of the own taint", both("taints", "oldTaints", "t.key == 'drainer.dev/queued' &&", ""), "a taint PreferNoSchedule", ""},
		{"the effect of the own taint", both("taints", "oldTaints", "&& t.effect == 'PreferNoSchedule'", ""), "drainer's taint as NoExecute", ""},
		{"the slash of the prefix", replaced("changedAnnotations", "drainer.dev/", "drainer.dev"), "an annotation under a longer domain", ""},
		{"the start of the prefix", replaced("changedAnnotations", "startsWith", "contains"), "an annotation under a subdomain", ""},
		{"the bound", unchecked("drainer-nodes", "!variables.crowded"), crowds["annotations"].name, ""},
		{"the bound on annotations", replaced("crowded", "variables.annotations.size() > 1000 || variables.oldAnnotations.size() > 1000", "false"), crowds["annotations"].name, ""},
		{"the bound on taints", unbounded("taints"), crowds["taints"].name, ""},
		{"the bound on conditions", unbounded("conditions"), crowds["conditions"].name, ""},
		// What may differ. The resourceVersion does not, in any request that these
		// API servers let through to admission.
		{"managed fields", replaced("changedMetadata", "'managedFields', ", ""), "", "no cordon"},
		{"generation", replaced("changedMetadata", "'generation', ", ""), "", "a cordon in future"},
		{"annotations of metadata", replaced("changedMetadata", ", 'annotations'", ""), "", "own annotations"},
		{"own annotations", replaced("changedAnnotations", "!k.startsWith('drainer.dev/')", "true"), "", "own annotations"},
		{"unschedulable", replaced("changedSpec", "'unschedulable', ", ""), "", "no cordon"},
		{"taints of the spec", replaced("changedSpec", ", 'taints'", ""), "", "an own taint"},
		{"conditions of the status", replaced("changedStatus", "k != 'conditions'", "true"), "", "own conditions"},
		{"the condition Drained", both("conditions", "oldConditions", "'Drained', ", ""), "", "own conditions"},
		{"the condition DrainInProgress", both("conditions", "oldConditions", ", 'DrainInProgress'", ""), "", "own conditions"},
		{"a spec that is missing", replaced("spec", "?spec.orValue({})", "spec"), "", "own annotations in future"},
		{"a spec that was missing", replaced("oldSpec", "?spec.orValue({})", "spec"), "", "a cordon in future"},
		{"a status that is missing", replaced("status", "?status.orValue({})", "status"), "", "own annotations in future"},
		{"a status that was missing", replaced("oldStatus", "?status.orValue({})", "status"), "", "own annotations in future"},
		{"annotations that are missing", replaced("annotations", "?annotations.orValue({})", "annotations"), "", "a cordon in future"},
		{"annotations that were missing", replaced("oldAnnotations", "?annotations.orValue({})", "annotations"), "", "own annotations in future"},
		{"taints that are missing", replaced("taints", "?taints.orValue([])", "taints"), "", "own annotations in future"},
		{"taints that were missing", replaced("oldTaints", "?taints.orValue([])", "taints"), "", "own annotations in future"},
		{"conditions that are missing", replaced("conditions", "?conditions.orValue([])", "conditions"), "", "own annotations in future"},
		{"conditions that were missing", replaced("oldConditions", "?conditions.orValue([])", "conditions"), "", "own annotations in future"},
	},
)

// TestConfinementGuards: without any one part of the policies something passes
// that must be denied, or something is denied that drainer has to do.
func TestConfinementGuards(t *testing.T) {
	e := setup(t, 1)
	e.richNode()
	e.deletable(e.nodes[0])
	full, empty := e.makeFutures()
	user := func(i int) string { return fmt.Sprintf("confined-%02d", i) }
	for i, m := range mutants {
		e.confine(user(i), user(i), func(all map[string]*daemon.Confinement) {
			if !m.change(all) {
				t.Fatalf("there is no such thing to leave out: %s", m.name)
			}
			alsoInFuture(all)
		})
	}
	attempts := map[string]func(person) string{}
	lists := map[where][]change{
		{nodes, e.nodes[0], ""}: slices.Concat(forbidden, permitted), {futures, full, ""}: forbiddenInFuture, {futures, empty, ""}: permittedInFuture,
	}
	for what, c := range crowds {
		lists[where{nodes, e.crowdedNode(what, mostLookedAt+1), ""}] = []change{c}
	}
	for w, list := range lists {
		for _, c := range list {
			to := where{w.resource, w.object, c.sub}
			attempts[c.name] = func(p person) string { return p.refused(e, to, c) }
		}
	}
	for i, m := range mutants {
		e.awaitInForce(user(i))
		attempt := attempts[m.passes+m.breaks]
		if attempt == nil {
			t.Fatalf("there is no attempt %q", m.passes+m.breaks)
		}
		got := attempt(personOf(t, as(user(i)), metav1.DryRunAll))
		if denied := got != ""; denied != (m.breaks != "") {
			t.Errorf("without %s, %s: denied is %v (%s)", m.name, m.passes+m.breaks, denied, got)
		}
	}
	t.Logf("%d parts are needed, each", len(mutants))
}
