package plan

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
		Pods: map[string][]*Entry{}, DaemonSets: map[types.UID]bool{}, Budgets: map[string]NamespaceBudgets{},
		InFlight: map[types.UID]Post{}, Memory: NewMemory(),
	}}
}

// node adds a Ready node with annotations, given as alternating keys and values.
func (s scene) node(name string, annotations ...string) *Node {
	n := &Node{Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1", Served: true, Ready: true, Annotations: map[string]string{}}
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
	s.Memory.Nodes[n.UID] = NodeMemory{Request: "r", RequestedAt: begun, StartedAt: begun, CordonSeen: begun, Phase: api.Draining, Counted: true}
	s.Pods[name] = []*Entry{}
	return n
}

// pod adds a ready pod of a ReplicaSet to a node.
func (s scene) pod(node, name string, change ...func(*Pod)) *Pod {
	app, _, _ := strings.Cut(name, "-")
	p := &Pod{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Node: node, Phase: corev1.PodRunning, Ready: true,
		Labels:     LabelsOf(labels.Set{"app": app}),
		Controller: Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app, UID: types.UID("rs-" + app)},
	}
	for _, c := range change {
		c(p)
	}
	e := &Entry{Pod: p, Memory: PodMemory{FirstSeen: s.Now, TargetSince: s.Now}}
	s.Pods[node] = append(s.Pods[node], e)
	s.Memory.Pods[p.UID] = e
	return p
}

// report lets the node say what its plan says now.
func (s scene) report(n *Node) {
	plan := Make(s.Snapshot)
	for i := range plan.Nodes {
		if plan.Nodes[i].Node == n {
			r := plan.Nodes[i].Report()
			m := s.Memory.Nodes[n.UID]
			m.Written = m.Written.after(NodeWritten{Node: n.UID, Version: n.ResourceVersion, Report: &r, At: s.Now})
			s.Memory.Nodes[n.UID] = m
			show(n, r)
		}
	}
}

// show writes a report to a Node.
func show(n *Node, r Report) {
	n.OwnStatus = true
	n.Annotations[api.StatusAnnotation] = r.Status.Format()
	n.InProgress.Status, n.Drained.Status = r.InProgress, r.Drained
	delete(n.Annotations, api.DrainedAnnotation)
	if r.Drained == corev1.ConditionTrue {
		n.Annotations[api.DrainedAnnotation] = r.Status.Request
	}
}

// tried changes what is known of the pod's evictions.
func (s scene) tried(p *Pod, change func(*Tries)) {
	e := s.Memory.Pods[p.UID]
	tries := e.Memory.Tries()
	change(&tries)
	e.Memory = e.Memory.with(tries)
}

// remember sets what is remembered of a pod.
func (s scene) remember(p *Pod, m PodMemory) { s.Memory.Pods[p.UID].Memory = m }

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

func planOf(t *testing.T, p Plan, node string) *NodePlan {
	t.Helper()
	for i := range p.Nodes {
		if p.Nodes[i].Node.Name == node {
			return &p.Nodes[i]
		}
	}
	t.Fatalf("the plan has no node %s", node)
	return nil
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
			s.remember(g.Pod, PodMemory{FirstSeen: noon}.with(Tries{AdmittedAt: noon}))
			for i := range s.Budgets["ns"].List {
				if b := &s.Budgets["ns"].List[i]; b.Name == g.Budget.Name {
					b.Free--
				}
			}
		}
	}
}

// undo reverts what sentInTurn took as admitted.
func (s scene) undo() {
	for _, e := range s.Memory.Pods {
		e.Memory = PodMemory{FirstSeen: noon}
	}
	for i := range s.Budgets["ns"].List {
		b := &s.Budgets["ns"].List[i]
		b.Free = int(b.Allowed)
	}
}

func mustSelect(text string) labels.Selector {
	selector, err := labels.Parse(text)
	if err != nil {
		panic(err) // The test's own mistake.
	}
	return selector
}
