package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// requestsNamespace also begins the names of the nodes that its policy is about.
const requestsNamespace = "requests"

// writes are changes to a node, with a part of its annotations or all.
var writes = []struct {
	name, sub, patch string
	// takes is true for what takes the permission to drain.
	takes bool
}{
	{"a request", "", `{"metadata":{"annotations":{"drainer.dev/drain":"x"}}}`, true},
	{"a request by the status", "status", `{"metadata":{"annotations":{"drainer.dev/drain":"x"}}}`, true},
	{"a request beside other things", "", `{"metadata":{"annotations":{"example.com/a":"b","drainer.dev/drain":"x"},"labels":{"a":"b"}}}`, true},
	{"another request", "", `{"metadata":{"annotations":{"drainer.dev/paused":"false"}}}`, true},
	{"no request", "", `{"metadata":{"annotations":{"drainer.dev/paused":null}}}`, true},
	{"no annotations", "", `{"metadata":{"annotations":null}}`, true},
	{"a status", "status", `{"metadata":{"annotations":{"drainer.dev/status":"{}"}}}`, true},
	{"a hold", "", `{"metadata":{"annotations":{"hold.drainer.dev/backup":"x"}}}`, true},
	{"the same request", "", `{"metadata":{"annotations":{"drainer.dev/paused":"true"}}}`, false},
	{"another annotation", "", `{"metadata":{"annotations":{"example.com/a":"b"}}}`, false},
	{"an annotation of a name alike", "", `{"metadata":{"annotations":{"drainer.dev.example.com/drain":"x"}}}`, false},
	{"a label", "", `{"metadata":{"labels":{"a":"b"}}}`, false},
	{"a cordon", "", `{"spec":{"unschedulable":true}}`, false},
	{"a heartbeat", "status", heartbeat, false},
}

const heartbeat = `{"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2030-01-01T00:00:00Z"}]}}`

// TestRequests: with confinement.requests, who may write drainer's annotations
// is who may drain, by plain RBAC, and nobody else notices.
func TestRequests(t *testing.T) {
	t.Parallel()
	onCluster(t)
	first, second := requestsNode(t, 0), requestsNode(t, 1)
	furnishRequests(t, first)
	guest, approver, some := clientAs(t, "guest"), clientAs(t, "approver"), clientAs(t, "approver-of-some")
	kubelet := clientAs(t, "system:node:"+first, "system:nodes")
	awaitClaim(t, "the policy is in force", func() bool { return tryWrite(t, guest, second, "", writes[0].patch) != nil })
	for _, w := range writes {
		for name, who := range map[string]struct {
			client kubernetes.Interface
			node   string
			denied bool
		}{
			"nobody":              {guest, first, w.takes},
			"the node":            {kubelet, first, w.takes},
			"an approver":         {approver, first, false},
			"an approver of it":   {some, first, false},
			"one of another node": {some, second, w.takes},
		} {
			err := tryWrite(t, who.client, who.node, w.sub, w.patch)
			if denied := err != nil; denied != who.denied || denied && !strings.Contains(err.Error(), "takes the permission to drain node "+who.node) {
				t.Errorf("%s by %s: %v", w.name, name, err)
			}
		}
	}
	for name, client := range map[string]kubernetes.Interface{"nobody": guest, "the node": kubelet} {
		if err := tryRegister(t, client, nil); err != nil {
			t.Errorf("%s cannot register a node: %v", name, err)
		}
		err := tryRegister(t, client, map[string]string{api.DrainAnnotation: "x"})
		if err == nil || !strings.Contains(err.Error(), "takes the permission to drain node") {
			t.Errorf("%s registers a node with a request: %v", name, err)
		}
	}
	crowd(t, second)
	if err := tryWrite(t, kubelet, second, "status", heartbeat); err != nil {
		t.Errorf("a heartbeat of a node with all annotations that there can be: %v", err)
	}
	const another = `{"metadata":{"annotations":{"example.com/a":"b"}}}`
	err := tryWrite(t, guest, second, "", another)
	if err == nil || !strings.Contains(err.Error(), "any annotation of a node with more than 1000 takes the permission to drain node "+second) {
		t.Errorf("an annotation of a node with all that there can be, by nobody: %v", err)
	}
	if err := tryWrite(t, approver, second, "", `{"metadata":{"annotations":{"a00000":"b"}}}`); err != nil {
		t.Errorf("an annotation of a node with all that there can be, by an approver: %v", err)
	}
	checkTypes(t, "requests-drainer-requests")
	drainApproved(t, approver, first)
}

