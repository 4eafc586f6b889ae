package metrics

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// guarded are the plans of a draining node with pods of budgets that allow no
// disruption: budget i of namespace i%3 has i+1 pods, and needs one more
// healthy pod than it has.
func guarded(budgets int, rules ...*plan.Rule) func() map[types.UID]plan.NodePlan {
	all, _ := plan.ParseShare("100%")
	node := &plan.Node{
		Name: "n", UID: "uid-n", Served: true, Ready: true, Unschedulable: true, OwnCordon: true,
		Annotations: map[string]string{api.DrainAnnotation: "r"},
	}
	s := &plan.Snapshot{
		Now: time.Now(), Nodes: []*plan.Node{node}, Memory: plan.NewMemory(), Budgets: map[string]plan.NamespaceBudgets{},
		Config: plan.Config{MaxDraining: all, StuckAfter: time.Hour, BarePods: plan.BlockBarePods, EmptyDir: plan.EvictEmptyDir},
	}
	begun := s.Now.Add(-time.Minute)
	s.Memory.Nodes[node.UID] = plan.NodeMemory{Request: "r", RequestedAt: begun, StartedAt: begun, CordonSeen: begun, Counted: true}
	var pods []*plan.Pod
	for i := range budgets {
		name, namespace := fmt.Sprintf("app-%03d", i), fmt.Sprintf("ns-%d", i%3)
		in := s.Budgets[namespace]
		s.Budgets[namespace] = plan.NamespaceBudgets{Epoch: 1, List: append(in.List, plan.BudgetView{Budget: &plan.Budget{
			Namespace: namespace, Name: name, UID: types.UID(name), Observed: true, ResourceVersion: "1",
			Selector: labels.SelectorFromSet(labels.Set{"app": name}), CurrentHealthy: 4, DesiredHealthy: 5, ExpectedPods: 7,
		}})}
		for j := range i + 1 {
			pod := fmt.Sprintf("%s-%03d", name, j)
			pods = append(pods, &plan.Pod{
				Namespace: namespace, Name: pod, UID: types.UID(pod), Node: "n", Phase: corev1.PodRunning, Ready: true,
				Labels: plan.LabelsOf(labels.Set{"app": name}), Controller: plan.Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name, UID: types.UID("rs-" + name)},
			})
		}
	}
	// No budget holds this one, but the rules may.
	pods = append(pods, &plan.Pod{Namespace: "shell", Name: "debug", UID: "debug", Node: "n", Phase: corev1.PodRunning, Ready: true, Rules: rules})
	p, _ := s.Memory.Plan(s, map[string][]*plan.Pod{"n": pods})
	return plansOf(p.Nodes...)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%q is not exported", want)
		}
	}
}

// TestBudgets: budgets that block pods are listed with the number of these pods
// and their headroom, those with the most pods first.
func TestBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v", "c")
		m.RegisterPlans(guarded(mostBudgets+2), time.Hour, false)
		text := exported(t, m)
		wantLines(
			t, text, `drainer_budget_blocked_pods{budget="app-051",pod_namespace="ns-0"} 52`, `drainer_budget_blocked_pods{budget="app-002",pod_namespace="ns-2"} 3`,
			`drainer_budget_headroom_pods{budget="app-051",pod_namespace="ns-0"} -1`, `drainer_budgets_omitted 2`,
		)
		for _, name := range []string{"drainer_budget_blocked_pods{", "drainer_budget_headroom_pods{"} {
			if n := strings.Count(text, name); n != mostBudgets {
				t.Errorf("%d series of %s, want %d", n, name, mostBudgets)
			}
		}
		// Those with the fewest pods are left out.
		if strings.Contains(text, `budget="app-001"`) {
			t.Error("app-001 is named, and blocks only 2 pods")
		}
	})
}

// TestRules: what a rule of the configuration holds is counted by its name.
func TestRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v", "c")
		m.RegisterPlans(guarded(1, &plan.Rule{Name: "keep", Action: plan.BlockPod}), time.Hour, false)
		wantLines(t, exported(t, m), `drainer_rule_blocked_pods{rule="keep"} 1`, `drainer_namespace_blockers{pod_namespace="shell"} 1`)
	})
}

// TestNamespaces: blockers are counted by namespace as soon as they block.
func TestNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v", "c")
		m.RegisterPlans(guarded(4), time.Hour, false)
		wantLines(
			t, exported(t, m), `drainer_namespace_blockers{pod_namespace="ns-0"} 5`, `drainer_namespace_blockers{pod_namespace="ns-1"} 2`,
			`drainer_namespace_blockers{pod_namespace="shell"} 1`, `drainer_namespaces_omitted 0`,
		)
	})
	synctest.Test(t, func(t *testing.T) {
		busy := draining("busy", mostNamespaces+1)
		for i := range busy.Pods {
			busy.Pods[i].Pod.Namespace = fmt.Sprintf("ns-%03d", i)
		}
		m := New("v", "c")
		m.RegisterPlans(plansOf(busy), time.Hour, false)
		text := exported(t, m)
		wantLines(t, text, `drainer_namespace_blockers{pod_namespace="ns-000"} 1`, `drainer_namespaces_omitted 1`)
		if n := strings.Count(text, "drainer_namespace_blockers{"); n != mostNamespaces {
			t.Errorf("%d namespaces, want %d", n, mostNamespaces)
		}
	})
}
