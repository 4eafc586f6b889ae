package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// person is who tries something.
type person struct {
	dynamic dynamic.Interface
	core    kubernetes.Interface
	// dryRun is empty for who means it.
	dryRun []string
}

func personOf(t *testing.T, config *rest.Config, dryRun ...string) person {
	t.Helper()
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return person{objects, core, dryRun}
}

// withToken is who has the real token of the test's ServiceAccount.
func (e *env) withToken() person {
	e.Helper()
	path := filepath.Join(e.TempDir(), "account.kubeconfig")
	if err := shared.Cluster.ServiceAccountKubeconfig(e.Context(), e.namespace, "drainer", path); err != nil {
		e.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		e.Fatal(err)
	}
	config.QPS = -1
	return personOf(e.T, config)
}

// where something is tried: on which resource, and on which of its objects.
type where struct {
	resource    schema.GroupVersionResource
	object, sub string
}

// try tries to change the object.
func (p person) try(ctx context.Context, w where, c change) error {
	switch {
	case c.eviction != nil:
		return p.evict(ctx, nil, c.eviction)
	case c.deletion != nil:
		return p.remove(ctx, w.object, *c.deletion, nil)
	}
	kind, options := c.kind, metav1.PatchOptions{DryRun: p.dryRun}
	if kind == types.ApplyPatchType {
		options.FieldManager, options.Force = "confinement", new(bool)
		*options.Force = true
	}
	if kind == "" {
		kind = types.MergePatchType
	}
	var sub []string
	if w.sub != "" {
		sub = append(sub, w.sub)
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		patch := c.patch
		if c.patchOf != nil {
			n, err := p.core.CoreV1().Nodes().Get(ctx, w.object, metav1.GetOptions{})
			if err != nil {
				return err
			}
			patch = c.patchOf(n)
		}
		_, err := p.dynamic.Resource(w.resource).Patch(ctx, w.object, kind, []byte(patch), options, sub...)
		return err
	})
}

// evict tries to evict a pod that is not there.
func (p person) evict(ctx context.Context, annotations map[string]string, gracePeriod *int64) error {
	return p.core.CoreV1().Pods("default").EvictV1(ctx, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Name: "none", Annotations: annotations},
		DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: gracePeriod, DryRun: p.dryRun},
	})
}

// remove tries to delete the pod of the name, which is that of its node.
func (p person) remove(ctx context.Context, name string, d deletion, orphans *metav1.DeletionPropagation) error {
	pods := p.core.CoreV1().Pods("default")
	options := metav1.DeleteOptions{GracePeriodSeconds: d.grace, DryRun: p.dryRun, PropagationPolicy: orphans}
	if d.byUID {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		options.Preconditions = &metav1.Preconditions{UID: &pod.UID}
	}
	return pods.Delete(ctx, name, options)
}

// deletable is a running pod on the node, of the same name.
func (e *env) deletable(node string) {
	e.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: node},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	if err := workload.Create(e.Context(), shared.Client, pod); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		err := shared.Client.CoreV1().Pods("default").Delete(noDeadline, node, metav1.DeleteOptions{GracePeriodSeconds: &zero})
		if err != nil && !apierrors.IsNotFound(err) {
			e.Error(err)
		}
	})
}

// refused is what a policy says of the attempt, or "" if it passes.
func (p person) refused(e *env, w where, c change) string {
	e.Helper()
	err := p.try(e.Context(), w, c)
	// The policies judge an eviction before the pod is looked for.
	if err == nil || c.eviction != nil && apierrors.IsNotFound(err) {
		return ""
	}
	_, says, denied := strings.Cut(err.Error(), "denied request: ")
	if !denied || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
		e.Errorf("%s: not refused by a policy: %v", c.name, err)
	}
	return says
}

// richNode is a node with some of everything, and cordoned.
func (e *env) richNode() {
	e.Helper()
	node := e.nodes[0]
	e.patchNode(node, map[string]any{
		"metadata": map[string]any{
			"labels": map[string]string{"example.com/keep": "yes"}, "annotations": map[string]string{"example.com/keep": "yes"},
			"finalizers": []string{"example.com/keep"},
		},
		"spec": map[string]any{
			"unschedulable": true, "taints": []map[string]string{{"key": "example.com/keep", "effect": "NoSchedule", "value": "yes"}},
		},
	})
	_, err := shared.Client.CoreV1().Nodes().Patch(e.Context(), node, types.MergePatchType, []byte(
		`{"status":{"volumesInUse":["v"],"volumesAttached":[{"name":"v","devicePath":"d"}],"images":[{"names":["i"]}]}}`),
		metav1.PatchOptions{}, "status")
	if err != nil {
		e.Fatal(err)
	}
	awaitState(e.T, "the cordon is also a taint", func() bool {
		n := e.node(node)
		return len(n.Spec.Taints) == 2 && n.Spec.Taints[1].Key == corev1.TaintNodeUnschedulable && len(n.Status.VolumesInUse) == 1
	})
}

