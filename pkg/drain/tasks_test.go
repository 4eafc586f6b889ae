package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// stubServer is an API server that knows one node and one budget, and lists the pods it is told.
type stubServer struct {
	mu   sync.Mutex
	pods []corev1.Pod
	// version is the resourceVersion of whatever is written, "9" if empty.
	version string
	// conflict refuses writes of the node's status.
	conflict bool
	// requests are those that came, written as method, path and body.
	requests []string
}

func (s *stubServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path+" "+string(body))
	w.Header().Set("Content-Type", "application/json")
	version := s.version
	if version == "" {
		version = "9"
	}
	var answer any
	switch {
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/pods"):
		answer = corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, ListMeta: metav1.ListMeta{ResourceVersion: version}, Items: s.pods}
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/poddisruptionbudgets/"):
		answer = policyv1.PodDisruptionBudget{
			TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "uid-web", ResourceVersion: version},
		}
	case s.conflict:
		w.WriteHeader(http.StatusConflict)
		answer = metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Reason: metav1.StatusReasonConflict, Code: http.StatusConflict,
		}
	default:
		answer = corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "uid-n", ResourceVersion: version}}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *stubServer) writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r string) bool { return strings.HasPrefix(r, http.MethodGet) })
}

// view is a View of what it holds.
type view struct {
	control plan.Control
	nodes   []*plan.Node
	pods    map[string][]*plan.Pod
}

func (v *view) Nodes() []*plan.Node          { return v.nodes }
func (v *view) Pods() map[string][]*plan.Pod { return v.pods }
func (v *view) Control() plan.Control        { return v.control }

func (v *view) DaemonSets() map[types.UID]bool         { return nil }
func (v *view) NamespaceLabels() map[string]labels.Set { return nil }
func (v *view) Watch(map[string]bool)                  {}

// silent is an Observer that tells nobody.
type silent struct{}

func (silent) Answered(plan.Outcome, time.Duration)   {}
func (silent) PodAdmitted(plan.Reason, time.Duration) {}
func (silent) PodGone(time.Duration)                  {}
func (silent) PodDeleted(plan.Reason)                 {}
func (silent) Planned(time.Duration)                  {}
func (silent) DrainEnded(plan.Result, time.Duration)  {}

func testConfig() plan.Config {
	all, _ := plan.ParseShare("100%")
	return plan.Config{
		MaxDraining: all, AllowLastNode: true, Settle: 5 * time.Second, StuckAfter: 5 * time.Minute, OnTimeout: api.Wait,
		BarePods: plan.BlockBarePods, EmptyDir: plan.EvictEmptyDir,
	}
}

func newTestController(t *testing.T, v *view, server http.Handler) *Controller {
	t.Helper()
	http := httptest.NewServer(server)
	t.Cleanup(http.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: http.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{
		Config: testConfig(), Client: client, View: v, Observer: silent{}, QPS: 1, Burst: 1, Workers: 1, EvictionTimeout: time.Second,
	})
}

// requested is a view of a node n of which a drain was just asked.
func requested() *view {
	return &view{nodes: []*plan.Node{{
		Name: "n", UID: "uid-n", ResourceVersion: "7", Served: true, Ready: true, Annotations: map[string]string{api.DrainAnnotation: "r"},
	}}, pods: map[string][]*plan.Pod{"n": {}}}
}

// draining is a view of a cordoned node n.
func draining() *view {
	v := requested()
	v.nodes[0].Unschedulable, v.nodes[0].OwnCordon = true, true
	return v
}

// planned makes a plan and returns that of the node.
func planned(c *Controller) *plan.NodePlan {
	c.step(quiet())
	n := c.Plans()["uid-n"]
	return &n
}

// work runs the tasks of the newest plan for the node.
func work(t *testing.T, c *Controller) {
	t.Helper()
	for _, kind := range []taskKind{reportTask, releaseTask, nodeTask} {
		if _, err := c.reconcile(t.Context(), task{kind: kind, node: "uid-n"}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConfirm: Drained is written after a live list without a target, and under
// the version of the Node on which request and cordon were seen.
func TestConfirm(t *testing.T) {
	server := &stubServer{}
	c := newTestController(t, draining(), server)
	if err := c.confirm(t.Context(), planned(c)); err != nil {
		t.Fatal(err)
	}
	writes := server.writes()
	if len(writes) != 1 || !strings.Contains(writes[0], `"drainer.dev/drained":"r"`) ||
		!strings.Contains(writes[0], `"resourceVersion":"7"`) || !strings.Contains(writes[0], `"uid":"uid-n"`) {
		t.Errorf("written: %v", writes)
	}
	if c.step(quiet()); c.Plans()["uid-n"].Phase != api.Drained {
		t.Errorf("the node is %s", c.Plans()["uid-n"].Phase)
	}
}

// TestConfirmSeesPod: a pod that only the API server knows of keeps the promise
// from being made.
func TestConfirmSeesPod(t *testing.T) {
	server := &stubServer{pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "late", UID: "late"}}}}
	c := newTestController(t, draining(), server)
	if err := c.confirm(t.Context(), planned(c)); err != nil {
		t.Fatal(err)
	}
	if writes := server.writes(); len(writes) > 0 {
		t.Errorf("written: %v", writes)
	}
	if c.step(quiet()); c.memory.Nodes["uid-n"].RetryConfirmAt.IsZero() {
		t.Error("the check is not put off")
	}
}

