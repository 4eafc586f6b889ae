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

	"drainer.dev/drainer/pkg/api"
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
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/pods"):
		answer = corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: s.pods}
	case s.conflict:
		w.WriteHeader(http.StatusConflict)
		answer = metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Reason: metav1.StatusReasonConflict, Code: http.StatusConflict,
		}
	default:
		answer = corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "uid-n", ResourceVersion: "9"}}
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
			return &Pod{
				Namespace: p.Namespace, Name: p.Name, UID: p.UID, Node: p.Spec.NodeName, Ready: p.Status.Phase == corev1.PodRunning,
				Controller: Owner{Kind: "ReplicaSet", UID: "rs"},
			}
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

// TestReportDue: what is counted is written after a while, and so are words,
// which are only looked for when they are to be compared.
func TestReportDue(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.pod("n", "web-1")
	s.budget("web", "web", 0, 1, 1, 1)
	plan := planOf(t, Make(s.Snapshot), "n")
	asked := false
	report := plan.Report()
	plan.words = func() Report { asked = true; return report }
	text := report.Status.Format()
	n.Annotations[api.StatusAnnotation] = text
	n.InProgress.Status, n.Drained.Status = plan.Facts.InProgress, plan.Facts.Drained
	was := writing{report: report, text: text, at: noon.Add(-progressInterval)}
	otherWords, otherCount := was, was
	otherWords.report.Message = "other words"
	otherCount.report.Status.Pods.Gone = 7
	for name, test := range map[string]struct {
		last    writing
		now     time.Time
		compare bool
		due     bool
		asked   bool
	}{
		"nothing new":               {last: was, compare: true, asked: true},
		"other words":               {last: otherWords, compare: true, due: true, asked: true},
		"other words, not compared": {last: otherWords},
		"other words, too early":    {last: otherWords, now: noon.Add(-time.Second), compare: true},
		"other numbers":             {last: otherCount, due: true},
		"other numbers, too early":  {last: otherCount, now: noon.Add(-time.Second)},
	} {
		asked = false
		now := noon
		if !test.now.IsZero() {
			now = test.now
		}
		due, at := reportDue(plan, test.last, now, test.compare)
		if due != test.due || asked != test.asked {
			t.Errorf("%s: due %v, words looked for %v; want %v, %v", name, due, asked, test.due, test.asked)
		}
		if early := now.Before(noon); early && !at.Equal(noon) {
			t.Errorf("%s: asks again at %v, want %v", name, at, noon)
		}
	}
}

// TestNothingTwice: what was written and is not seen yet is not written again.
func TestNothingTwice(t *testing.T) {
	for name, change := range map[string]func(*NodePlan){
		"cordon":  func(p *NodePlan) { p.Cordon = true },
		"release": func(p *NodePlan) { p.Release = true },
		"taint":   func(p *NodePlan) { p.Taint = true },
	} {
		for seen, want := range map[string]bool{"7": false, "9": true} {
			s := newScene()
			n := s.draining("n")
			n.ResourceVersion = seen
			plan := planOf(t, Make(s.Snapshot), "n")
			plan.Confirm = false
			change(&plan)
			server := &stubServer{}
			c := newTestController(t, s.Snapshot, server)
			c.plan[n.UID] = plan
			text := plan.Report().Status.Format()
			n.Annotations[api.StatusAnnotation] = text
			n.InProgress.Status, n.Drained.Status = plan.Facts.InProgress, plan.Facts.Drained
			last := writing{report: plan.Report(), text: text, version: "9", at: time.Now(), compared: time.Now()}
			if err := c.bringTo(t.Context(), plan, last); err != nil {
				t.Fatal(err)
			}
			if wrote := len(server.writes()) > 0; wrote != want {
				t.Errorf("%s, last written version 9, version %s seen: written %v", name, seen, server.writes())
			}
		}
	}
}

// TestNewLeader: what the process before wrote on a node stays until the pods
// are known, and is not replaced by a report that knows of none.
func TestNewLeader(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.pod("n", "db-1")
	s.budget("db", "db", 0, 1, 1, 1)
	since := noon.Add(-time.Hour)
	started := noon.Add(-2 * time.Hour)
	n.Annotations[api.StatusAnnotation] = api.Status{
		Request: "r", Phase: api.Blocked, StartedAt: &started, RequestedAt: &started, Pods: api.PodCounts{Blocked: 1, Gone: 5},
		Blockers: []api.Blocker{{Pod: "ns/db-1", State: string(BlockedPod), Since: since}},
	}.Format()
	n.InProgress.Status, n.Drained.Status = corev1.ConditionTrue, corev1.ConditionFalse
	clear(s.Memory.Nodes)
	pods := s.Pods
	s.Pods = nil
	c := newTestController(t, s.Snapshot, &stubServer{})
	c.began = noon

	newest := func() NodePlan {
		plan := planOf(t, Make(s.Snapshot), "n")
		plan.step = 1
		return plan
	}
	plan := newest()
	if due, at := c.nodeDue(plan, noon); due || !at.Equal(noon.Add(progressInterval)) {
		t.Errorf("without its pods the node is written to: %v, or asked again at %v", due, at)
	}
	if due, _ := c.nodeDue(plan, noon.Add(progressInterval)); !due {
		t.Error("a node whose pods cannot be listed never says so")
	}
	s.Memory.Nodes[n.UID] = plan.Memory
	s.Pods = pods
	plan = newest()
	if due, _ := c.nodeDue(plan, noon); !due {
		t.Error("the node is not written to although its pods are known")
	}
	if r := plan.Report(); r.Status.Phase != api.Blocked || r.Status.Pods.Gone != 5 || !r.Status.Blockers[0].Since.Equal(since) {
		t.Errorf("the new leader says %s", r.Status.Format())
	}
}

// TestStillThere: a pod that was evicted and neither goes nor terminates is
// blocked for a reason that is told and counted.
func TestStillThere(t *testing.T) {
	for name, was := range map[string]Outcome{"admitted": {}, "gone": {Reason: Gone}} {
		s := newScene()
		s.draining("n")
		pod := s.pod("n", "web-1")
		c := newTestController(t, s.Snapshot, &stubServer{})
		m := &PodMemory{Pod: pod, FirstSeen: noon, AdmittedAt: noon, LooksLeft: 1, Outcome: was}
		c.lookedUp(m, false, false, noon)
		if m.Outcome.Reason != ServerError || m.Outcome.Message == "" || !m.AdmittedAt.IsZero() || !m.RetryAt.After(noon) {
			t.Errorf("%s: remembered %+v", name, m)
		}
	}
}
