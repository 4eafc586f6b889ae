package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// setReady plays kubelet: it says whether a pod is ready.
func (e *env) setReady(pod *corev1.Pod, ready corev1.ConditionStatus) {
	e.Helper()
	e.patchPodStatus(pod, map[string]any{"conditions": []map[string]any{{"type": "Ready", "status": ready}}})
}

// makeUnready plays kubelet until it is believed: kwok may not have seen yet
// that it made the pod ready itself, and does so once more.
func (e *env) makeUnready(pod *corev1.Pod) {
	e.Helper()
	unready := func() bool {
		p, err := suite.world.pods.Pods(pod.Namespace).Get(pod.Name)
		return err == nil && !podReady(p)
	}
	for {
		e.setReady(pod, corev1.ConditionFalse)
		await(e.T, pod.Name+" is unready", unready)
		calm := time.NewTimer(2 * time.Second)
		for stays := true; stays; stays = unready() {
			next := suite.world.next()
			select {
			case <-next:
			case <-calm.C:
				return
			}
		}
		calm.Stop()
	}
}

func (e *env) patchPodStatus(pod *corev1.Pod, status any) {
	e.Helper()
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		e.Fatal(err)
	}
	if _, err := suite.client.CoreV1().Pods(pod.Namespace).Patch(e.Context(), pod.Name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{}, "status"); err != nil {
		e.Fatal(err)
	}
}

// editBudget sets maxUnavailable.
func (e *env) editBudget(name, maxUnavailable string) {
	e.Helper()
	value := intstr.Parse(maxUnavailable)
	e.patchBudget(name, map[string]any{"maxUnavailable": &value})
}

func (e *env) patchBudget(name string, spec map[string]any) {
	e.Helper()
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		e.Fatal(err)
	}
	if _, err := suite.client.PolicyV1().PodDisruptionBudgets(e.namespace).Patch(e.Context(), name, types.MergePatchType, patch,
		metav1.PatchOptions{}); err != nil {
		e.Fatal(err)
	}
}

