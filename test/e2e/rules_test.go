package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestRules: each pod of a node does what its rule says: one stays, one completes
// first, one waits for somebody to delete it, one leaves after all others. The node
// and the metrics name the rules.
func TestRules(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(
		workload.Deployment(on(e.spec("web", 2), node)), workload.Deployment(on(e.spec("db", 1), node)), workload.Deployment(on(e.spec("keep", 1), node)),
		workload.Deployment(on(e.spec("guard", 1), node)), workload.Job(byHand(on(e.spec("train", 1), node))),
	)
	for app, n := range map[string]int{"web": 2, "db": 1, "keep": 1, "guard": 1} {
		e.awaitReady(app, n)
	}
	train := e.awaitBound("train", 1)[0]
	e.run(train, corev1.ConditionTrue)
	drainer := e.start("--config=" + e.configuration(`rules:
- {name: keep, match: {podSelector: {matchLabels: {app: keep}}}, action: Ignore}
- {name: train-first, match: {podSelector: {matchLabels: {app: train}}}, action: WaitCompleted, atMost: 24h}
- {name: ask-us, match: {podSelector: {matchLabels: {app: guard}}}, action: Block}
- {name: db-last, match: {podSelector: {matchLabels: {app: db}}}, action: Evict, order: 100, gracePeriod: 2s}
`))
	e.request(node, "r")
	e.awaitBlocked(node, "train", "completion")
	e.awaitBlocked(node, "guard", "policy")
	e.awaitBlocked(node, "db", "order")
	e.awaitEvictions(2)
	for _, says := range []string{"because rule ask-us does not let it be evicted", "because rule train-first waits until it completes, or until ", "because rule db-last gives it order 100, and "} {
		awaitState(t, "the node says "+says, func() bool { return strings.Contains(e.message(node), says) })
	}
	awaitState(t, "the metric names the rules", func() bool {
		return drainer.metric("drainer_rule_blocked_pods", "rule", "ask-us") == 1 && drainer.metric("drainer_rule_blocked_pods", "rule", "db-last") == 1
	})
	e.patchPodStatus(train, map[string]any{"phase": "Succeeded", "conditions": []map[string]any{{"type": "Ready", "status": "False"}}})
	e.awaitEvictions(3)
	guard := e.pods("guard")[0]
	if err := shared.Client.CoreV1().Pods(e.namespace).Delete(e.Context(), guard.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.awaitDrained(node, "r")
	sent := e.awaitEvictions(4)
	if !slices.ContainsFunc(sent, func(a cluster.AuditEvent) bool { return strings.HasPrefix(a.ObjectRef.Name, "train") }) ||
		!strings.HasPrefix(sent[len(sent)-1].ObjectRef.Name, "db-") {
		t.Errorf("the evictions are %v, want train among them and db last", sent)
	}
	if ignored := e.status(node).Pods.Ignored; ignored != 1 || len(e.podsOn(node, "keep")) != 1 {
		t.Errorf("%d pods are ignored, want that of keep", ignored)
	}
}

// namespaceRules is what the chart grants if something in the configuration looks at
// the labels of namespaces (TestNamespacesGranted in test/chart).
var namespaceRules = []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list", "watch"}}}

// labelNamespace sets a label of the test's namespace; nil removes it.
func (e *env) labelNamespace(key string, value any) {
	e.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{key: value}}})
	if err != nil {
		e.Fatal(err)
	}
	if _, err := shared.Client.CoreV1().Namespaces().Patch(e.Context(), e.namespace, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		e.Fatal(err)
	}
}

