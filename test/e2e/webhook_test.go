package e2e

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// webhook decides about evictions in the test's namespace: it may wait, and
// returns the denial, or nil to allow.
func (e *env) webhook(name string, decide func(pod string) *metav1.Status) {
	e.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		denial := decide(review.Request.Name)
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: denial == nil, Result: denial}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	e.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	e.registerWebhook(name, server.URL, ca)
}

// registerWebhook asks the URL about evictions of the pods whose names begin
// with the name.
func (e *env) registerWebhook(name, url string, ca []byte) {
	e.Helper()
	fail, none, seconds := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, int32(30)
	_, err := suite.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(e.Context(),
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: e.namespace + "-" + name},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name:          name + ".example.com",
				ClientConfig:  admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: ca},
				FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &seconds,
				AdmissionReviewVersions: []string{"v1"},
				NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: e.namespace}},
				MatchConditions: []admissionregistrationv1.MatchCondition{{
					Name: "pods", Expression: fmt.Sprintf("request.name.startsWith(%q)", name),
				}},
				Rules: []admissionregistrationv1.RuleWithOperations{{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule: admissionregistrationv1.Rule{
						APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods/eviction"},
					},
				}},
			}},
		}, metav1.CreateOptions{})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { e.removeWebhook(name) })
}

// removeWebhook may be called more than once, also when the test has ended.
func (e *env) removeWebhook(name string) {
	_ = suite.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(
		noDeadline, e.namespace+"-"+name, metav1.DeleteOptions{})
}

// gate holds back whoever passes until it is opened.
type gate struct {
	opened chan struct{}
	once   *sync.Once
}

func newGate() gate { return gate{make(chan struct{}), new(sync.Once)} }

func (g gate) pass() { <-g.opened }

func (g gate) open() { g.once.Do(func() { close(g.opened) }) }

// hold makes a webhook that holds back the evictions of the pods whose names
// begin with the name until the gate is opened, and tells which were asked for.
func (e *env) hold(name string) (gate, <-chan string) {
	e.Helper()
	g := newGate()
	asked := make(chan string, 1000)
	e.webhook(name, func(pod string) *metav1.Status {
		asked <- pod
		g.pass()
		return nil
	})
	// The server that waits for its requests is closed after this.
	e.Cleanup(g.open)
	return g, asked
}

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
	for _, app := range []string{"denied-429", "denied-500", "denied-400", "down"} {
		e.awaitBlocked(node, app, "webhook")
	}
	await(t, "the free pods leave", func() bool { return e.status(node).Pods.Gone == 2 })
	for _, code := range []string{"429", "500", "400"} {
		if n := drainer.metric("drainer_eviction_requests_total", "code", code, "reason", "webhook"); n < 1 {
			t.Errorf("no answer is counted with code %s and reason webhook", code)
		}
	}
	if message := e.message(node); !strings.Contains(message, "by webhook") {
		t.Errorf("the condition says %q and names no webhook", message)
	}
	allowed.open()
	e.removeWebhook("down")
	e.awaitDrained(node, "webhook")
	counted := drainer.metric("drainer_eviction_requests_total")
	if posts := e.evictions(); int(counted) != len(posts) {
		t.Errorf("%v requests are counted, the audit log has %d", counted, len(posts))
	}
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
	drainer := e.start()
	throttled := func() int {
		return int(drainer.metric("drainer_eviction_requests_total", "code", "429", "reason", "throttled"))
	}
	e.request(node, "throttled")
	poll(t, "an eviction is throttled", func() bool { return throttled() >= 1 })
	await(t, "the node says so", func() bool { return e.blockedBy(node, "web", "throttled") })
	first, begun := throttled(), time.Now()
	watchFor(t, 4*time.Second, "nothing is charged to the budget", func() bool {
		return !e.blockedBy(node, "web", "budget_exhausted")
	})
	// One at a time, each after the Retry-After of 1 s.
	if n := throttled() - first; n > int(time.Since(begun).Seconds())+1 {
		t.Errorf("%d more evictions were refused in %v: they do not slow down together", n, time.Since(begun))
	}
	seats.open()
	e.awaitDrained(node, "throttled")
	posts := e.evictions()
	bad := refused(posts)
	for _, p := range bad {
		if p.ResponseStatus.Code != 429 {
			t.Errorf("%s was answered %d", p.ObjectRef.Name, p.ResponseStatus.Code)
		}
	}
	if n := throttled(); n != len(bad) {
		t.Errorf("%d throttled evictions are counted, the audit log has %d", n, len(bad))
	}
	if n := drainer.metric("drainer_eviction_requests_total", "reason", "budget_exhausted"); n > 0 {
		t.Errorf("%v throttled evictions were taken for a budget's refusal", n)
	}
}