// TestGuardedReport: a report that must not overwrite Drained is written under the
// version of the Node that the plan has seen, and no other report is.
func TestGuardedReport(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		server := &stubServer{}
		c := newTestController(t, draining(), server)
		n := planned(c)
		n.Guarded = guarded
		if err := c.report(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		writes := server.writes()
		if len(writes) != 1 || strings.Contains(writes[0], `"resourceVersion":"7"`) != guarded {
			t.Errorf("guarded %v, written: %v", guarded, writes)
		}
	}
}

// TestConfirmConflict: a Node that has changed since the plan is not drained.
func TestConfirmConflict(t *testing.T) {
	c := newTestController(t, draining(), &stubServer{conflict: true})
	if err := c.confirm(t.Context(), planned(c)); err == nil {
		t.Error("no error although the Node has changed")
	}
	if c.step(quiet()); c.Plans()["uid-n"].Phase == api.Drained {
		t.Error("the drain counts as done")
	}
}

// TestStalePlan: the cordon of a plan that is no longer the newest is not
// applied, also if the request was removed after the status was written.
func TestStalePlan(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	planned(c)
	work(t, c)
	changed := *v.nodes[0]
	changed.Annotations, changed.ResourceVersion, changed.OwnStatus = nil, "9", true
	v.nodes[0] = &changed
	planned(c)
	work(t, c)
	for _, w := range server.writes() {
		if strings.Contains(w, "unschedulable") {
			t.Errorf("cordoned by an old plan: %s", w)
		}
	}
}

// TestOnce: a plan that was made without knowing of the last write to a node is
// not carried out, and what is not seen yet is not written again.
func TestOnce(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	planned(c)
	work(t, c)
	work(t, c)
	if n := len(server.writes()); n != 1 {
		t.Errorf("%d writes, want the status: %v", n, server.writes())
	}
	show := func(version string) {
		changed := *v.nodes[0]
		changed.ResourceVersion = version
		v.nodes[0] = &changed
	}
	show("8")
	planned(c)
	work(t, c)
	if n := len(server.writes()); n != 1 {
		t.Errorf("the node is written to before it shows the status: %v", server.writes()[1:])
	}
}

