package e2e

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/cluster/workload"
)

// outOfReach is what RBAC must not let drainer's token do, anywhere.
var outOfReach = []authorizationv1.ResourceAttributes{
	{Verb: "delete", Resource: "pods"},
	{Verb: "deletecollection", Resource: "pods"},
	{Verb: "create", Resource: "pods"},
	{Verb: "patch", Resource: "pods"},
	{Verb: "patch", Resource: "pods", Subresource: "status"},
	{Verb: "create", Resource: "pods", Subresource: "exec"},
	{Verb: "create", Resource: "pods", Subresource: "binding"},
	{Verb: "get", Resource: "pods", Subresource: "log"},
	{Verb: "create", Resource: "nodes"},
	{Verb: "update", Resource: "nodes"},
	{Verb: "delete", Resource: "nodes"},
	{Verb: "get", Resource: "nodes", Subresource: "proxy"},
	{Verb: "get", Resource: "secrets"},
	{Verb: "list", Resource: "secrets"},
	{Verb: "get", Resource: "configmaps"},
	{Verb: "list", Resource: "configmaps"},
	{Verb: "watch", Resource: "configmaps", Name: "another"},
	{Verb: "patch", Resource: "configmaps", Name: "drainer-control"},
	{Verb: "create", Resource: "serviceaccounts", Subresource: "token"},
	{Verb: "impersonate", Resource: "users"},
	{Verb: "patch", Group: "policy", Resource: "poddisruptionbudgets"},
	{Verb: "delete", Group: "policy", Resource: "poddisruptionbudgets"},
	{Verb: "patch", Group: "apps", Resource: "daemonsets"},
	{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"},
	{Verb: "delete", Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicies"},
	{Verb: "delete", Group: "admissionregistration.k8s.io", Resource: "validatingadmissionpolicybindings"},
	{Verb: "delete", Group: "coordination.k8s.io", Resource: "leases"},
	{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Name: "another"},
}

// TestTokenReach: drainer's real token can do nothing of the above, not even in
// its own namespace; it evicts where budgets allow, also where no drain is
// requested, and not where they do not.
func TestTokenReach(t *testing.T) {
	e := setup(t, 1)
	e.mayBeForbidden = true
	core := e.withToken().core
	for _, attributes := range outOfReach {
		for _, namespace := range []string{e.namespace, "kube-system"} {
			attributes.Namespace = namespace
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes}}
			review, err := core.AuthorizationV1().SelfSubjectAccessReviews().Create(e.Context(), review, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if review.Status.Allowed {
				t.Errorf("the token may %s %s/%s in %s", attributes.Verb, attributes.Resource, attributes.Subresource, namespace)
			}
		}
	}
	e.create(workload.Deployment(e.spec("db", 1)), workload.MaxUnavailable(e.namespace, "db", "db", "0"), workload.Deployment(e.spec("web", 1)))
	e.awaitReady("db", 1)
	e.awaitReady("web", 1)
	e.awaitBudget("db", func(policyv1.PodDisruptionBudgetStatus) bool { return true })
	evict := func(app string) error {
		return core.CoreV1().Pods(e.namespace).EvictV1(e.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: e.pods(app)[0].Name}})
	}
	if err := evict("db"); !apierrors.IsTooManyRequests(err) {
		t.Errorf("an eviction that the budget does not allow: %v", err)
	}
	if err := core.CoreV1().Pods(e.namespace).Delete(e.Context(), e.pods("db")[0].Name, metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a deletion: %v", err)
	}
	if err := evict("web"); err != nil {
		t.Errorf("an eviction without a budget: %v", err)
	}
}
