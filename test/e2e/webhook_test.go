package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestWebhook: webhooks that deny evictions with any code, and one that is
// down, block just the pods that they are about.
func TestWebhook(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	codes := map[string]int32{"denied-429": 429, "denied-500": 500, "denied-400": 400}
	for app := range codes {
		e.create(workload.Deployment(on(e.spec(app, 1), node)))
	}
	e.create(workload.Deployment(on(e.spec("down", 1), node)), workload.Deployment(on(e.spec("free", 2), node)))
	e.awaitReady("free", 2)
	for _, app := range []string{"denied-429", "denied-500", "denied-400", "down"} {
		e.awaitReady(app, 1)
	}
	allowed := newGate()
	e.webhook("denied", func(pod string) *metav1.Status {
		select {
		case <-allowed.opened:
			return nil
		default:
		}
		return &metav1.Status{Code: codes[pod[:len("denied-429")]], Message: "not now"}
	})
	// Nobody listens there.
	e.registerWebhook("down", "https://127.0.0.1:1/", nil)
	drainer := e.start()
	e.request(node, "webhook")
	for app, reason := range map[string]string{"denied-429": "evacuating", "denied-500": "webhook", "denied-400": "webhook", "down": "webhook"} {
		e.awaitBlocked(node, app, reason)
	}
	awaitState(t, "the free pods leave", func() bool { return e.status(node).Pods.Gone == 2 })
	for code, reason := range map[string]string{"429": "evacuating", "500": "webhook", "400": "webhook"} {
		if n := drainer.metric("drainer_eviction_requests_total", "code", code, "reason", reason); n < 1 {
			t.Errorf("no answer is counted with code %s and reason %s", code, reason)
		}
	}
	if message := e.message(node); !strings.Contains(message, "by webhook") {
		t.Errorf("the condition says %q and names no webhook", message)
	}
	allowed.open()
	e.removeWebhook("down")
	e.awaitDrained(node, "webhook")
	counted := int(drainer.metric("drainer_eviction_requests_total"))
	if posts := e.awaitEvictions(counted); counted != len(posts) {
		t.Errorf("%d requests are counted, the audit log has %d", counted, len(posts))
	}
}

// TestEvacuating: a pod that a webhook moves itself is waited for, as long as the
// webhook asks, becomes stuck as others do, and is not deleted at the timeout.
func TestEvacuating(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("vm", 1), node)), workload.Deployment(on(e.spec("free", 2), node)))
	e.awaitReady("vm", 1)
	e.awaitReady("free", 2)
	moved := newGate()
	e.webhook("vm", func(string) *metav1.Status {
		select {
		case <-moved.opened:
			return nil
		default:
		}
		return &metav1.Status{Code: 429, Message: "Eviction triggered evacuation of VMI", Details: &metav1.StatusDetails{RetryAfterSeconds: 7}}
	})
	drainer := e.start("--stuck-after=2s", "--allow-delete", "--on-timeout=Delete", "--drain-timeout=1s")
	e.request(node, "moving")
	e.awaitBlocked(node, "vm", "evacuating")
	awaitState(t, "the free pods leave", func() bool { return e.status(node).Pods.Gone == 2 })
	poll(t, "the pod is counted as stuck", func() bool { return drainer.metric("drainer_stuck_pods", "reason", "evacuating") == 1 })
	e.awaitPhase(node, api.TimedOut)
	poll(t, "it is asked for again", func() bool { return len(e.sentFor("vm")) >= 2 })
	if wait := e.sentFor("vm")[1].Received.Sub(e.sentFor("vm")[0].Received); wait < 7*time.Second {
		t.Errorf("its eviction was sent again after %v, although the webhook asked for 7s", wait)
	}
	if n := drainer.metric("drainer_eviction_requests_total", "reason", "webhook"); n > 0 {
		t.Errorf("%v answers are counted as refusals of a webhook", n)
	}
	if n := drainer.metric("drainer_forced_deletions_total"); n > 0 {
		t.Errorf("%v pods were deleted", n)
	}
	want := "because webhook vm.example.com tells drainer to wait (429), usually while it moves the pod itself: Eviction triggered evacuation of VMI"
	if message := e.message(node); !strings.Contains(message, want) {
		t.Errorf("the condition says %q, want %q", message, want)
	}
	moved.open()
	e.awaitDrained(node, "moving")
}

// TestEvacuatingManaged: a pod whose budget never allows its eviction, and is managed by
// what moves the pod, is evicted at once anyway: that is what starts the move.
func TestEvacuatingManaged(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	owner := e.owner("vm")
	budget := workload.MinAvailable(e.namespace, "vm", "vm", "1")
	budget.OwnerReferences = []metav1.OwnerReference{owner}
	e.create(workload.Deployment(on(e.spec("vm", 1), node)), budget)
	e.awaitReady("vm", 1)
	e.awaitBudget("vm", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.CurrentHealthy == 1 && s.ExpectedPods == 1 })
	moved := newGate()
	e.webhook("vm", func(string) *metav1.Status {
		select {
		case <-moved.opened:
			return nil
		default:
		}
		return &metav1.Status{Code: 429, Message: "Eviction triggered evacuation of VMI"}
	})
	drainer := e.start("--stuck-after=12h")
	e.request(node, "moving")
	e.awaitBlocked(node, "vm", "evacuating")
	poll(t, "it is asked for again", func() bool { return len(e.sentFor("vm")) >= 3 })
	if o := e.status(node).CannotFinish; len(o) > 0 {
		t.Errorf("the node says that it cannot finish: %+v", o)
	}
	if n := drainer.metric("drainer_stuck_pods", "reason", "budget_never_allows"); n > 0 {
		t.Errorf("%v pods are stuck by the budget", n)
	}
	e.deleteBudget("vm")
	moved.open()
	e.awaitDrained(node, "moving")
}

