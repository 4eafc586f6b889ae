package plan

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// TestMatch: a pod is under those budgets of its own namespace that select it,
// also after a budget comes or goes.
func TestMatch(t *testing.T) {
	s := newScene()
	web, db, other, lone := s.pod("n", "web-0"), s.pod("n", "db-0"), s.pod("n", "web-1"), s.pod("n", "web-2")
	other.Namespace, lone.Namespace = "other", "without"
	selects := func(name, app string) BudgetView {
		return BudgetView{Budget: &Budget{Name: name, Selector: labels.SelectorFromSet(labels.Set{"app": app})}}
	}
	check := func(when string, want map[*Pod][]int) {
		t.Helper()
		Match(s.Pods, s.Budgets)
		for pod, places := range want {
			if got := s.Memory.Pods[pod.UID].matched; !slices.Equal(got, places) {
				t.Errorf("%s: %s is under the budgets at %v, want %v", when, pod.Key(), got, places)
			}
		}
	}
	s.Budgets["ns"] = NamespaceBudgets{Epoch: 1, List: []BudgetView{selects("a", "db"), selects("b", "web")}}
	s.Budgets["other"] = NamespaceBudgets{Epoch: 2, List: []BudgetView{selects("c", "web")}}
	check("at first", map[*Pod][]int{web: {1}, db: {0}, other: {0}, lone: nil})
	s.Budgets["ns"] = NamespaceBudgets{Epoch: 3, List: []BudgetView{selects("b", "web"), selects("d", "web")}}
	check("after one went and one came", map[*Pod][]int{web: {0, 1}, db: nil, other: {0}, lone: nil})
	delete(s.Budgets, "ns")
	check("without any", map[*Pod][]int{web: nil, db: nil, other: {0}, lone: nil})
}

// TestPlanKeepsItsWords: what a plan says does not change with what is remembered
// later: reports are written while the next plan is made.
func TestPlanKeepsItsWords(t *testing.T) {
	s := newScene()
	s.draining("n")
	pod := s.pod("n", "web-1", func(p *Pod) { p.Deadline, p.Grace = noon.Add(time.Hour), 5*time.Second })
	s.remember(pod, PodMemory{LeavingSince: noon.Add(-time.Minute)})
	plan := planOf(t, Make(s.Snapshot), "n")
	since, message := plan.Pods[0].StuckFrom(), plan.Report().Message
	if want := noon.Add(-55 * time.Second); !since.Equal(want) {
		t.Fatalf("it is overdue since %v, want %v", since, want)
	}
	s.remember(pod, PodMemory{LeavingSince: noon})
	if got := plan.Pods[0].StuckFrom(); !got.Equal(since) {
		t.Errorf("it was overdue since %v, and later since %v", since, got)
	}
	if got := plan.Report().Message; got != message {
		t.Errorf("the message was %q, and later %q", message, got)
	}
}

// TestNamespaces: a budget holds up pods of its own namespace only.
func TestNamespaces(t *testing.T) {
	for name, match := range map[string]bool{"matched": true, "not matched before": false} {
		s := newScene()
		s.draining("n")
		// In order of namespace and name, as lists are.
		for _, namespace := range []string{"a", "b", "c"} {
			s.pod("n", "web-"+namespace, func(p *Pod) { p.Namespace = namespace })
		}
		for i, allowed := range []int32{0, 1} {
			b := s.budget("p", "web", allowed, 2, 2-allowed, 2)
			b.Namespace = []string{"a", "b"}[i]
			s.Budgets[b.Namespace] = NamespaceBudgets{Epoch: 1, List: []BudgetView{{Budget: b, Free: int(allowed)}}}
		}
		delete(s.Budgets, "ns")
		if match {
			Match(s.Pods, s.Budgets)
		}
		plan := Make(s.Snapshot)
		if got := granted(plan); !slices.Equal(got, []string{"web-b", "web-c"}) {
			t.Errorf("%s: granted %v, want the pods that no budget holds up", name, got)
		}
	}
}
