package e2e

import (
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// slowly leaves time to see a drain under way.
var slowly = []string{"--eviction-qps=2", "--eviction-burst=1"}

// TestRestart: after kill -9 a new process continues where the old one stopped.
func TestRestart(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(20)
	first := e.start(slowly...)
	e.request(node, "restart")
	e.awaitLeaving(node, "web", 20, 3)
	started := e.status(node).StartedAt
	first.crash()
	e.start(slowly...)
	e.awaitDrained(node, "restart")
	status := e.status(node)
	if started == nil || status.StartedAt == nil || !status.StartedAt.Equal(*started) {
		t.Errorf("the drain began at %v, after the restart it says %v", started, status.StartedAt)
	}
	e.checkOnce(20)
	if status.Pods.Gone != 20 {
		t.Errorf("%d pods are counted gone, want 20", status.Pods.Gone)
	}
}

// TestTwoReplicas: the standby is ready, and finishes when the leader dies.
func TestTwoReplicas(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(20)
	leader := e.start(slowly...)
	poll(t, "the first one leads", leader.leads)
	standby := e.start(slowly...)
	poll(t, "both are ready", func() bool { return leader.ready() && standby.ready() })
	if standby.leads() {
		t.Fatal("both lead")
	}
	e.request(node, "replicas")
	e.awaitLeaving(node, "web", 20, 3)
	leader.crash()
	e.awaitDrained(node, "replicas")
	poll(t, "the standby leads", standby.leads)
	e.checkOnce(20)
}

// TestFrozenLeader: a leader that was stopped, and continues after another has
// taken over, lets nothing through and ends.
func TestFrozenLeader(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(20)
	flags := slices.Concat(slowly, usualLease)
	frozen := e.start(flags...)
	e.request(node, "frozen")
	e.awaitLeaving(node, "web", 20, 3)
	if err := frozen.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	standby := e.start(flags...)
	poll(t, "the other takes over", standby.leads)
	if err := frozen.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if status, err := frozen.Wait(e.Context()); err != nil || status != 1 {
		t.Errorf("the frozen leader exited with %d, %v; want 1", status, err)
	}
	e.awaitDrained(node, "frozen")
	e.checkOnce(20)
}

// TestTerminate: SIGTERM under load waits for the evictions under way, hands
// the lease over at once and exits with 0.
func TestTerminate(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(30)
	slow, asked := e.hold("web")
	first := e.start("--eviction-workers=3")
	second := e.start()
	e.request(node, "terminate")
	for range 3 {
		suite.Receive(t, "three evictions are under way", asked)
	}
	leader, standby := first, second
	if second.leads() {
		leader, standby = second, first
		t.Log("the second process leads")
	}
	holder := e.holder()
	// The evictions under way are answered 2 s after the signal, or later.
	var answered atomic.Bool
	time.AfterFunc(2*time.Second, func() { answered.Store(true); slow.open() })
	status, took := leader.terminate()
	if status != 0 {
		t.Errorf("drainer exited with %d, want 0", status)
	}
	if !answered.Load() && took < 8*time.Second {
		t.Errorf("drainer exited after %v and did not wait for the evictions under way", took)
	}
	if now := e.holder(); now == holder {
		t.Error("the lease was not released")
	}
	e.awaitDrained(node, "terminate")
	poll(t, "the standby counts the drain", func() bool { return standby.metric("drainer_drains_total", "result", "drained") == 1 })
	e.checkOnce(30)
}

// TestTerminateHung: evictions that are not answered do not hold up the end;
// the next process looks up what happened to them.
func TestTerminateHung(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(3)
	hung, asked := e.hold("web")
	idle := e.start()
	poll(t, "it leads", idle.leads)
	first := e.start()
	// What a process needs here and now that has nothing to wait for.
	_, least := idle.terminate()
	e.request(node, "hung")
	for range 3 {
		suite.Receive(t, "three evictions are under way", asked)
	}
	status, took := first.terminate()
	if most := 10*time.Second + 10*least; status != 0 || took < 8*time.Second || took > most {
		t.Errorf("drainer exited with %d after %v, want 0 after 8 s to %v", status, took, most)
	}
	hung.open()
	e.start()
	e.awaitDrained(node, "hung")
	e.checkOnce(3)
}

// TestUnknownOutcome: an eviction that is not answered in time is looked up
// before anything is sent again.
func TestUnknownOutcome(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(1)
	hung, asked := e.hold("web")
	drainer := e.start("--eviction-timeout=1s")
	e.request(node, "unknown")
	suite.Receive(t, "the eviction is under way", asked)
	poll(t, "the outcome is unknown", func() bool {
		return drainer.metric("drainer_eviction_requests_total", "code", "error", "reason", "unknown") >= 1
	})
	poll(t, "the pod is looked up", func() bool {
		return len(e.audit(func(a *cluster.AuditEvent) bool { return a.Verb == "get" && a.ObjectRef.Resource == "pods" })) > 0
	})
	hung.open()
	e.awaitDrained(node, "unknown")
	e.checkOnce(1)
}

// TestUsage: what is wrong with the flags is said at once, all of it.
func TestUsage(t *testing.T) {
	e := setup(t, 0)
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"--max-draining=0", "--bare-pods=Maybe"}, []string{"--max-draining=\"0\"", "--bare-pods=\"Maybe\"", "Block, Evict or Ignore"}},
		{[]string{"--on-timeout=Delete"}, []string{"--on-timeout=\"Delete\"", "--allow-delete"}},
		{[]string{"--daemon-kinds=x"}, []string{"--daemon-kinds", "action: Ignore"}},
		{[]string{"node-1"}, []string{"node-1"}},
	} {
		out, status := e.runToEnd(test.args...)
		if status != 2 {
			t.Errorf("drainer %v exited with %d, want 2", test.args, status)
		}
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("drainer %v says %q, want %q in it", test.args, out, want)
			}
		}
	}
	out, status := e.runToEnd("--kubeconfig=/does/not/exist")
	if status != 1 || !strings.Contains(out, "/does/not/exist") {
		t.Errorf("without a kubeconfig drainer exited with %d and says %q", status, out)
	}
}

// TestPermissions: everything that deploy's roles grant is used. That nothing
// else is needed is checked at the end of every test.
func TestPermissions(t *testing.T) {
	e := setup(t, 3)
	node, queued := e.nodes[0], e.nodes[1]
	e.create(
		workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
		workload.Deployment(on(e.spec("web", 1), node)),
	)
	e.awaitReady("db", 1)
	e.awaitReady("web", 1)
	// An eviction that is not answered makes drainer look at the pod.
	e.hold("web")
	// Servers before 1.34 do not stream lists: there list is needed.
	e.environment = []string{"KUBE_FEATURE_WatchListClient=false"}
	e.start("--max-draining=1", "--eviction-timeout=1s")
	e.request(node, "permissions")
	e.awaitStarted(node)
	e.request(queued, "permissions")
	e.awaitPhase(queued, api.Queued)
	clusterRole, err := daemon.Manifest[*rbacv1.ClusterRole]()
	if err != nil {
		t.Fatal(err)
	}
	rules := clusterRole.Rules
	roles, err := daemon.Manifests[*rbacv1.Role]()
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range roles {
		rules = append(rules, role.Rules...)
	}
	// The budget that blocks is read after 36 s at the latest.
	suite.AwaitUsed(t, shared.Cluster, e.user(), rules)
}
