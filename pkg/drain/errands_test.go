package drain

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// stubServer is an API server that knows one node and lists the pods it is told.
type stubServer struct {
	mu   sync.Mutex
	pods []corev1.Pod
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
	var answer any
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/pods":
		answer = corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: s.pods}
	case s.conflict:
		w.WriteHeader(http.StatusConflict)
		answer = metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Reason: metav1.StatusReasonConflict, Code: http.StatusConflict,
		}
	default:
		answer = corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "9"}}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *stubServer) writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r string) bool { return strings.HasPrefix(r, http.MethodGet) })
}

// viewOf is a View of a snapshot.
type viewOf struct{ *Snapshot }

func (v viewOf) Nodes() []*Node                 { return v.Snapshot.Nodes }
func (v viewOf) Pods() map[string][]*Pod        { return v.Snapshot.Pods }
func (v viewOf) DaemonSets() map[types.UID]bool { return v.Snapshot.DaemonSets }
func (viewOf) Watch(map[string]bool)            {}

// silent is an Observer that nobody asks.
type silent struct{}

func (silent) Answered(Outcome, time.Duration)   {}
func (silent) PodAdmitted(Reason, time.Duration) {}
func (silent) PodGone(time.Duration)             {}
func (silent) Planned(time.Duration)             {}
func (silent) DrainEnded(Ending, time.Duration)  {}

func newTestController(t *testing.T, s *Snapshot, server *stubServer) *Controller {
	t.Helper()
	http := httptest.NewServer(server)
	t.Cleanup(http.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: http.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{
		Config: s.Config, Client: client, View: viewOf{s}, Observer: silent{}, QPS: 1, Burst: 1, Workers: 1, EvictionTimeout: time.Second,
		PodOf: func(p *corev1.Pod) *Pod {
			return &Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Controller: Owner{Kind: "ReplicaSet", UID: "rs"}}
		},
	})
}

// confirmable is a plan for a node that looks drained in the cache.
func confirmable(t *testing.T) (*Snapshot, NodePlan) {
	t.Helper()
	s := newScene()
	n := s.draining("n")
	n.ResourceVersion = "7"
	plan := planOf(t, Make(s.Snapshot), "n")
	if !plan.Confirm {
		t.Fatal("the node does not look drained")
	}
	return s.Snapshot, plan
}

// TestConfirm: Drained is written after a live list without a wanted pod, and
// under the version of the Node on which request and cordon were seen.
func TestConfirm(t *testing.T) {
	s, plan := confirmable(t)
	server := &stubServer{}
	if err := newTestController(t, s, server).confirm(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	writes := server.writes()
	if len(writes) != 1 || !strings.Contains(writes[0], `"drainer.dev/drained":"r"`) ||
		!strings.Contains(writes[0], `"resourceVersion":"7"`) || !strings.Contains(writes[0], `"uid":"uid-n"`) {
		t.Errorf("written: %v", writes)
	}
}

// TestConfirmSeesPod: a pod that only the API server knows of keeps the promise
// from being made.
func TestConfirmSeesPod(t *testing.T) {
	s, plan := confirmable(t)
	server := &stubServer{pods: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "late", UID: "late"}}}}
	if err := newTestController(t, s, server).confirm(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if writes := server.writes(); len(writes) > 0 {
		t.Errorf("written: %v", writes)
	}
}

// TestConfirmConflict: a Node that has changed meanwhile is not drained.
func TestConfirmConflict(t *testing.T) {
	s, plan := confirmable(t)
	c := newTestController(t, s, &stubServer{conflict: true})
	if err := c.confirm(t.Context(), plan); err == nil {
		t.Error("no error although the Node has changed")
	}
	if found := c.takeFindings(); len(found) > 0 {
		t.Error("the drain counts as done")
	}
}

// TestStalePlan: the cordon of a plan that is not the newest any more is not
// applied, also if the request was taken back while the status was written.
func TestStalePlan(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	n.Unschedulable, n.OwnCordon = false, false
	plan := planOf(t, Make(s.Snapshot), "n")
	if !plan.Cordon {
		t.Fatal("no cordon is planned")
	}
	server := &stubServer{}
	c := newTestController(t, s.Snapshot, server)
	c.plan[n.UID] = NodePlan{Node: n, Release: true}
	if err := c.bringTo(t.Context(), plan, writing{}); err != nil {
		t.Fatal(err)
	}
	for _, w := range server.writes() {
		if strings.Contains(w, "unschedulable") {
			t.Errorf("cordoned by an old plan: %s", w)
		}
	}
}

// TestStatusBeforeCordon: at whatever point the process dies, the Node shows
// what has to be taken back.
func TestStatusBeforeCordon(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	n.Unschedulable, n.OwnCordon = false, false
	plan := planOf(t, Make(s.Snapshot), "n")
	server := &stubServer{}
	c := newTestController(t, s.Snapshot, server)
	c.plan[n.UID] = plan
	if err := c.bringTo(t.Context(), plan, writing{}); err != nil {
		t.Fatal(err)
	}
	writes := server.writes()
	if len(writes) != 2 || !strings.Contains(writes[0], "/nodes/n/status") || !strings.Contains(writes[1], "unschedulable") {
		t.Errorf("written, in this order: %v", writes)
	}
	n.Unschedulable, n.OwnCordon = true, true
	server.requests = nil
	if err := c.release(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if writes := server.writes(); len(writes) != 2 || strings.Contains(writes[0], "/status") || !strings.Contains(writes[1], "/status") {
		t.Errorf("released in this order: %v", writes)
	}
}

// TestUncertainIsLookedUp: an answer that does not say what happened makes
// drainer look before it sends again; a refusal does not.
func TestUncertainIsLookedUp(t *testing.T) {
	for reason, want := range map[Reason]bool{
		Unknown: true, ServerError: true, Gone: true, BudgetExhausted: false, Webhook: false, Throttled: false, Contention: false,
	} {
		s := newScene()
		s.draining("n")
		pod := s.pod("n", "web-1")
		c := newTestController(t, s.Snapshot, &stubServer{})
		c.memory.Pods[pod.UID] = &PodMemory{Pod: pod, FirstSeen: noon}
		c.book(t.Context(), Result{Grant: Grant{Pod: pod, Request: "r"}, Outcome: Outcome{Reason: reason}, At: noon})
		if got := c.memory.Pods[pod.UID].LookUp; got != want {
			t.Errorf("%s: looked up %v, want %v", reason, got, want)
		}
	}
}
