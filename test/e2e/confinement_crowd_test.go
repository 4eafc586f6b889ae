package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/daemon"
)

// mostLookedAt is how many of each of a Node's lists the policies look through.
const mostLookedAt = 1000

// crowded is what the policies say of a node that has more.
const crowded = "more than 1000 annotations, taints or conditions"

// crowds are what a Node may have too many of, each with a change that is
// drainer's own otherwise.
var crowds = map[string]change{
	"annotations": {name: "a cordon of a node with too many annotations", says: crowded, patch: `{"spec":{"unschedulable":true}}`},
	"taints":      {name: "a cordon of a node with too many taints", says: crowded, patch: `{"spec":{"unschedulable":true}}`},
	"conditions":  {name: "a cordon of a node with too many conditions", says: crowded, patch: `{"spec":{"unschedulable":true}}`},
}

// crowdedNode makes a node with as many annotations, taints or conditions.
func (e *env) crowdedNode(what string, many int) string {
	e.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d-%s", e.namespace, many, what), Annotations: map[string]string{}}}
	for i := range many {
		name := fmt.Sprintf("a%05d", i)
		switch what {
		case "annotations":
			n.Annotations[name] = ""
		case "taints":
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: name, Effect: corev1.TaintEffectPreferNoSchedule})
		case "conditions":
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeConditionType(name), Status: corev1.ConditionTrue})
		}
	}
	e.create(n)
	return n.Name
}

// TestConfinementOfCrowds: a node with more than the policies look through is
// left alone, and the API server says so at once.
func TestConfinementOfCrowds(t *testing.T) {
	e := setup(t, 1)
	e.mayBeForbidden = true
	me := e.withToken()
	for what, c := range crowds {
		node := e.crowdedNode(what, mostLookedAt+1)
		if got := me.refused(e, where{nodes, node, c.sub}, c); !strings.Contains(got, c.says) {
			t.Errorf("%s: answered with %q, want %q", c.name, got, c.says)
		}
	}
	full := e.crowdedNode("annotations", mostLookedAt-1)
	poll(t, "a controller has added an annotation of its own", func() bool {
		n := e.node(full)
		return n != nil && len(n.Annotations) == mostLookedAt
	})
	for _, c := range []change{
		{name: "a cordon", patch: `{"spec":{"unschedulable":true}}`},
		{name: "one annotation more", says: crowded, patch: `{"metadata":{"annotations":{"drainer.dev/status":"{}"}}}`},
		{name: "another annotation", says: "annotation a00000", patch: `{"metadata":{"annotations":{"a00000":"x"}}}`},
	} {
		if got := me.refused(e, where{nodes, full, ""}, c); !strings.Contains(got, c.says) || (got == "") != (c.says == "") {
			t.Errorf("%s of a node with %d annotations: answered with %q, want %q", c.name, mostLookedAt, got, c.says)
		}
	}
	e.judgedAtOnce(me)
}

// judgedAtOnce sees that the denial of drainer's attempt to change a node with
// 20,000 annotations takes about as long as the same change by somebody whom no
// policy is about. Looked through, it takes more than ten times as long.
func (e *env) judgedAtOnce(me person) {
	e.Helper()
	huge := e.crowdedNode("annotations", 20*mostLookedAt)
	e.Cleanup(func() {
		// Every component that watches nodes has it in memory.
		if err := shared.Client.CoreV1().Nodes().Delete(noDeadline, huge, metav1.DeleteOptions{}); err != nil {
			e.Error(err)
		}
	})
	anybody := personOf(e.T, shared.Cluster.Config(), metav1.DryRunAll)
	took := func(p person, says string) time.Duration {
		began := time.Now()
		err := p.try(e.Context(), where{nodes, huge, ""}, crowds["annotations"])
		if !strings.Contains(fmt.Sprint(err), says) {
			e.Logf("answered with %v, want %q", err, says)
			return time.Hour
		}
		return time.Since(began)
	}
	// The shortest of several: other work on the machine makes them longer.
	allowed, denied := time.Hour, time.Hour
	poll(e.T, "a denial takes not much longer than a cordon", func() bool {
		for range 3 {
			allowed = min(allowed, took(anybody, "<nil>"))
		}
		denied = min(denied, took(me, crowded))
		e.Logf("denied in %v, a cordon takes %v", denied, allowed)
		return denied < 4*allowed
	})
}

// TestConfinementFailsClosed: what a policy cannot judge is denied, and passes
// only where its failurePolicy is another.
func TestConfinementFailsClosed(t *testing.T) {
	e := setup(t, 1)
	const unjudged = api.Prefix + "unjudged"
	open := admissionv1.Ignore
	for user, policy := range map[string]*admissionv1.FailurePolicyType{"closed": nil, "open": &open} {
		e.confine(user, user, func(all map[string]*daemon.Confinement) {
			for _, c := range all {
				if policy != nil {
					c.Policy.Spec.FailurePolicy = policy
				}
				c.Policy.Spec.Validations = append(c.Policy.Spec.Validations, admissionv1.Validation{
					Expression: "!('" + unjudged + "' in object.metadata.?annotations.orValue({})) || object.metadata.annotations['none'] == ''",
				})
			}
		})
		e.awaitInForce(user)
		who := personOf(t, as(user), metav1.DryRunAll)
		patch := `{"metadata":{"annotations":{"` + unjudged + `":""}}}`
		for _, sub := range []string{"", "status"} {
			err := who.try(e.Context(), where{nodes, e.nodes[0], sub}, change{patch: patch})
			if passes := err == nil; passes != (policy != nil) {
				t.Errorf("%s, nodes/%s: passes is %v (%v)", user, sub, passes, err)
			}
		}
		err := who.evict(e.Context(), map[string]string{unjudged: ""}, &thirty)
		if denied := err != nil && strings.Contains(err.Error(), "no such key"); denied != (policy == nil) {
			t.Errorf("%s, eviction: denied is %v (%v)", user, denied, err)
		}
	}
}
