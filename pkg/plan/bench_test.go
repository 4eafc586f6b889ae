package plan

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// fleet is a snapshot of draining nodes whose pods are spread over apps, each
// under a budget, ten apps to a namespace.
func fleet(now time.Time, nodes, pods, apps int) *Snapshot {
	s := newScene()
	s.Now = now
	since := now.Add(-time.Minute)
	for i := range nodes {
		name := fmt.Sprintf("node-%04d", i)
		s.draining(name)
		for j := range pods {
			app := (i*pods + j) % apps
			pod := s.pod(name, fmt.Sprintf("app%d-%d-%d", app, i, j))
			pod.Namespace = fmt.Sprintf("ns-%d", app/10)
			s.remember(pod, PodMemory{FirstSeen: since, Target: true, BlockedSince: since, BlockedBy: BudgetExhausted})
		}
	}
	for i := range apps {
		b := s.budget(fmt.Sprintf("pdb-%d", i), fmt.Sprintf("app%d", i), int32(i%3), 100, 99, 110)
		b.Namespace = fmt.Sprintf("ns-%d", i/10)
	}
	all := s.Budgets["ns"].List
	clear(s.Budgets)
	for _, b := range all {
		s.Budgets[b.Namespace] = NamespaceBudgets{Epoch: 1, List: append(s.Budgets[b.Namespace].List, b)}
	}
	Match(s.Pods, s.Budgets)
	return s.Snapshot
}

// sizes are those of the benchmarks.
var sizes = []struct{ nodes, pods, apps int }{{1, 100, 10}, {50, 100, 100}, {500, 100, 1000}}

func BenchmarkMake(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("nodes=%d/pods=%d/budgets=%d", size.nodes, size.pods, size.apps), func(b *testing.B) {
			s := fleet(noon, size.nodes, size.pods, size.apps)
			b.ReportAllocs()
			for b.Loop() {
				if plan := Make(s); len(plan.Nodes) != size.nodes || len(plan.Grants) == 0 {
					b.Fatalf("%d nodes, %d grants", len(plan.Nodes), len(plan.Grants))
				}
			}
		})
	}
}

// twenty are 20 rules as a cluster may have them: some for single namespaces, some
// that look at the pool of a node or at budgets, one that gives an order.
func twenty() []*Rule {
	rules := []*Rule{
		{Name: "gpu", Match: PodMatch{Pools: []string{"gpu"}, Controllers: []string{"batch/v1/Job"}}, Action: AwaitPod, AtMost: time.Hour},
		{Name: "arm", Match: PodMatch{Pools: []string{"arm"}}, Action: BlockPod},
		{Name: "unguarded", Match: PodMatch{Budget: NoBudget}, Action: EvictPod, Order: -1},
		{Name: "hopeless", Match: PodMatch{Budget: NeverAllowingBudget}, Action: EvictPod, Order: 1},
	}
	for i := range 15 {
		rules = append(rules, &Rule{Name: fmt.Sprintf("rule-%d", i), Match: PodMatch{Namespaces: []string{fmt.Sprintf("ns-%d", i*5), "other-*"}}, Action: EvictPod})
	}
	return append(rules, &Rule{Name: "last", Match: PodMatch{Pods: mustSelect("app in (app1, app2, app3)")}, Action: EvictPod, Order: 100})
}

// ruled lets the rules decide about the pods of a snapshot.
func ruled(s *Snapshot, list []*Rule) *Snapshot {
	rules := &Rules{List: list}
	yes := true
	for _, entries := range s.Pods {
		for _, e := range entries {
			set, err := labels.ConvertSelectorToLabelsMap(string(e.Labels))
			if err != nil {
				panic(err)
			}
			owner := metav1.OwnerReference{APIVersion: e.Controller.APIVersion, Kind: e.Controller.Kind, Controller: &yes}
			e.Rules = rules.PodOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Namespace: e.Namespace, Labels: set, OwnerReferences: []metav1.OwnerReference{owner},
			}}).Rules
		}
	}
	return s
}

// BenchmarkRules is BenchmarkMake of the largest size, without rules and with 20.
// The second is to take at most 1.3 times as long as the first.
func BenchmarkRules(b *testing.B) {
	size := sizes[len(sizes)-1]
	for _, rules := range [][]*Rule{nil, twenty()} {
		b.Run(fmt.Sprintf("rules=%d", len(rules)), func(b *testing.B) {
			s := ruled(fleet(noon, size.nodes, size.pods, size.apps), rules)
			b.ReportAllocs()
			for b.Loop() {
				if plan := Make(s); len(plan.Nodes) != size.nodes || len(plan.Grants) == 0 {
					b.Fatalf("%d nodes, %d grants", len(plan.Nodes), len(plan.Grants))
				}
			}
		})
	}
}

// TestRulesCost: with 20 rules a plan allocates at most 1.3 times as much as
// without. Allocations are counted and not time, as in TestMakeGrowth; the time is
// that of BenchmarkRules.
func TestRulesCost(t *testing.T) {
	allocations := func(rules []*Rule) float64 {
		s := ruled(fleet(noon, 50, 50, 100), rules)
		return testing.AllocsPerRun(5, func() { Make(s) })
	}
	if without, with := allocations(nil), allocations(twenty()); with > 1.3*without {
		t.Errorf("%v allocations without rules, %v with 20", without, with)
	}
}

func BenchmarkOutcomeOf(b *testing.B) {
	err := apierrors.NewTooManyRequests("slow down", 1)
	b.ReportAllocs()
	for b.Loop() {
		if o := OutcomeOf(429, err); o.Reason != Throttled {
			b.Fatal(o)
		}
	}
}

// TestMakeGrowth: twice the nodes, at most a little more than twice the work.
// Allocations are counted and not time, so that a busy machine does not matter.
func TestMakeGrowth(t *testing.T) {
	allocations := func(nodes int) float64 {
		s := fleet(noon, nodes, 50, 100)
		return testing.AllocsPerRun(5, func() { Make(s) })
	}
	once, twice := allocations(40), allocations(80)
	if twice > 2.3*once {
		t.Errorf("%v allocations for 40 nodes, %v for 80", once, twice)
	}
}

// TestNoHerd: a hundred pods wait, one disruption is allowed: one is sent.
func TestNoHerd(t *testing.T) {
	s := newScene()
	for i := range 10 {
		name := fmt.Sprintf("n%d", i)
		s.draining(name)
		for j := range 10 {
			s.pod(name, fmt.Sprintf("web-%d%d", i, j))
		}
	}
	s.budget("p", "web", 1, 100, 99, 100)
	if n := len(Make(s.Snapshot).Grants); n != 1 {
		t.Errorf("%d pods are sent under a budget of one", n)
	}
}
