package drain

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// scene builds a snapshot.
type scene struct{ *Snapshot }

func newScene() scene {
	share, _ := ParseShare("100%")
	return scene{&Snapshot{
		Now: noon,
		Config: Config{
			MaxDraining: share, Settle: 5 * time.Second, StuckAfter: 5 * time.Minute, OnTimeout: api.Wait,
			BarePods: BlockBarePods, EmptyDir: EvictEmptyDir,
		},
		Pods: map[string][]*Pod{}, DaemonSets: map[types.UID]bool{}, Budgets: map[string]NamespaceBudgets{},
		InFlight: map[types.UID]Post{},
		Memory: Memory{
			Nodes: map[types.UID]NodeMemory{}, Pods: map[types.UID]*PodMemory{}, Budgets: map[types.UID]BudgetMemory{},
		},
	}}
}

// node adds a Ready node with annotations, given as keys and values in turn.
func (s scene) node(name string, annotations ...string) *Node {
	n := &Node{Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1", Ready: true, Annotations: map[string]string{}}
	for i := 0; i < len(annotations); i += 2 {
		n.Annotations[annotations[i]] = annotations[i+1]
	}
	s.Nodes = append(s.Nodes, n)
	return n
}

// draining adds a node that was cordoned a minute ago for the request "r".
func (s scene) draining(name string, annotations ...string) *Node {
	n := s.node(name, append([]string{api.DrainAnnotation, "r"}, annotations...)...)
	n.Unschedulable, n.OwnCordon, n.OwnStatus = true, true, true
	begun := s.Now.Add(-time.Minute)
	s.Memory.Nodes[n.UID] = NodeMemory{Request: "r", RequestedAt: begun, StartedAt: begun, CordonSeen: begun, Phase: api.Draining, looked: true}
	s.Pods[name] = []*Pod{}
	return n
}

// pod adds a ready pod of a ReplicaSet to a node.
func (s scene) pod(node, name string, change ...func(*Pod)) *Pod {
	app, _, _ := strings.Cut(name, "-")
	p := &Pod{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Node: node, Phase: corev1.PodRunning, Ready: true,
		Labels:     labels.Set{"app": app},
		Controller: Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app, UID: types.UID("rs-" + app)},
	}
	for _, c := range change {
		c(p)
	}
	s.Pods[node] = append(s.Pods[node], p)
	return p
}

// budget adds a budget over the pods of an app.
func (s scene) budget(name, app string, allowed, healthy, desired, expected int32) *Budget {
	b := &Budget{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1", Observed: true,
		Selector: labels.SelectorFromSet(labels.Set{"app": app}),
		Allowed:  allowed, CurrentHealthy: healthy, DesiredHealthy: desired, ExpectedPods: expected,
	}
	all := s.Budgets["ns"]
	s.Budgets["ns"] = NamespaceBudgets{Epoch: all.Epoch + 1, List: append(all.List, BudgetView{Budget: b, Free: int(allowed)})}
	return b
}

func planOf(t *testing.T, p Plan, node string) NodePlan {
	t.Helper()
	for _, n := range p.Nodes {
		if n.Node.Name == node {
			return n
		}
	}
	t.Fatalf("the plan has no node %s", node)
	return NodePlan{}
}

func granted(p Plan) []string {
	names := make([]string, 0, len(p.Grants))
	for _, g := range p.Grants {
		names = append(names, g.Pod.Name)
	}
	return names
}

// sentInTurn plans, takes the grants as admitted, and so on until nothing is
// granted: the names of the pods in order.
func (s scene) sentInTurn() []string {
	var names []string
	for {
		plan := Make(s.Snapshot)
		if len(plan.Grants) == 0 {
			return names
		}
		for _, g := range plan.Grants {
			names = append(names, g.Pod.Name)
			s.Memory.Pods[g.Pod.UID] = &PodMemory{Pod: g.Pod, FirstSeen: noon, AdmittedAt: noon}
			for i := range s.Budgets["ns"].List {
				if b := &s.Budgets["ns"].List[i]; b.Name == g.Budget.Name {
					b.Free--
				}
			}
		}
	}
}

// undo takes back what sentInTurn took as admitted.
func (s scene) undo() {
	clear(s.Memory.Pods)
	for i := range s.Budgets["ns"].List {
		b := &s.Budgets["ns"].List[i]
		b.Free = int(b.Allowed)
	}
}