// TestNamespaceSelector: rules and the trust in annotations look at the labels of
// namespaces, and see at once that one has changed. The permission for it is used;
// without it nothing is evicted.
func TestNamespaceSelector(t *testing.T) {
	e := setup(t, 2)
	e.mayBeForbidden = true
	node := e.nodes[0]
	job := on(e.spec("job", 1), node)
	job.Pod = func(p *corev1.PodTemplateSpec) {
		p.Annotations[api.PodActionAnnotation] = string(plan.AwaitPod)
	}
	e.create(workload.Deployment(on(e.spec("web", 1), node)), workload.Deployment(on(e.spec("guard", 1), node)), workload.Deployment(job))
	for _, app := range []string{"web", "guard", "job"} {
		e.awaitReady(app, 1)
	}
	e.labelNamespace("trusted", "yes")
	e.labelNamespace("team", "a")
	// Servers before 1.34 do not stream lists: there list is needed.
	e.environment = []string{"KUBE_FEATURE_WatchListClient=false"}
	e.start("--config=" + e.configuration(`rules: [{name: ask-team-a, match: {podSelector: {matchLabels: {app: guard}}, namespaceSelector: {matchLabels: {team: a}}}, action: Block}]
trustPodAnnotations: {namespaceSelector: {matchLabels: {trusted: "yes"}}}
`))
	e.request(node, "r")
	asked := func(verb string, forbidden bool) func() bool {
		return func() bool {
			return len(e.audit(func(a *cluster.AuditEvent) bool {
				return a.ObjectRef.Resource == "namespaces" && a.Verb == verb && a.Forbidden() == forbidden
			})) > 0
		}
	}
	poll(t, "drainer may not list namespaces", asked("list", true))
	if text := e.status(node); text.Phase != "" || len(e.evictions()) > 0 {
		t.Errorf("without the permission the node is %q, and %d evictions were sent", text.Phase, len(e.evictions()))
	}
	e.grant("drainer-namespaces", "drainer", namespaceRules...)
	e.awaitBlocked(node, "job", "completion")
	e.awaitBlocked(node, "guard", "policy")
	e.awaitEvictions(1)
	poll(t, "the permissions are used", func() bool { return asked("list", false)() && asked("watch", false)() })
	e.labelNamespace("trusted", nil)
	sent := e.awaitEvictions(2)
	if !strings.HasPrefix(sent[1].ObjectRef.Name, "job-") {
		t.Errorf("evicted are %v, want job last", sent)
	}
	guard := e.pods("guard")[0]
	if err := shared.Client.CoreV1().Pods(e.namespace).Delete(e.Context(), guard.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.awaitDrained(node, "r")
}

// scaleRules is what the chart grants if a rule looks at replicas (TestScalesGranted
// in test/chart).
var scaleRules = []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"replicasets", "statefulsets"}, Verbs: []string{"get"}}}

// TestReplicas: a rule holds the pods of controllers with one replica, and lets them go
// once there are more. The permission is used; without it the rule matches nothing,
// and the node says so.
func TestReplicas(t *testing.T) {
	e := setup(t, 3)
	e.mayBeForbidden = true
	first, second := e.nodes[0], e.nodes[1]
	e.create(
		workload.Deployment(on(e.spec("blind", 1), first)), workload.MaxUnavailable(e.namespace, "blind", "blind", "0"),
		workload.Deployment(on(e.spec("web", 2), second)), workload.StatefulSet(on(e.spec("db", 1), second)),
	)
	for app, n := range map[string]int{"blind": 1, "web": 2, "db": 1} {
		e.awaitReady(app, n)
	}
	e.start("--config=" + e.configuration(`rules: [{name: single, match: {podSelector: {matchExpressions: [{key: app, operator: Exists}]}, replicas: 1}, action: Block}]
`))
	e.request(first, "blind")
	awaitState(t, "the node says that it cannot know", func() bool {
		return strings.Contains(e.message(first), "rules with replicas do not match pod "+e.namespace+"/blind-")
	})
	// Until the message has been seen, its pod must not leave.
	e.deleteBudget("blind")
	e.awaitDrained(first, "blind")
	e.grant("drainer-scales", "drainer", scaleRules...)
	e.request(second, "r")
	e.awaitBlocked(second, "db", "policy")
	for _, resource := range []string{"replicasets", "statefulsets"} {
		poll(t, "the permission to get "+resource+" is used", func() bool {
			return len(e.audit(func(a *cluster.AuditEvent) bool {
				return a.ObjectRef.Resource == resource && a.Verb == "get" && !a.Forbidden()
			})) > 0
		})
	}
	e.awaitEvictions(3)
	if len(e.podsOn(second, "db")) != 1 {
		t.Error("the pod of a single replica is gone")
	}
}
