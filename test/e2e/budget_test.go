package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestBudgetExhausted: drainer waits without a refused POST, names the budget
// and its numbers, and continues within a second of the budget's return, beyond
// what the machine needs.
func TestBudgetExhausted(t *testing.T) {
	e := setup(t, 3)
	sick := workload.Pod(byHand(e.spec("sick", 1)), e.nodes[0])
	sick.Labels[workload.AppLabel] = "web"
	e.create(workload.Deployment(e.spec("web", 5)), sick, workload.MinAvailable(e.namespace, "web-pdb", "web", "5"))
	e.awaitReady("web", 5)
	e.awaitBound("web", 6)
	e.run(sick, corev1.ConditionFalse)
	e.awaitBudget("web-pdb", func(s policyv1.PodDisruptionBudgetStatus) bool {
		return s.CurrentHealthy == 5 && s.ExpectedPods == 6 && s.DisruptionsAllowed == 0
	})
	node := e.nodes[1]
	if len(e.podsOn(node, "web")) == 0 {
		node = e.nodes[2]
	}

	e.start()
	e.request(node, "budget")
	e.awaitPhase(node, api.Blocked)
	e.awaitBlocked(node, "web", "budget_exhausted")
	want := "by PDB " + e.namespace + "/web-pdb (needs 5 healthy, has 5)"
	if message := e.message(node); !strings.Contains(message, want) {
		t.Errorf("the condition says %q, want it to contain %q", message, want)
	}
	if posts := e.evictions(); len(posts) > 0 {
		t.Fatalf("%d evictions were sent that had to be refused", len(posts))
	}
	e.awaitEvent(e.namespace, e.podsOn(node, "web")[0].Name, "Blocked")

	bare := e.measureReaction("web-pdb")
	e.run(sick, corev1.ConditionTrue)
	e.awaitDrained(node, "budget")
	posts := e.sentFor("web")
	if bad := refused(posts); len(bad) > 0 {
		t.Errorf("%d of %d evictions were refused", len(bad), len(posts))
	}
	waited, least := posts[0].Received.Sub(e.budgetReturned("web-pdb")), bare.took()
	t.Logf("the first eviction came %v after the budget's return, a bare reaction %v", waited, least)
	if most := time.Second + 10*least; waited > most {
		t.Errorf("the first eviction came %v after the budget's return, want %v at most", waited, most)
	}
}

// TestBudgetNeverAllows: what can leave leaves, the budget is not violated, and
// the drain continues once somebody fixes the budget.
func TestBudgetNeverAllows(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(
		workload.Deployment(on(e.spec("db", 2), node)), workload.MaxUnavailable(e.namespace, "db-pdb", "db", "0"),
		workload.Deployment(on(e.spec("web", 4), node)),
	)
	e.awaitReady("db", 2)
	e.awaitReady("web", 4)
	e.start()
	e.request(node, "never")
	e.awaitPhase(node, api.Blocked)
	e.awaitBlocked(node, "db", "budget_never_allows")
	if s := e.status(node).Pods; s.Gone != 4 || s.Blocked != 2 {
		t.Errorf("pods = %+v, want 4 gone and 2 blocked", s)
	}
	for _, p := range e.evictions() {
		if strings.HasPrefix(p.ObjectRef.Name, "db") {
			t.Errorf("an eviction of %s was sent", p.ObjectRef.Name)
		}
	}
	e.editBudget("db-pdb", "1")
	// The replacements cannot run anywhere, so the budget has to grow again.
	awaitState(t, "one pod of db leaves", func() bool { return e.status(node).Pods.Gone == 5 })
	e.editBudget("db-pdb", "2")
	e.awaitDrained(node, "never")
	if bad := refused(e.evictions()); len(bad) > 0 {
		t.Errorf("%d evictions were refused", len(bad))
	}
}

