package sim

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestBudgetsOf: a budget selects pods by whatever its selector says, also when its
// selector or a pod's labels change, and whichever is there first.
func TestBudgetsOf(t *testing.T) {
	in := func(values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: values}}}
	}
	selectors := map[string]*metav1.LabelSelector{
		"all":      {},
		"both":     {MatchLabels: map[string]string{"app": "web", "tier": "front"}},
		"exists":   {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}}},
		"mistaken": {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Likes"}}},
		"one":      in("web"),
		"others":   {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"web"}}}},
		"two":      in("web", "db"),
	}
	for _, budgetsFirst := range []bool{true, false} {
		c := newCluster(1)
		addBudgets := func() {
			for name, selector := range selectors {
				spec := maxUnavailable("1")
				spec.Selector = selector
				c.AddBudget("shop", name, "", spec)
			}
			c.AddBudget("elsewhere", "web", "web", maxUnavailable("1"))
		}
		if budgetsFirst {
			addBudgets()
		}
		c.AddPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: map[string]string{"app": "web"}}}, Behavior{})
		if !budgetsFirst {
			addBudgets()
		}
		check := func(when string, want ...string) {
			t.Helper()
			var by, under []string
			for _, b := range c.budgetsOf(c.Pod(pod)) {
				by = append(by, b.Name)
			}
			for name := range selectors {
				if len(c.podsUnder(Key{Namespace: "shop", Name: name})) > 0 {
					under = append(under, name)
				}
			}
			if slices.Sort(under); !slices.Equal(by, want) || !slices.Equal(under, want) {
				t.Errorf("%s, budgets first %v: the pod is selected by %v, and under %v; want %v", when, budgetsFirst, by, under, want)
			}
		}
		label := func(labels map[string]string) { c.UpdatePod(pod, func(p *corev1.Pod) { p.Labels = labels }) }
		check("at first", "all", "one", "two")
		label(map[string]string{"app": "web", "tier": "front"})
		check("with another label", "all", "both", "exists", "one", "two")
		label(map[string]string{"app": "db"})
		check("with another value", "all", "others", "two")
		c.UpdateBudget(Key{Namespace: "shop", Name: "one"}, func(spec *policyv1.PodDisruptionBudgetSpec) { spec.Selector = in("db") })
		check("with another selector", "all", "one", "others", "two")
		c.Delete(Budgets, Key{Namespace: "shop", Name: "all"})
		check("with a budget less", "one", "others", "two")
		b := c.Backup()
		label(nil)
		check("without labels", "others")
		c.Restore(b)
		check("restored", "one", "others", "two")
	}
}