// TestStatusBeforeCordon: at whatever point the process dies, the Node shows
// what has to be removed.
func TestStatusBeforeCordon(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	if n := planned(c); n.Cordon || !n.Write {
		t.Errorf("cordon: %v, write: %v, want the status alone", n.Cordon, n.Write)
	}
	work(t, c)
	changed := *v.nodes[0]
	changed.ResourceVersion = "9"
	v.nodes[0] = &changed
	planned(c)
	work(t, c)
	writes := server.writes()
	if len(writes) < 2 || !strings.Contains(writes[0], "/nodes/n/status") || !strings.Contains(writes[len(writes)-1], "unschedulable") {
		t.Errorf("written, in this order: %v", writes)
	}
	server.requests = nil
	n := changed
	n.OwnCordon = true
	if err := c.release(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	if writes := server.writes(); len(writes) != 2 || strings.Contains(writes[0], "/status") || !strings.Contains(writes[1], "/status") {
		t.Errorf("released in this order: %v", writes)
	}
}

// TestReportDespiteCordon: a cordon that fails does not keep the Node from
// saying so.
func TestReportDespiteCordon(t *testing.T) {
	v, server := requested(), &stubServer{}
	c := newTestController(t, v, server)
	planned(c)
	work(t, c)
	changed := *v.nodes[0]
	changed.ResourceVersion = "9"
	v.nodes[0] = &changed
	c.tasks.AddRateLimited(task{kind: nodeTask, node: "uid-n"})
	c.learned(plan.NodeTrouble{Node: "uid-n", Text: "no"})
	if n := planned(c); !n.Cordon {
		t.Fatal("no cordon is planned")
	}
	queued := map[taskKind]bool{}
	for c.tasks.Len() > 0 {
		next, _ := c.tasks.Get()
		queued[next.kind] = true
		c.tasks.Done(next)
	}
	if !queued[reportTask] || queued[nodeTask] {
		t.Errorf("queued are %v, want the report alone", queued)
	}
}

// TestRestored: a resourceVersion that is older than what was seen before ends
// the term.
func TestRestored(t *testing.T) {
	var failed error
	for name, act := range map[string]func(*Controller) error{
		"a write": func(c *Controller) error { return c.report(t.Context(), planned(c)) },
		"a read":  func(c *Controller) error { return c.read(t.Context(), planned(c).Node, "6") },
		"a read of a budget": func(c *Controller) error {
			web := types.NamespacedName{Namespace: "ns", Name: "web"}
			c.Ledger.Observe(&plan.Budget{Namespace: "ns", Name: "web", UID: "uid-web", ResourceVersion: "6"})
			return c.readBudget(t.Context(), web)
		},
	} {
		c := newTestController(t, requested(), &stubServer{version: "5"})
		failed = nil
		c.Fail = func(err error) { failed = err }
		if err := act(c); err == nil || failed == nil {
			t.Errorf("%s: error %v, the term ends by %v", name, err, failed)
		}
	}
}

// TestFindReplica: a replica that is found takes over, unless it has to leave,
// too, or the request for drainer's own node is gone.
func TestFindReplica(t *testing.T) {
	yes := true
	pod := func(name, node string) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "ns", Name: name, UID: types.UID("uid-" + name),
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "rs", UID: "rs", Controller: &yes}},
			},
			Spec: corev1.PodSpec{NodeName: node},
			Status: corev1.PodStatus{
				Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			},
		}
	}
	for name, test := range map[string]struct {
		prepare  func(*view)
		pods     []corev1.Pod
		answered bool
		to       string
	}{
		"another replica": {pods: []corev1.Pod{pod("own", "n"), pod("other", "m")}, answered: true, to: "ns/other"},
		"none":            {pods: []corev1.Pod{pod("own", "n")}, answered: true},
		"one that leaves, too": {
			prepare: func(v *view) {
				v.nodes = append(v.nodes, &plan.Node{Name: "m", Served: true, Annotations: map[string]string{api.DrainAnnotation: "r"}})
			},
			pods: []corev1.Pod{pod("own", "n"), pod("other", "m")}, answered: true,
		},
		"the request is removed": {
			prepare: func(v *view) { delete(v.nodes[0].Annotations, api.DrainAnnotation) },
			pods:    []corev1.Pod{pod("own", "n"), pod("other", "m")},
		},
		"drainer's own pod is gone": {pods: []corev1.Pod{pod("other", "m")}},
	} {
		v := draining()
		if test.prepare != nil {
			test.prepare(v)
		}
		c := newTestController(t, v, &stubServer{pods: test.pods})
		over := false
		c.HandOver = func() { over = true }
		err := c.findReplica(t.Context(), task{kind: replicaTask, object: types.NamespacedName{Namespace: "ns", Name: "own"}, pod: "uid-own"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range c.takeFacts() {
			c.memory.Apply(f)
		}
		if r := c.memory.Replica; over != (test.to != "") || r.Name != test.to || r.AnsweredAt.IsZero() == test.answered {
			t.Errorf("%s: handed over %v, known %+v; want an answer: %v, to %q", name, over, r, test.answered, test.to)
		}
	}
}

// TestFindReplicaFails: why another replica cannot be looked for is remembered.
func TestFindReplicaFails(t *testing.T) {
	c := newTestController(t, draining(), http.NotFoundHandler())
	err := c.findReplica(t.Context(), task{kind: replicaTask, object: types.NamespacedName{Namespace: "ns", Name: "own"}, pod: "uid-own"})
	for _, f := range c.takeFacts() {
		c.memory.Apply(f)
	}
	if r := c.memory.Replica; err == nil || r.Problem != err.Error() || !r.AnsweredAt.IsZero() {
		t.Errorf("it failed with %v, known is %+v", err, r)
	}
}

// quiet is a context whose logger writes nothing.
func quiet() context.Context { return klog.NewContext(context.Background(), logr.Discard()) }

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

// TestWritesNameUID: every write to a Node names its UID, so that a Node that was
// deleted and made again is not changed for a request of the one before.
func TestWritesNameUID(t *testing.T) {
	server := &stubServer{}
	w := newTestController(t, requested(), server).writer
	n := requested().nodes[0]
	value := "r"
	for name, write := range map[string]func(context.Context) error{
		"cordon":   func(ctx context.Context) error { _, err := w.cordon(ctx, n); return err },
		"uncordon": func(ctx context.Context) error { _, err := w.uncordon(ctx, n); return err },
		"report": func(ctx context.Context) error {
			_, _, err := w.report(ctx, n, plan.Report{}, "", time.Now())
			return err
		},
		"clear": func(ctx context.Context) error { _, err := w.clear(ctx, n); return err },
		"taint": func(ctx context.Context) error { _, err := w.taint(ctx, n, true); return err },
		"annotate": func(ctx context.Context) error {
			_, err := w.annotate(ctx, n, map[string]*string{api.DrainAnnotation: &value})
			return err
		},
	} {
		before := len(server.writes())
		if err := write(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		writes := server.writes()[before:]
		if len(writes) != 1 || !strings.Contains(writes[0], `"uid":"uid-n"`) {
			t.Errorf("%s wrote %q, want one request with the UID", name, writes)
		}
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