// TestStuckPodIsProven: a pod that has become stuck is really sent, once per
// budget, so that the refusal that is shown and counted is the server's own.
func TestStuckPodIsProven(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("db", 3), node)), workload.MaxUnavailable(e.namespace, "db-pdb", "db", "0"))
	e.awaitReady("db", 3)
	drainer := e.start("--stuck-after=3s")
	e.request(node, "stuck")
	poll(t, "the refusal is counted", func() bool {
		return drainer.metric("drainer_eviction_requests_total", "code", "429", "reason", "budget_exhausted") >= 1
	})
	poll(t, "the pods are called stuck", func() bool {
		return drainer.metric("drainer_stuck_pods", "reason", "budget_never_allows") == 3
	})
	if n := drainer.metric("drainer_stuck_pod_seconds", "reason", "budget_never_allows"); n < 9 {
		t.Errorf("drainer_stuck_pod_seconds sums up to %v, want at least 3 s for each of 3 pods", n)
	}
	e.awaitEvent(e.namespace, e.pods("db")[0].Name, "Stuck")
	e.awaitBlocked(node, "db", "budget_never_allows")
	watchFor(t, 3*time.Second, "the drain waits", func() bool { return e.status(node).Pods.Blocked == 3 })
	// The next is due after 5 minutes, and there may be no hurry here.
	posts := e.sentFor("db")
	for i, p := range posts {
		if p.ResponseStatus.Code != 429 || i > 0 && p.Received.Sub(posts[i-1].Received) < 5*time.Minute {
			t.Errorf("eviction %d at %v was answered %d, want one in 5 minutes that is refused", i+1, p.Received, p.ResponseStatus.Code)
		}
	}
}

// TestTwoBudgets: the API server's 500 is asked for once per set of budgets.
func TestTwoBudgets(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(
		workload.Deployment(on(e.spec("web", 2), node)), workload.Deployment(on(e.spec("other", 3), node)),
	)
	e.awaitReady("web", 2)
	e.awaitReady("other", 3)
	// The disruption controller follows the pods of one budget only.
	e.create(workload.MaxUnavailable(e.namespace, "pdb-a", "web", "2"), workload.MaxUnavailable(e.namespace, "pdb-b", "web", "2"))
	for _, name := range []string{"pdb-a", "pdb-b"} {
		e.awaitBudget(name, func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 2 })
	}
	drainer := e.start()
	asked := func() int {
		return int(drainer.metric("drainer_eviction_requests_total", "code", "500", "reason", "multiple_budgets"))
	}
	e.request(node, "two")
	e.awaitPhase(node, api.Blocked)
	e.awaitBlocked(node, "web", "multiple_budgets")
	for _, name := range []string{"pdb-a", "pdb-b"} {
		if message := e.message(node); !strings.Contains(message, e.namespace+"/"+name) {
			t.Errorf("the condition says %q and does not name %s", message, name)
		}
	}
	if gone := e.status(node).Pods.Gone; gone != 3 {
		t.Errorf("%d pods are gone, want the 3 of other", gone)
	}
	if n := asked(); n != 2 {
		t.Errorf("the server answered 500 %d times, want once for each of 2 pods", n)
	}

	e.create(workload.MaxUnavailable(e.namespace, "pdb-c", "web", "2"))
	poll(t, "the new set is asked for", func() bool { return asked() == 4 })
	watchFor(t, 3*time.Second, "the pods stay", func() bool { return e.readyPods("web") == 2 })
	if n := asked(); n != 4 {
		t.Errorf("the server answered 500 %d times, want once for each pod and set: 4", n)
	}
	e.deleteBudget("pdb-c")
	poll(t, "the old set is asked for again", func() bool { return asked() == 6 })
	e.deleteBudget("pdb-b")
	e.awaitDrained(node, "two")
	// Those, the 2 pods of web that leave, and the 3 of other.
	if n := len(refused(e.awaitEvictions(6 + 2 + 3))); n != 6 {
		t.Errorf("%d evictions were refused, want 6", n)
	}
}