var nodes = corev1.SchemeGroupVersion.WithResource("nodes")

// TestConfinement: with the real token, nothing can be changed of a node but
// what is drainer's own.
func TestConfinement(t *testing.T) {
	e := setup(t, 2)
	e.mayBeForbidden = true
	e.richNode()
	e.deletable(e.nodes[0])
	e.grant("delete", "drainer", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"delete"}})
	me, rich, plain := e.withToken(), e.nodes[0], e.nodes[1]
	bare := rich + "-bare"
	e.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: bare}})
	var table strings.Builder
	rows := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	denied := 0
	for _, c := range forbidden {
		if c.since != "" && serverBefore(t, c.since) {
			continue
		}
		got := me.refused(e, where{nodes, rich, c.sub}, c)
		if !strings.Contains(got, c.says) || got == "" {
			t.Errorf("%s: answered with %q, want %q", c.name, got, c.says)
		}
		fmt.Fprintf(rows, "%s\tnodes/%s\t%s\n", c.name, c.sub, got)
		denied++
	}
	rows.Flush()
	t.Logf("%d attempts denied:\n%s", denied, &table)
	for _, node := range []string{rich, plain, bare} {
		for _, c := range permitted {
			if got := me.refused(e, where{nodes, node, c.sub}, c); got != "" {
				t.Errorf("%s of %s: %s", c.name, node, got)
			}
		}
	}
}

// TestConfinesNobodyElse: accounts whose names are only alike, and people, may
// do what RBAC lets them.
func TestConfinesNobodyElse(t *testing.T) {
	e := setup(t, 1)
	e.richNode()
	e.deletable(e.nodes[0])
	const name = "confined"
	user := "system:serviceaccount:" + e.namespace + ":" + name
	e.confine("alike", user, nil)
	e.awaitInForce(user)
	for _, other := range []string{user + "x", "system:serviceaccount:" + e.namespace + "x:" + name, name, "person"} {
		anybody := personOf(t, as(other), metav1.DryRunAll)
		for _, c := range forbidden {
			if got := anybody.refused(e, where{nodes, e.nodes[0], c.sub}, c); got != "" {
				t.Errorf("%s by %s: %s", c.name, other, got)
			}
		}
	}
}

// canary is an annotation that policies of confine forbid beside all else, as they do
// to delete a pod and leave what it owns: the denial shows that they are in force.
const canary = api.Prefix + "canary"

// confine makes deploy's policies hold for the user until the test ends. They
// may be changed before.
func (e *env) confine(name, user string, change func(map[string]*daemon.Confinement)) {
	e.Helper()
	policies, err := daemon.Confinements()
	if err != nil {
		e.Fatal(err)
	}
	for _, p := range policies {
		if err := p.Confine(user); err != nil {
			e.Fatal(err)
		}
	}
	if change != nil {
		change(policies)
	}
	for _, p := range policies {
		p.Rename(name)
		expression := "!has(object.metadata.annotations) || !('" + canary + "' in object.metadata.annotations)"
		if p.Policy.Spec.MatchConstraints.ResourceRules[0].Operations[0] == admissionv1.Delete {
			expression = "request.options.?propagationPolicy.orValue('') != '" + string(metav1.DeletePropagationOrphan) + "'"
		}
		p.Policy.Spec.Validations = append([]admissionv1.Validation{{Expression: expression, Message: canary}}, p.Policy.Spec.Validations...)
		if err := p.Create(e.Context(), shared.Client); err != nil {
			e.Fatal(err)
		}
		e.Cleanup(func() {
			if err := p.Delete(noDeadline, shared.Client); err != nil {
				e.Error(err)
			}
		})
	}
}

// awaitInForce waits until the API server goes by the policies for the user.
func (e *env) awaitInForce(user string) {
	e.Helper()
	core := personOf(e.T, as(user)).core.CoreV1()
	marked, ten := map[string]string{canary: ""}, int64(10)
	patch := []byte(`{"metadata":{"annotations":{"` + canary + `":""}}}`)
	poll(e.T, "the policies for "+user+" are in force", func() bool {
		said := ""
		for _, sub := range [][]string{{}, {"status"}} {
			_, err := core.Nodes().Patch(e.Context(), e.nodes[0], types.MergePatchType, patch,
				metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, sub...)
			said += fmt.Sprint(err)
		}
		err := core.Pods("default").EvictV1(e.Context(), &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Name: "none", Annotations: marked}, DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: &ten},
		})
		orphan := metav1.DeletePropagationOrphan
		deleted := personOf(e.T, as(user), metav1.DryRunAll).remove(e.Context(), e.nodes[0], deletion{}, &orphan)
		return strings.Contains(said, canary) && strings.Contains(fmt.Sprint(err), canary) &&
			(apierrors.IsNotFound(deleted) || strings.Contains(fmt.Sprint(deleted), canary))
	})
}
