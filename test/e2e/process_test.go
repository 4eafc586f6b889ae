package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// shortLease lets another process take over soon after a crash.
var shortLease = []string{
	"--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=500ms",
}

func (e *env) lease() *coordinationv1.Lease {
	e.Helper()
	lease, err := suite.client.CoordinationV1().Leases(e.namespace).Get(e.Context(), "drainer", metav1.GetOptions{})
	if err != nil {
		e.Fatal(err)
	}
	return lease
}

func (e *env) holder() string {
	e.Helper()
	if lease := e.lease(); lease.Spec.HolderIdentity != nil {
		return *lease.Spec.HolderIdentity
	}
	return ""
}

// checkOnce fails the test unless pods of the number were sent, and none was
// admitted twice. A request that its process did not live to see answered may
// have been carried out all the same.
func (e *env) checkOnce(pods int) {
	e.Helper()
	sent, admitted := map[string]bool{}, map[string]int{}
	for _, p := range e.evictions() {
		sent[p.ObjectRef.Name] = true
		if p.ResponseStatus.Code/100 == 2 {
			admitted[p.ObjectRef.Name]++
		}
	}
	if len(sent) != pods {
		e.Errorf("%d pods were sent, want %d", len(sent), pods)
	}
	for name, n := range admitted {
		if n > 1 {
			e.Errorf("%s was evicted %d times", name, n)
		}
	}
}

// slowWeb is a workload of n pods on the first node.
func (e *env) slowWeb(n int) string {
	e.Helper()
	e.create(workload.Deployment(on(e.spec("web", n), e.nodes[0])))
	e.awaitReady("web", n)
	return e.nodes[0]
}

// TestRestart: after kill -9 a new process goes on where the old one was.
func TestRestart(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(20)
	slow := append([]string{"--eviction-qps=4", "--eviction-burst=1"}, shortLease...)
	first := e.start(slow...)
	e.request(node, "restart")
	await(t, "some pods are evicted", func() bool { return len(e.terminating("web")) >= 3 })
	started := e.status(node).StartedAt
	first.Kill()
	e.start(slow...)
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
	slow := append([]string{"--eviction-qps=4", "--eviction-burst=1"}, shortLease...)
	leader := e.start(slow...)
	poll(t, "the first one leads", func() bool { return leader.metric("leader_election_master_status") == 1 })
	standby := e.start(slow...)
	poll(t, "both are ready", func() bool { return leader.Ready() && standby.Ready() })
	if standby.metric("leader_election_master_status") != 0 {
		t.Fatal("both lead")
	}
	e.request(node, "replicas")
	await(t, "some pods are evicted", func() bool { return len(e.terminating("web")) >= 3 })
	leader.Kill()
	e.awaitDrained(node, "replicas")
	if standby.metric("leader_election_master_status") != 1 {
		t.Error("the standby finished the drain without leading")
	}
	e.checkOnce(20)
}

// TestFrozenLeader: a leader that was stopped, and goes on after another has
// taken over, lets nothing through and ends.
func TestFrozenLeader(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(20)
	slow := append([]string{"--eviction-qps=4", "--eviction-burst=1"}, shortLease...)
	frozen := e.start(slow...)
	e.request(node, "frozen")
	await(t, "some pods are evicted", func() bool { return len(e.terminating("web")) >= 3 })
	if err := frozen.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	standby := e.start(slow...)
	poll(t, "the other takes over", func() bool { return standby.metric("leader_election_master_status") == 1 })
	if err := frozen.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if status, err := frozen.Wait(); err != nil || status != 1 {
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
		<-asked
	}
	leader, standby := first, second
	if second.metric("leader_election_master_status") == 1 {
		leader, standby = second, first
		t.Log("the second process leads")
	}
	holder := e.holder()
	// The evictions under way end 2 s after the signal.
	time.AfterFunc(2*time.Second, slow.open)
	status, took := leader.terminate()
	if status != 0 || took > 10*time.Second {
		t.Errorf("drainer exited with %d after %v, want 0 within 10 s", status, took)
	}
	if took < 1500*time.Millisecond {
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
// the next process finds out what became of them.
func TestTerminateHung(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(3)
	hung, asked := e.hold("web")
	first := e.start()
	e.request(node, "hung")
	for range 3 {
		<-asked
	}
	status, took := first.terminate()
	if status != 0 || took > 10*time.Second || took < 7*time.Second {
		t.Errorf("drainer exited with %d after %v, want 0 after 8 s to 10 s", status, took)
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
	<-asked
	poll(t, "the outcome is unknown", func() bool {
		return drainer.metric("drainer_eviction_requests_total", "code", "error", "reason", "unknown") == 1
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
		{[]string{"--max-draining=0", "--bare-pods=Maybe"}, []string{"--max-draining=0", "--bare-pods=\"Maybe\"", "Block, Evict or Skip"}},
		{[]string{"--on-timeout=Delete"}, []string{"--on-timeout=Delete", "Wait or Stop"}},
		{[]string{"--daemon-kinds=x"}, []string{"unknown flag: --daemon-kinds"}},
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
	e.awaitPhase(node, api.Draining)
	e.request(queued, "permissions")
	e.awaitPhase(queued, api.Queued)
	clusterRole, err := daemon.Manifest[*rbacv1.ClusterRole]()
	if err != nil {
		t.Fatal(err)
	}
	role, err := daemon.Manifest[*rbacv1.Role]()
	if err != nil {
		t.Fatal(err)
	}
	granted := grants(slices.Concat(clusterRole.Rules, role.Rules))
	unused := granted
	t.Cleanup(func() {
		for _, p := range unused {
			t.Logf("never used: %s", p)
		}
	})
	// The budget that blocks is read after 36 s at the latest.
	poll(t, "every permission is used", func() bool {
		used := map[string]bool{}
		for _, a := range e.audit(func(*cluster.AuditEvent) bool { return true }) {
			used[permission(a.Verb, a.ObjectRef.APIGroup, a.ObjectRef.Resource, a.ObjectRef.Subresource)] = true
		}
		unused = slices.DeleteFunc(slices.Clone(granted), func(p string) bool { return used[p] })
		return len(unused) == 0
	})
}

func permission(verb, group, resource, subresource string) string {
	if subresource != "" {
		resource += "/" + subresource
	}
	return fmt.Sprintf("%s %s.%s", verb, resource, group)
}

func grants(rules []rbacv1.PolicyRule) []string {
	var all []string
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all = append(all, permission(verb, group, resource, ""))
				}
			}
		}
	}
	return all
}
