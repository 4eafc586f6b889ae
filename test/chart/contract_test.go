package chart

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

const (
	contractNamespace = "contract"
	pool              = "pool"
)

// TestContract: of a drain by drainer as the chart installs it, with its flags
// and under its roles, the API server's audit log has no request that was
// forbidden, and no rule of the roles goes unused.
func TestContract(t *testing.T) {
	t.Parallel()
	onCluster(t)
	for i := range 3 {
		node := workload.Node(contractNode(i), map[string]string{pool: contractNamespace})
		if err := workload.Create(t.Context(), suite.client, node); err != nil {
			t.Fatal(err)
		}
	}
	contractPods(t)
	holdEvictions(t)
	helm(t, Majors()[0], "install", contractNamespace, suite.chart.Dir(), "--namespace="+contractNamespace, "--wait", "--timeout=90s",
		"--set=drain.nodeSelector="+pool+"="+contractNamespace, "--set=drain.maxDraining=1", "--set=eviction.timeout=1s")
	// Servers before 1.34 do not stream lists: there list is needed.
	startInstalled(t, contractNamespace, "contract-drainer", []string{"KUBE_FEATURE_WatchListClient=false"})

	request(t, contractNode(0))
	awaitPhase(t, contractNode(0), api.Draining)
	request(t, contractNode(1))
	awaitPhase(t, contractNode(1), api.Queued)

	roles := suite.client.RbacV1()
	clusterRole, err := roles.ClusterRoles().Get(t.Context(), "contract-drainer", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	role, err := roles.Roles(contractNamespace).Get(t.Context(), "contract-drainer", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	unused := grants(slices.Concat(clusterRole.Rules, role.Rules))
	if len(unused) < 10 {
		t.Fatalf("the roles grant only %v", unused)
	}
	t.Cleanup(func() {
		for _, permission := range unused {
			t.Logf("never used: %s", permission)
		}
	})
	// The budget that blocks is read after 36 s at the latest.
	await(t, "every permission is used", func() bool {
		for _, a := range contractAudit(t) {
			used := permission(a.Verb, a.ObjectRef.APIGroup, a.ObjectRef.Resource, a.ObjectRef.Subresource)
			unused = slices.DeleteFunc(unused, func(p string) bool { return p == used })
		}
		return len(unused) == 0
	})
	for _, a := range contractAudit(t) {
		if a.ResponseStatus.Code == http.StatusForbidden || a.Annotations["authorization.k8s.io/decision"] == "forbid" {
			t.Errorf("the chart's roles do not allow to %s %s", a.Verb, a.RequestURI)
		}
	}
}

func contractNode(i int) string { return fmt.Sprintf("%s-%d", contractNamespace, i) }

// contractPods makes a pod whose budget never allows anything, and one whose
// eviction is not answered in time.
func contractPods(t *testing.T) {
	t.Helper()
	spec := func(name string) workload.Spec {
		return workload.Spec{
			Namespace: contractNamespace, Name: name, Replicas: 1, Start: 100 * time.Millisecond, Stop: time.Second,
			NodeSelector: map[string]string{corev1.LabelHostname: contractNode(0)},
			// The namespace admits only restricted pods.
			Pod: func(p *corev1.PodTemplateSpec) {
				yes, no := true, false
				p.Spec.SecurityContext = &corev1.PodSecurityContext{
					RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				}
				p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				}
			},
		}
	}
	err := workload.Create(t.Context(), suite.client,
		workload.Deployment(spec("db")), workload.MaxUnavailable(contractNamespace, "db", "db", "0"), workload.Deployment(spec("web")))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the pods run", func() bool {
		for _, name := range []string{"db", "web"} {
			d, err := suite.client.AppsV1().Deployments(contractNamespace).Get(t.Context(), name, metav1.GetOptions{})
			if err != nil || d.Status.ReadyReplicas != 1 {
				return false
			}
		}
		return true
	})
}

// holdEvictions makes a webhook that is asked about every eviction and does not
// answer, so that drainer has to find out what became of them.
func holdEvictions(t *testing.T) {
	t.Helper()
	ended := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(func() { close(ended); server.Close() })
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	address, ignore, none, seconds := server.URL, admissionv1.Ignore, admissionv1.SideEffectClassNone, int32(10)
	configuration := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: contractNamespace},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "hold.drainer.dev", SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			FailurePolicy: &ignore, TimeoutSeconds: &seconds,
			ClientConfig: admissionv1.WebhookClientConfig{URL: &address, CABundle: ca},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods/eviction"}},
			}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: contractNamespace}},
		}},
	}
	hooks := suite.client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := hooks.Create(t.Context(), configuration, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func request(t *testing.T, node string) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"contract"}}}`, api.DrainAnnotation)
	_, err := suite.client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func awaitPhase(t *testing.T, node string, phase api.Phase) {
	t.Helper()
	await(t, "node "+node+" is "+string(phase), func() bool {
		n, err := suite.client.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
		return err == nil && strings.Contains(n.Annotations[api.StatusAnnotation], string(phase))
	})
}

// contractAudit is what drainer asked the API server for.
func contractAudit(t *testing.T) []cluster.AuditEvent {
	t.Helper()
	const user = "system:serviceaccount:contract:contract-drainer"
	events, err := suite.cluster.Audit(user, func(a *cluster.AuditEvent) bool { return a.User.Username == user })
	if err != nil {
		t.Fatal(err)
	}
	return events
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
