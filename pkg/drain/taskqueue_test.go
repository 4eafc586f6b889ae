package drain

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// TestTaskKeys: the log of a task that failed names what the task is about.
func TestTaskKeys(t *testing.T) {
	c := New(Options{Client: kubernetes.New(nil)})
	n := &plan.Node{Name: "a", UID: "uid-a"}
	c.plans = map[types.UID]plan.NodePlan{"uid-a": {Node: n, Request: api.Request{ID: "r"}}}
	c.marks = map[types.UID]plan.MarkPlan{"uid-m": {Node: &plan.Node{Name: "m"}}}
	object := types.NamespacedName{Namespace: "ns", Name: "web"}
	for _, test := range []struct {
		task task
		want string
	}{
		{task{kind: nodeTask, node: "uid-a"}, "[node a request r]"},
		{task{kind: reportTask, node: "uid-a"}, "[node a request r]"},
		{task{kind: releaseTask, node: "uid-gone"}, "[uid uid-gone]"},
		{task{kind: markTask, node: "uid-m"}, "[node m]"},
		{task{kind: podTask, object: object}, "[pod ns/web]"},
		{task{kind: replicaTask, object: object}, "[pod ns/web]"},
		{task{kind: budgetTask, object: object}, "[budget ns/web]"},
		{task{kind: scaleTask, scale: plan.ScaleRead{Namespace: "ns", Controller: plan.Owner{Name: "web"}}}, "[controller ns/web]"},
		{task{kind: siblingsTask, siblings: plan.SiblingRead{Namespace: "ns", Selector: "app=web"}}, "[namespace ns selector app=web]"},
		{task{kind: volumesTask}, "[]"},
	} {
		if got := fmt.Sprint(c.keysOf(test.task)); got != test.want {
			t.Errorf("a task of kind %d is logged with %s, want %s", test.task.kind, got, test.want)
		}
	}
}

// TestLanes: urgent tasks go first, others keep their place, and one that becomes
// urgent while it waits goes behind the urgent ones.
func TestLanes(t *testing.T) {
	urgent := map[types.UID]bool{"u1": true, "u2": true}
	l := &lanes{urgent: func(t task) bool { return urgent[t.node] }}
	for _, node := range []types.UID{"s1", "s2", "u1", "s3", "u2"} {
		l.Push(task{node: node})
	}
	l.Touch(task{node: "s1"})
	urgent["s3"] = true
	l.Touch(task{node: "s3"})
	l.Touch(task{node: "u1"})
	var order []types.UID
	for l.Len() > 0 {
		order = append(order, l.Pop().node)
	}
	if want := []types.UID{"u1", "u2", "s3", "s1", "s2"}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
}

// TestEnter: the tasks under way are bounded, urgent ones by themselves, and no kind of the
// others takes more than half of the room.
func TestEnter(t *testing.T) {
	c := New(Options{Client: kubernetes.New(nil)})
	fill := func(kind taskKind, urgent bool) (n int) {
		for c.enter(task{kind: kind}, urgent) {
			n++
		}
		return n
	}
	if n := fill(podTask, false); n != plan.MostTasks/2 {
		t.Errorf("%d tasks of a kind, want %d", n, plan.MostTasks/2)
	}
	if n := fill(nodeTask, true); n != plan.MostUrgentTasks {
		t.Errorf("%d urgent tasks, want %d", n, plan.MostUrgentTasks)
	}
	if n := fill(budgetTask, false) + fill(scaleTask, false); n != plan.MostTasks/2 {
		t.Errorf("%d other tasks, want %d", n, plan.MostTasks/2)
	}
	c.exit(task{kind: podTask}, false)
	c.exit(task{kind: nodeTask}, true)
	if n := fill(scaleTask, false); n != 1 {
		t.Errorf("%d tasks in the room of one that has ended, want 1", n)
	}
	if n := fill(reportTask, true); n != 1 {
		t.Errorf("%d urgent tasks in the room of one that has ended, want 1", n)
	}
	c.exit(task{kind: scaleTask}, false)
	if n := fill(podTask, false); n != 1 {
		t.Errorf("%d tasks of a kind in the room of one that has ended, want 1", n)
	}
}
