package drain

import (
	"context"
	"encoding/json"
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

func (v *view) Nodes() []*plan.Node { return v.nodes }

func (v *view) Pods() map[string][]*plan.Pod { return v.pods }

func (v *view) Control() plan.Control { return v.control }

func (v *view) DaemonSets() map[types.UID]bool { return nil }

func (v *view) NamespaceLabels() map[string]labels.Set { return nil }

func (v *view) Watch(map[string]bool) {}

// silent is an Observer that tells nobody.
type silent struct{}

func (silent) Answered(plan.Outcome, time.Duration) {}

func (silent) PodAdmitted(plan.Reason, time.Duration) {}

func (silent) PodGone(time.Duration) {}

func (silent) PodDeleted(plan.Reason) {}

func (silent) Planned(time.Duration) {}

func (silent) DrainEnded(plan.Result, time.Duration) {}

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

// quiet is a context whose logger writes nothing.
func quiet() context.Context { return klog.NewContext(context.Background(), logr.Discard()) }