// furnishRequests lets a release of the chart be there, with the policy that is
// off by default, and roles for those who write to nodes.
func furnishRequests(t *testing.T, node string) {
	t.Helper()
	helm(t, Majors()[0], "install", requestsNamespace, shared.chart.Dir(), "--namespace="+requestsNamespace, "--wait", helmPatience,
		"--set=drain.nodeSelector="+pool+"="+requestsNamespace, "--set=drain.allowLastNode=true", "--set=drain.settle=1s")
	out, err := shared.chart.Helm(suite.Context(t), Majors()[0], "template", requestsNamespace, shared.chart.Dir(),
		"--namespace="+requestsNamespace, "--set=confinement.requests.enabled=true")
	if err != nil {
		t.Fatal(err)
	}
	all := parse(t, out)
	policy := all.find(t, "ValidatingAdmissionPolicy", "-requests")
	// Other tests have drainers of their own in this cluster.
	conditions, _ := at(policy, "spec", "matchConditions").([]any)
	policy.Object["spec"].(map[string]any)["matchConditions"] = append(conditions, map[string]any{
		"name": "test", "expression": "object.metadata.name.startsWith('" + requestsNamespace + "')",
	})
	manifest := ""
	for _, o := range (objects{policy, all.find(t, "ValidatingAdmissionPolicyBinding", "-requests")}) {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		manifest += "---\n" + string(text)
	}
	kubectl(t, manifest, "create", "--filename=-")
	write := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes", "nodes/status"}, Verbs: []string{"get", "create", "patch"}}
	grant(t, "writer", []rbacv1.PolicyRule{write}, "guest", "approver", "approver-of-some")
	documented := documentedApprover(t)
	grant(t, "approver", documented, "approver")
	documented[0].ResourceNames = []string{node}
	grant(t, "approver-of-some", documented, "approver-of-some")
}

// documentedApprover are the rules that docs/security.md gives to approvers.
func documentedApprover(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.chart.Checkout, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- test: approver -->\n```yaml\n")
	document, _, found := strings.Cut(rest, "```")
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(document), &role); err != nil || !found || len(role.Rules) == 0 {
		t.Fatalf("docs/security.md has no role for approvers, but %q: %v", document, err)
	}
	return role.Rules
}

func grant(t *testing.T, name string, rules []rbacv1.PolicyRule, users ...string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: requestsNamespace + "-" + name}
	roles := shared.Client.RbacV1()
	if _, err := roles.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name}}
	for _, user := range users {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user})
	}
	if _, err := roles.ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// drainApproved lets an approver ask for a drain, and the release carry it out
// with its own token.
func drainApproved(t *testing.T, approver kubernetes.Interface, node string) {
	t.Helper()
	const account = "requests-drainer"
	startInstalled(t, requestsNamespace, account, nil)
	_, err := approver.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"drainer.dev/drain":"approved","drainer.dev/paused":null}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, node, "drained", func(s api.Status) bool { return s.Phase == api.Drained })
	suite.CheckAllowed(t, shared.Cluster, "system:serviceaccount:"+requestsNamespace+":"+account)
}

// crowd gives a node as many annotations as the API server lets it have.
func crowd(t *testing.T, node string) {
	t.Helper()
	const limit = 256 << 10
	annotations := map[string]string{}
	for size := 0; size < limit-1000; size += len("a00000") {
		annotations[fmt.Sprintf("a%05d", len(annotations))] = ""
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shared.Client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// checkTypes: the API server's type checker has nothing to say about a policy.
func checkTypes(t *testing.T, policy string) {
	t.Helper()
	awaitClaim(t, "policy "+policy+" is checked", func() bool {
		p, err := shared.Client.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(suite.Context(t), policy, metav1.GetOptions{})
		if err != nil || p.Status.TypeChecking == nil {
			return false
		}
		for _, w := range p.Status.TypeChecking.ExpressionWarnings {
			t.Errorf("%s: %s: %s", policy, w.FieldRef, w.Warning)
		}
		return true
	})
}

// tryRegister tries to make a node.
func tryRegister(t *testing.T, client kubernetes.Interface, annotations map[string]string) error {
	t.Helper()
	node := workload.Node(requestsNamespace+"-new", nil)
	node.Annotations = annotations
	_, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// tryWrite patches a node, but only tries to.
func tryWrite(t *testing.T, client kubernetes.Interface, node, sub, patch string) error {
	t.Helper()
	var subs []string
	if sub != "" {
		subs = append(subs, sub)
	}
	_, err := client.CoreV1().Nodes().Patch(suite.Context(t), node, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, subs...)
	return err
}

// requestsNode makes a node with an annotation of drainer's.
func requestsNode(t *testing.T, i int) string {
	t.Helper()
	name := fmt.Sprintf("%s-%d", requestsNamespace, i)
	node := workload.Node(name, map[string]string{pool: requestsNamespace})
	node.Annotations = map[string]string{api.PausedAnnotation: "true"}
	if err := workload.Create(t.Context(), shared.Client, node); err != nil {
		t.Fatal(err)
	}
	return name
}

// clientAs is a client of a user with the groups, and no other permissions than
// theirs.
func clientAs(t *testing.T, user string, groups ...string) kubernetes.Interface {
	t.Helper()
	config := shared.Cluster.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
