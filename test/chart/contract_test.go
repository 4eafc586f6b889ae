package chart

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
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
		if err := workload.Create(t.Context(), shared.Client, node); err != nil {
			t.Fatal(err)
		}
	}
	contractPods(t)
	holdEvictions(t)
	helm(t, Majors()[0], "install", contractNamespace, shared.chart.Dir(), "--namespace="+contractNamespace, "--wait", helmPatience,
		"--set=drain.nodeSelector="+pool+"="+contractNamespace, "--set=drain.maxDraining=1", "--set=drain.maxUnavailable=100%", "--set=eviction.timeout=1s")
	// Servers before 1.34 do not stream lists: there list is needed.
	startInstalled(t, contractNamespace, "contract-drainer", []string{"KUBE_FEATURE_WatchListClient=false"})

	request(t, contractNode(0))
	awaitStatus(t, contractNode(0), "being drained", func(s api.Status) bool { return s.StartedAt != nil })
	request(t, contractNode(1))
	awaitStatus(t, contractNode(1), "queued", func(s api.Status) bool { return s.Phase == api.Queued })

	roles := shared.Client.RbacV1()
	clusterRole, err := roles.ClusterRoles().Get(t.Context(), "contract-drainer", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rules := clusterRole.Rules
	for _, name := range []string{"contract-drainer", "contract-drainer-control"} {
		role, err := roles.Roles(contractNamespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, role.Rules...)
	}
	const user = "system:serviceaccount:contract:contract-drainer"
	// The budget that blocks is read after 36 s at the latest.
	suite.AwaitUsed(t, shared.Cluster, user, rules)
	suite.CheckAllowed(t, shared.Cluster, user)
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
			Pod:          restricted,
		}
	}
	err := workload.Create(t.Context(), shared.Client,
		workload.Deployment(spec("db")), workload.MaxUnavailable(contractNamespace, "db", "db", "0"), workload.Deployment(spec("web")))
	if err != nil {
		t.Fatal(err)
	}
	awaitClaim(t, "the pods run", func() bool {
		for _, name := range []string{"db", "web"} {
			d, err := shared.Client.AppsV1().Deployments(contractNamespace).Get(t.Context(), name, metav1.GetOptions{})
			if err != nil || d.Status.ReadyReplicas != 1 {
				return false
			}
		}
		return true
	})
}

// restricted makes pods such as the namespaces admit.
func restricted(p *corev1.PodTemplateSpec) {
	yes, no := true, false
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// holdEvictions makes a webhook that is asked about every eviction and does not
// answer, so that drainer has to look up their outcomes.
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
	hooks := shared.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := hooks.Create(t.Context(), configuration, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func request(t *testing.T, node string) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"contract"}}}`, api.DrainAnnotation)
	_, err := shared.Client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitStatus waits until the node's status says so. Nobody may see what it says
// only for a while.
func awaitStatus(t *testing.T, node, what string, says func(api.Status) bool) {
	t.Helper()
	suite.Await(t, nil, "node "+node+" is "+what, func() error {
		n, err := shared.Client.CoreV1().Nodes().Get(suite.Context(t), node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		text := n.Annotations[api.StatusAnnotation]
		status, err := api.ParseStatus(text)
		if text == "" || err == nil && !says(status) {
			return await.NotYet("its status is %q", text)
		}
		return err
	})
}