func (e *env) deleteBudget(name string) {
	e.Helper()
	if err := suite.client.PolicyV1().PodDisruptionBudgets(e.namespace).Delete(e.Context(), name, metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
}

// blockedBy is true if the status names a blocker of the app with the reason.
func (e *env) blockedBy(node, app, reason string) bool {
	e.Helper()
	return slices.ContainsFunc(e.status(node).Blockers, func(b api.Blocker) bool {
		return b.Reason == reason && strings.HasPrefix(b.Pod, e.namespace+"/"+app)
	})
}

func (e *env) awaitBlocked(node, app, reason string) {
	e.Helper()
	await(e.T, fmt.Sprintf("%s is blocked by %s", app, reason), func() bool { return e.blockedBy(node, app, reason) })
}

// TestBudgetExhausted: drainer waits without a refused POST, names the budget
// and its numbers, and goes on within a second of the budget's return.
func TestBudgetExhausted(t *testing.T) {
	e := setup(t, 3)
	e.create(workload.Deployment(e.spec("web", 6)), workload.MaxUnavailable(e.namespace, "web-pdb", "web", "1"))
	e.awaitReady("web", 6)
	sick := e.pods("web")[0]
	node := e.nodes[slices.IndexFunc(e.nodes, func(n string) bool { return n != sick.Spec.NodeName && len(e.podsOn(n, "web")) > 0 })]
	e.makeUnready(sick)
	e.awaitBudget("web-pdb", func(s policyv1.PodDisruptionBudgetStatus) bool {
		return s.CurrentHealthy == 5 && s.DisruptionsAllowed == 0
	})

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

	e.setReady(sick, corev1.ConditionTrue)
	e.awaitDrained(node, "budget")
	posts := e.evictions()
	if bad := refused(posts); len(bad) > 0 {
		t.Errorf("%d of %d evictions were refused", len(bad), len(posts))
	}
	returned := e.budgetReturned("web-pdb")
	if waited := posts[0].Received.Sub(returned); waited > time.Second {
		t.Errorf("the first eviction came %v after the budget's return", waited)
	} else {
		t.Logf("the first eviction came %v after the budget's return", waited)
	}
}

// budgetReturned is when the disruption controller wrote the last status that
// allowed something after one that allowed nothing, before the first eviction.
func (e *env) budgetReturned(name string) time.Time {
	e.Helper()
	first := e.evictions()[0].Received
	writes, err := suite.cluster.Audit(`"poddisruptionbudgets"`, func(a *cluster.AuditEvent) bool {
		return a.ObjectRef.Namespace == e.namespace && a.ObjectRef.Name == name && a.ResponseStatus.Code == 200 &&
			a.Received.Before(first)
	})
	if err != nil || len(writes) == 0 {
		e.Fatalf("no write of the status of budget %s: %v", name, err)
	}
	last := writes[len(writes)-1]
	var b policyv1.PodDisruptionBudget
	if err := json.Unmarshal(last.ResponseObject, &b); err != nil || b.Status.DisruptionsAllowed == 0 {
		e.Fatalf("the last status before the first eviction allows nothing: %+v, %v", b.Status, err)
	}
	return last.Received
}

// TestBudgetNeverAllows: what can leave leaves, the budget is not violated, and
// the drain goes on once somebody mends the budget.
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
	await(t, "one pod of db leaves", func() bool { return e.status(node).Pods.Gone == 5 })
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
		return drainer.metric("drainer_eviction_requests_total", "code", "429", "reason", "budget_exhausted") == 1
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
	if posts := e.evictions(); len(posts) != 1 || posts[0].ResponseStatus.Code != 429 {
		t.Errorf("%d evictions were sent, want one that is refused", len(posts))
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
	if n := len(refused(e.evictions())); n != 6 {
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
	await(t, "the budgets fail to sync", func() bool {
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
	await(t, "the pod of after is blocked by its budget's state, too", func() bool {
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
		always, workload.Deployment(on(e.spec("always", 2), node)),
		workload.MinAvailable(e.namespace, "strict-pdb", "strict", "2"), workload.Deployment(on(e.spec("strict", 2), node)),
	)
	for _, app := range []string{"always", "strict"} {
		e.awaitReady(app, 2)
		for _, pod := range e.pods(app) {
			e.makeUnready(pod)
		}
		e.awaitBudget(app+"-pdb", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.CurrentHealthy == 0 })
	}
	e.start()
	e.request(node, "unready")
	await(t, "the pods under AlwaysAllow leave", func() bool { return e.status(node).Pods.Gone == 2 })
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
	pending := e.spec("pending", 1)
	pending.Start = time.Hour
	e.create(
		workload.MaxUnavailable(e.namespace, "pending-pdb", "pending", "0"), workload.Deployment(on(pending, node)),
		workload.MinAvailable(e.namespace, "finished-pdb", "finished", "5"), workload.Pod(e.spec("finished", 1), node),
	)
	e.awaitReady("finished", 1)
	e.patchPodStatus(e.pods("finished")[0], map[string]any{"phase": "Succeeded"})
	await(t, "the pending pod is bound and the finished one finished", func() bool {
		return len(e.podsOn(node, "pending")) == 1 && e.pods("finished")[0].Status.Phase == corev1.PodSucceeded
	})
	for _, name := range []string{"pending-pdb", "finished-pdb"} {
		e.awaitBudget(name, func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 0 })
	}
	e.start()
	e.request(node, "inert")
	e.awaitDrained(node, "inert")
	if posts := e.evictions(); len(posts) != 2 || len(refused(posts)) > 0 {
		t.Errorf("%d evictions were sent, %d refused; want 2 and none", len(posts), len(refused(posts)))
	}
}

// TestManyNodes: 20 nodes at once under shared budgets, watched from outside.
func TestManyNodes(t *testing.T) {
	const apps, replicas, drained = 6, 30, 20
	e := setup(t, 30)
	var names []string
	for i := range apps {
		name := fmt.Sprintf("app-%d", i)
		names = append(names, name)
		e.create(workload.Deployment(e.spec(name, replicas)), workload.MaxUnavailable(e.namespace, name, name, "10%"))
	}
	for _, name := range names {
		e.awaitReady(name, replicas)
		e.awaitBudget(name, func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 3 })
	}
	guard := e.watchHealth(names, replicas-3)
	drainer := e.start()
	begun := time.Now()
	for _, node := range e.nodes[:drained] {
		e.request(node, "many")
	}
	for _, node := range e.nodes[:drained] {
		e.awaitDrained(node, "many")
	}
	makespan := time.Since(begun)
	if violations := guard(); len(violations) > 0 {
		t.Errorf("budgets were violated: %v", violations)
	}
	posts := e.evictions()
	admitted := int(drainer.metric("drainer_eviction_requests_total", "code", "201"))
	if admitted != len(posts)-len(refused(posts)) {
		t.Errorf("%d admitted evictions counted, the audit log has %d", admitted, len(posts)-len(refused(posts)))
	}
	t.Logf("%d nodes drained in %.1fs with %d evictions, %d of them refused", drained, makespan.Seconds(), len(posts), len(refused(posts)))
	for _, p := range refused(posts) {
		t.Logf("%s was answered %d: %s", p.ObjectRef.Name, p.ResponseStatus.Code, p.ResponseObject)
	}
}

// watchHealth watches, with a watch of its own, that no app ever has fewer
// than least healthy pods. The function it returns ends the watch.
func (e *env) watchHealth(apps []string, least int) func() []string {
	e.Helper()
	list, err := suite.client.CoreV1().Pods(e.namespace).List(e.Context(), metav1.ListOptions{})
	if err != nil {
		e.Fatal(err)
	}
	w, err := suite.client.CoreV1().Pods(e.namespace).Watch(e.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		e.Fatal(err)
	}
	healthy := map[string]map[types.UID]bool{}
	for _, app := range apps {
		healthy[app] = map[types.UID]bool{}
	}
	see := func(p *corev1.Pod, exists bool) {
		if pods := healthy[p.Labels[workload.AppLabel]]; exists && podReady(p) {
			pods[p.UID] = true
		} else {
			delete(pods, p.UID)
		}
	}
	for i := range list.Items {
		see(&list.Items[i], true)
	}
	var violations []string
	var stopped atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range w.ResultChan() {
			p, ok := event.Object.(*corev1.Pod)
			if stopped.Load() {
				return
			}
			if !ok {
				violations = append(violations, fmt.Sprintf("the watch broke: %v", event))
				return
			}
			see(p, event.Type != watch.Deleted)
			if app := p.Labels[workload.AppLabel]; len(healthy[app]) < least {
				violations = append(violations, fmt.Sprintf("%s had %d healthy pods after %s of %s", app, len(healthy[app]), event.Type, p.Name))
			}
		}
	}()
	return func() []string {
		stopped.Store(true)
		w.Stop()
		<-done
		return violations
	}
}