// owner is a reference to an object of the namespace that manages others.
func (e *env) owner(name string) metav1.OwnerReference {
	e.Helper()
	m, err := shared.Client.CoreV1().ConfigMaps(e.namespace).Create(e.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		e.Fatal(err)
	}
	manages := true
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: m.Name, UID: m.UID, Controller: &manages}
}

// TestThrottling: the API server's priority and fairness refuses evictions
// while a slow webhook holds all the seats that they have.
func TestThrottling(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 20), node)), workload.MaxUnavailable(e.namespace, "web", "web", "20"))
	e.awaitReady("web", 20)
	e.awaitBudget("web", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 20 })
	seats, _ := e.hold("web")
	e.limitEvictions()
	const workers = 6
	drainer := e.start(fmt.Sprintf("--eviction-workers=%d", workers))
	e.request(node, "throttled")
	e.awaitBlocked(node, "web", "throttled")
	if e.blockedBy(node, "web", "budget_exhausted") {
		t.Error("a throttled eviction is charged to the budget")
	}
	seats.open()
	e.awaitDrained(node, "throttled")
	counted := func(labels ...string) int { return int(drainer.metric("drainer_eviction_requests_total", labels...)) }
	e.awaitEvictions(counted())
	sent := e.sentFor("web")
	refused := func(a cluster.AuditEvent) bool { return a.ResponseStatus.Code == 429 }
	first := slices.IndexFunc(sent, refused)
	// Every worker may send one before the first refusal is answered, and then
	// none does for the Retry-After of 1 s.
	if gap := sent[workers].Received.Sub(sent[first].Received); gap < time.Second {
		t.Errorf("%d evictions were sent within %v of the first that was throttled: they do not slow down together", workers-first, gap)
	}
	if n, logged := counted("code", "429", "reason", "throttled"), len(slices.DeleteFunc(sent, func(a cluster.AuditEvent) bool { return !refused(a) })); n != logged {
		t.Errorf("%d throttled evictions are counted, the audit log has %d", n, logged)
	}
	if n := counted("reason", "budget_exhausted"); n > 0 {
		t.Errorf("%d throttled evictions were taken for a budget's refusal", n)
	}
}

// TestNamespaceDeletion: evictions in a namespace that is being deleted are
// refused; its pods leave with it.
func TestNamespaceDeletion(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	doomed := e.namespace + "-doomed"
	e.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: doomed}})
	spec := on(e.spec("web", 2), node)
	spec.Namespace = doomed
	e.create(workload.Deployment(spec), workload.Deployment(on(e.spec("other", 2), node)))
	e.awaitReady("other", 2)
	awaitState(t, "the doomed pods are ready", func() bool { return e.in(doomed).readyPods("web") == 2 })
	e.forbidDeletion(doomed)
	if err := shared.Client.CoreV1().Namespaces().Delete(t.Context(), doomed, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	drainer := e.start()
	e.request(node, "doomed")
	awaitState(t, "the doomed pods are blocked", func() bool { return e.in(doomed).blockedBy(node, "web", "namespace_terminating") })
	awaitState(t, "the others leave", func() bool { return e.status(node).Pods.Gone == 2 })
	poll(t, "an answer is counted for each of the 2 doomed pods", func() bool {
		return drainer.metric("drainer_eviction_requests_total", "code", "403", "reason", "namespace_terminating") >= 2
	})
	e.allow(doomed)
	e.awaitDrained(node, "doomed")
}

// TestCordonDenied: what cannot be cordoned is not drained, and says why.
func TestCordonDenied(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 2), node)))
	e.awaitReady("web", 2)
	e.forbid(e.namespace, admissionregistrationv1.Update, "nodes",
		fmt.Sprintf("request.name == %q && has(object.spec.unschedulable) && object.spec.unschedulable", node))
	poll(t, "the policy is in force", func() bool {
		_, err := shared.Client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil
	})
	e.start()
	e.request(node, "denied")
	e.awaitPhase(node, api.Blocked)
	if message := e.message(node); !strings.Contains(message, "held by the test") {
		t.Errorf("the condition says %q and not why", message)
	}
	if n := len(e.evictions()); n > 0 || e.cordoned(node) {
		t.Errorf("%d evictions were sent from a node that is not cordoned", n)
	}
	e.allow(e.namespace)
	e.awaitDrained(node, "denied")
}

// TestForbidden: without the permission to evict nothing is evicted, and the
// node says so.
func TestForbidden(t *testing.T) {
	e := setup(t, 2)
	e.mayBeForbidden = true
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("web", 1), node)))
	e.awaitReady("web", 1)
	role, err := daemon.Manifest[*rbacv1.ClusterRole]()
	if err != nil {
		t.Fatal(err)
	}
	role.Name = e.namespace
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "pods/eviction") })
	e.rebind(role)
	e.start()
	e.request(node, "forbidden")
	e.awaitBlocked(node, "web", "forbidden")
	e.awaitPhase(node, api.Blocked)
	if message := e.message(node); !strings.Contains(message, `cannot create resource "pods/eviction"`) {
		t.Errorf("the condition says %q and not what is missing", message)
	}
}