// TestBudgetThatNeverSyncs: maxUnavailable over pods of a Job cannot be
// computed. Made before the pods, the budget says so; made after them, it is
// never observed and the server answers with Retry-After.
func TestBudgetThatNeverSyncs(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.MaxUnavailable(e.namespace, "before-pdb", "before", "1"))
	e.awaitBudget("before-pdb", func(policyv1.PodDisruptionBudgetStatus) bool { return true })
	e.create(workload.Job(on(e.spec("before", 1), node)), workload.Job(on(e.spec("after", 1), node)))
	e.awaitReady("before", 1)
	e.awaitReady("after", 1)
	e.create(workload.MaxUnavailable(e.namespace, "after-pdb", "after", "1"))
	awaitState(t, "the budgets fail to sync", func() bool {
		return !slices.ContainsFunc([]string{"before-pdb", "after-pdb"}, func(name string) bool {
			b := e.budget(name)
			return b == nil || !slices.ContainsFunc(b.Status.Conditions, func(c metav1.Condition) bool {
				return c.Reason == policyv1.SyncFailedReason
			})
		})
	})
	drainer := e.start("--stuck-after=2s")
	e.request(node, "unsynced")
	e.awaitBlocked(node, "before", "budget_sync_failed")
	awaitState(t, "the pod of after is blocked by its budget's state, too", func() bool {
		return e.blockedBy(node, "after", "budget_unsynced") || e.blockedBy(node, "after", "budget_sync_failed")
	})
	answer, not := "budget_sync_failed", "budget_exhausted"
	if serverBefore(t, "1.35") {
		// That server says of such a budget that it needs 0 healthy pods and
		// has 0. It is counted as what it says.
		answer, not = not, answer
	}
	for _, reason := range []string{answer, "budget_unsynced"} {
		poll(t, "the server's own 429 is counted as "+reason, func() bool {
			return drainer.metric("drainer_eviction_requests_total", "code", "429", "reason", reason) >= 1
		})
	}
	if n := drainer.metric("drainer_eviction_requests_total", "reason", not); n > 0 {
		t.Errorf("%v refusals are counted as %s", n, not)
	}
	// Whatever the server says, the node says what is wrong.
	if !e.blockedBy(node, "before", "budget_sync_failed") || !strings.Contains(e.message(node), "cannot be computed") {
		t.Errorf("the node says %q", e.message(node))
	}
	e.deleteBudget("before-pdb")
	e.deleteBudget("after-pdb")
	e.awaitDrained(node, "unsynced")
}

// TestUnreadyPods leave under AlwaysAllow and wait without it.
func TestUnreadyPods(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	always := workload.MinAvailable(e.namespace, "always-pdb", "always", "2")
	policy := policyv1.AlwaysAllow
	always.Spec.UnhealthyPodEvictionPolicy = &policy
	e.create(
		always, workload.Deployment(on(byHand(e.spec("always", 2)), node)),
		workload.MinAvailable(e.namespace, "strict-pdb", "strict", "2"), workload.Deployment(on(byHand(e.spec("strict", 2)), node)),
	)
	for _, app := range []string{"always", "strict"} {
		for _, pod := range e.awaitBound(app, 2) {
			e.run(pod, corev1.ConditionFalse)
		}
		awaitState(t, "the pods of "+app+" run", func() bool {
			return !slices.ContainsFunc(e.pods(app), func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
		})
		e.awaitBudget(app+"-pdb", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.ExpectedPods == 2 && s.CurrentHealthy == 0 })
	}
	e.start()
	e.request(node, "unready")
	awaitState(t, "the pods under AlwaysAllow leave", func() bool { return e.status(node).Pods.Gone == 2 })
	e.awaitBlocked(node, "strict", "budget_exhausted")
	for _, p := range e.evictions() {
		if !strings.HasPrefix(p.ObjectRef.Name, "always") || p.ResponseStatus.Code != 201 {
			t.Errorf("the eviction of %s was answered %d", p.ObjectRef.Name, p.ResponseStatus.Code)
		}
	}
	e.patchBudget("strict-pdb", map[string]any{"unhealthyPodEvictionPolicy": policyv1.AlwaysAllow})
	e.awaitDrained(node, "unready")
}

// TestPendingAndFinishedPods leave although their budget is exhausted.
func TestPendingAndFinishedPods(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	pending := byHand(e.spec("pending", 1))
	e.create(
		workload.MaxUnavailable(e.namespace, "pending-pdb", "pending", "0"), workload.Deployment(on(pending, node)),
		workload.MinAvailable(e.namespace, "finished-pdb", "finished", "5"), workload.Pod(e.spec("finished", 1), node),
	)
	e.awaitReady("finished", 1)
	e.patchPodStatus(e.pods("finished")[0], map[string]any{"phase": "Succeeded"})
	awaitState(t, "the pending pod is bound and the finished one finished", func() bool {
		return len(e.podsOn(node, "pending")) == 1 && e.pods("finished")[0].Status.Phase == corev1.PodSucceeded
	})
	for _, name := range []string{"pending-pdb", "finished-pdb"} {
		e.awaitBudget(name, func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 0 })
	}
	e.start()
	e.request(node, "inert")
	e.awaitDrained(node, "inert")
	if posts := e.awaitEvictions(2); len(posts) != 2 || len(refused(posts)) > 0 {
		t.Errorf("%d evictions were sent, %d refused; want 2 and none", len(posts), len(refused(posts)))
	}
}
