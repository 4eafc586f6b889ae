package e2e

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	_, err := shared.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(e.Context(),
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
	_ = shared.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(
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
	if _, err := shared.Client.FlowcontrolV1().PriorityLevelConfigurations().Create(e.Context(), level, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	if _, err := shared.Client.FlowcontrolV1().FlowSchemas().Create(e.Context(), schema, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		_ = shared.Client.FlowcontrolV1().FlowSchemas().Delete(noDeadline, schema.Name, metav1.DeleteOptions{})
		_ = shared.Client.FlowcontrolV1().PriorityLevelConfigurations().Delete(noDeadline, level.Name, metav1.DeleteOptions{})
	})
	poll(e.T, "the flow schema is in force", func() bool {
		s, err := shared.Client.FlowcontrolV1().FlowSchemas().Get(e.Context(), schema.Name, metav1.GetOptions{})
		return err == nil && slices.ContainsFunc(s.Status.Conditions, func(c flowcontrolv1.FlowSchemaCondition) bool {
			return c.Type == flowcontrolv1.FlowSchemaConditionDangling && c.Status == flowcontrolv1.ConditionFalse
		})
	})
}

// forbidDeletion keeps pods of the namespace from being deleted by anybody but
// the eviction API.
func (e *env) forbidDeletion(namespace string) {
	e.Helper()
	e.forbid(namespace, admissionregistrationv1.Delete, "pods", fmt.Sprintf("request.namespace == %q", namespace))
	poll(e.T, "the policy is in force", func() bool {
		err := shared.Client.CoreV1().Pods(namespace).Delete(e.Context(), e.in(namespace).pods("web")[0].Name,
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
	client := shared.Client.AdmissionregistrationV1()
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
	client := shared.Client.AdmissionregistrationV1()
	_ = client.ValidatingAdmissionPolicyBindings().Delete(noDeadline, name, metav1.DeleteOptions{})
	_ = client.ValidatingAdmissionPolicies().Delete(noDeadline, name, metav1.DeleteOptions{})
}