// limitEvictions gives the evictions of drainer's user, and nothing else of
// it, as few seats as there can be and no queue.
func (e *env) limitEvictions() {
	e.Helper()
	one, zero := int32(1), int32(0)
	level := &flowcontrolv1.PriorityLevelConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: e.namespace},
		Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
			Type: flowcontrolv1.PriorityLevelEnablementLimited,
			Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
				NominalConcurrencyShares: &one, BorrowingLimitPercent: &zero, LendablePercent: &zero,
				LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeReject},
			},
		},
	}
	schema := &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: e.namespace},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: e.namespace},
			MatchingPrecedence:         2,
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects: []flowcontrolv1.Subject{{
					Kind:           flowcontrolv1.SubjectKindServiceAccount,
					ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: e.namespace, Name: "drainer"},
				}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
					Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Namespaces: []string{"*"},
				}},
			}},
		},
	}
	if _, err := suite.client.FlowcontrolV1().PriorityLevelConfigurations().Create(e.Context(), level, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	if _, err := suite.client.FlowcontrolV1().FlowSchemas().Create(e.Context(), schema, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		_ = suite.client.FlowcontrolV1().FlowSchemas().Delete(noDeadline, schema.Name, metav1.DeleteOptions{})
		_ = suite.client.FlowcontrolV1().PriorityLevelConfigurations().Delete(noDeadline, level.Name, metav1.DeleteOptions{})
	})
	poll(e.T, "the flow schema is in force", func() bool {
		s, err := suite.client.FlowcontrolV1().FlowSchemas().Get(e.Context(), schema.Name, metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(s.Status.Conditions, func(c flowcontrolv1.FlowSchemaCondition) bool {
			return c.Type == flowcontrolv1.FlowSchemaConditionDangling && c.Status == flowcontrolv1.ConditionFalse
		})
	})
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
	await(t, "the doomed pods are ready", func() bool { return e.in(doomed).readyPods("web") == 2 })
	e.forbidDeletion(doomed)
	if err := suite.client.CoreV1().Namespaces().Delete(t.Context(), doomed, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	drainer := e.start()
	e.request(node, "doomed")
	await(t, "the doomed pods are blocked", func() bool { return e.in(doomed).blockedBy(node, "web", "namespace_terminating") })
	await(t, "the others leave", func() bool { return e.status(node).Pods.Gone == 2 })
	if n := drainer.metric("drainer_eviction_requests_total", "code", "403", "reason", "namespace_terminating"); n < 2 {
		t.Errorf("%v answers are counted as namespace_terminating, want one for each of 2 pods at least", n)
	}
	e.allow(doomed)
	e.awaitDrained(node, "doomed")
}

// in is the same test, looking at another namespace.
func (e *env) in(namespace string) *env {
	other := *e
	other.namespace = namespace
	return &other
}

func (e *env) readyPods(app string) int {
	n := 0
	for _, p := range e.pods(app) {
		if podReady(p) {
			n++
		}
	}
	return n
}

// forbidDeletion keeps pods of the namespace from being deleted by anybody but
// the eviction API.
func (e *env) forbidDeletion(namespace string) {
	e.Helper()
	e.forbid(namespace, admissionregistrationv1.Delete, "pods", fmt.Sprintf("request.namespace == %q", namespace))
	poll(e.T, "the policy is in force", func() bool {
		err := suite.client.CoreV1().Pods(namespace).Delete(e.Context(), e.in(namespace).pods("web")[0].Name,
			metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil
	})
}

// forbid makes a policy of the name that denies the operation on the resource
// where the condition holds.
func (e *env) forbid(name string, operation admissionregistrationv1.OperationType, resource, condition string) {
	e.Helper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{operation},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
				}}},
			},
			MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "test", Expression: condition}},
			Validations:     []admissionregistrationv1.Validation{{Expression: "false", Message: "held by the test"}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	client := suite.client.AdmissionregistrationV1()
	if _, err := client.ValidatingAdmissionPolicies().Create(e.Context(), policy, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	if _, err := client.ValidatingAdmissionPolicyBindings().Create(e.Context(), binding, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { e.allow(name) })
}

// allow takes a policy away. It may be called more than once.
func (e *env) allow(name string) {
	client := suite.client.AdmissionregistrationV1()
	_ = client.ValidatingAdmissionPolicyBindings().Delete(noDeadline, name, metav1.DeleteOptions{})
	_ = client.ValidatingAdmissionPolicies().Delete(noDeadline, name, metav1.DeleteOptions{})
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
		_, err := suite.client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`),
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

// rebind puts another ClusterRole in the place of deploy's.
func (e *env) rebind(role *rbacv1.ClusterRole) {
	e.Helper()
	client := suite.client.RbacV1()
	if _, err := client.ClusterRoles().Create(e.Context(), role, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	binding, err := client.ClusterRoleBindings().Get(e.Context(), daemon.BindingName(e.namespace), metav1.GetOptions{})
	if err != nil {
		e.Fatal(err)
	}
	if err := client.ClusterRoleBindings().Delete(e.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
	binding.ResourceVersion, binding.UID, binding.RoleRef.Name = "", "", role.Name
	if _, err := client.ClusterRoleBindings().Create(e.Context(), binding, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
}
