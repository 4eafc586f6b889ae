package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// env is one test's part of the cluster.
type env struct {
	*testing.T
	// namespace holds the test's pods, its ServiceAccount and its lease.
	namespace string
	// pool is the label value of the test's nodes.
	pool  string
	nodes []string
	// environment is added to that of drainer.
	environment []string
	// mayBeForbidden is true for a test that takes permissions away.
	mayBeForbidden bool
}

// noDeadline is for cleaning up, when a test's own context has ended.
var noDeadline = context.Background()

const poolLabel = "pool"

// setup makes a namespace and nodes that are the test's own. Tests run side
// by side.
func setup(t *testing.T, nodes int) *env {
	t.Helper()
	t.Parallel()
	name := strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(t.Name(), "/", "-"), "Test"))
	name = strings.Trim(name[:min(len(name), 40)], "-")
	e := &env{T: t, namespace: name, pool: name}
	e.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err := daemon.InstallAccount(t.Context(), suite.client, name); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		e.addNode(fmt.Sprintf("%s-%02d", name, i))
	}
	await(t, "nodes become ready", func() bool {
		return !slices.ContainsFunc(e.nodes, func(n string) bool {
			node := e.node(n)
			return node == nil || !ready(node) || len(node.Spec.Taints) > 0
		})
	})
	t.Cleanup(func() {
		if !e.mayBeForbidden {
			e.checkForbidden()
		}
		if t.Failed() {
			e.describe()
		}
	})
	return e
}

func (e *env) addNode(name string) {
	e.Helper()
	e.create(workload.Node(name, map[string]string{poolLabel: e.pool}))
	e.nodes = append(e.nodes, name)
}

func (e *env) create(objects ...runtime.Object) {
	e.Helper()
	if err := workload.Create(e.Context(), suite.client, objects...); err != nil {
		e.Fatal(err)
	}
}

// spec is a workload on the test's nodes whose pods start and stop quickly.
func (e *env) spec(name string, replicas int) workload.Spec {
	return workload.Spec{
		Namespace: e.namespace, Name: name, Replicas: replicas,
		Start: 300 * time.Millisecond, Stop: time.Second, NodeSelector: map[string]string{poolLabel: e.pool},
	}
}

// on limits a workload to one node.
func on(s workload.Spec, node string) workload.Spec {
	s.NodeSelector = map[string]string{corev1.LabelHostname: node}
	return s
}

func ready(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// node is a node as it is, nil if there is none.
func (e *env) node(name string) *corev1.Node {
	n, err := suite.world.nodes.Get(name)
	if err != nil {
		return nil
	}
	return n
}

func (e *env) condition(node string, kind corev1.NodeConditionType) corev1.NodeCondition {
	if n := e.node(node); n != nil {
		for _, c := range n.Status.Conditions {
			if c.Type == kind {
				return c
			}
		}
	}
	return corev1.NodeCondition{}
}

// status is the status annotation, zero if there is none.
func (e *env) status(node string) api.Status {
	e.Helper()
	n := e.node(node)
	if n == nil || n.Annotations[api.StatusAnnotation] == "" {
		return api.Status{}
	}
	s, err := api.ParseStatus(n.Annotations[api.StatusAnnotation])
	if err != nil {
		e.Fatal(err)
	}
	return s
}

// message is what the node says to people.
func (e *env) message(node string) string {
	return e.condition(node, corev1.NodeDrainInProgress).Message
}

// pods are the pods of an app, sorted by name.
func (e *env) pods(app string) []*corev1.Pod {
	e.Helper()
	pods, err := suite.world.pods.Pods(e.namespace).List(labels.SelectorFromSet(labels.Set{workload.AppLabel: app}))
	if err != nil {
		e.Fatal(err)
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods
}

// podsOn are the app's pods on a node.
func (e *env) podsOn(node, app string) []*corev1.Pod {
	return slices.DeleteFunc(e.pods(app), func(p *corev1.Pod) bool { return p.Spec.NodeName != node })
}

// stillOn are the names of the app's pods that the API server has on a node. The
// informers of nodes and pods are not in step: a node may be seen Drained
// before its last pod is seen gone.
func (e *env) stillOn(node, app string) []string {
	e.Helper()
	pods, err := suite.client.CoreV1().Pods(e.namespace).List(e.Context(), metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		LabelSelector: labels.Set{workload.AppLabel: app}.String(),
	})
	if err != nil {
		e.Fatal(err)
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Name)
	}
	return names
}

func podReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// awaitReady waits for n ready pods of an app.
func (e *env) awaitReady(app string, n int) {
	e.Helper()
	await(e.T, fmt.Sprintf("%d ready pods of %s", n, app), func() bool {
		count := 0
		for _, p := range e.pods(app) {
			if podReady(p) {
				count++
			}
		}
		return count >= n
	})
}

func (e *env) budget(name string) *policyv1.PodDisruptionBudget {
	b, err := suite.world.budgets.PodDisruptionBudgets(e.namespace).Get(name)
	if err != nil {
		return nil
	}
	return b
}

// awaitBudget waits until the disruption controller has computed the budget.
func (e *env) awaitBudget(name string, ok func(policyv1.PodDisruptionBudgetStatus) bool) {
	e.Helper()
	await(e.T, "budget "+name, func() bool {
		b := e.budget(name)
		return b != nil && b.Status.ObservedGeneration >= b.Generation && ok(b.Status)
	})
}

// annotate sets annotations of a node; an empty value removes one.
func (e *env) annotate(node string, pairs ...string) {
	e.Helper()
	annotations := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		annotations[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "" {
			annotations[pairs[i]] = nil
		}
	}
	e.patchNode(node, map[string]any{"metadata": map[string]any{"annotations": annotations}})
}

func (e *env) patchNode(node string, patch any) {
	e.Helper()
	text, err := json.Marshal(patch)
	if err != nil {
		e.Fatal(err)
	}
	if _, err := suite.client.CoreV1().Nodes().Patch(e.Context(), node, types.MergePatchType, text, metav1.PatchOptions{}); err != nil {
		e.Fatal(err)
	}
}

// request asks for a drain.
func (e *env) request(node, id string) {
	e.Helper()
	e.annotate(node, api.DrainAnnotation, id)
}

// cancel takes the request back.
func (e *env) cancel(node string) {
	e.Helper()
	e.annotate(node, api.DrainAnnotation, "")
}

func (e *env) awaitPhase(node string, phase api.Phase) {
	e.Helper()
	await(e.T, fmt.Sprintf("node %s is %s", node, phase), func() bool {
		return e.status(node).Phase == phase && e.condition(node, corev1.NodeDrainInProgress).Reason == string(phase)
	})
}

// awaitDrained waits for the promise of a request's own ID.
func (e *env) awaitDrained(node, id string) {
	e.Helper()
	await(e.T, fmt.Sprintf("node %s is drained for %s", node, id), func() bool {
		n := e.node(node)
		return n != nil && n.Annotations[api.DrainedAnnotation] == id &&
			e.condition(node, corev1.NodeDrained).Status == corev1.ConditionTrue
	})
}

// awaitReleased waits until nothing of drainer's is on the node.
func (e *env) awaitReleased(node string) {
	e.Helper()
	await(e.T, "node "+node+" is released", func() bool { return e.released(node) })
}

func (e *env) released(node string) bool {
	n := e.node(node)
	if n == nil {
		return false
	}
	for key := range n.Annotations {
		if key == api.StatusAnnotation || key == api.DrainedAnnotation {
			return false
		}
	}
	return e.condition(node, corev1.NodeDrainInProgress).Type == "" && e.condition(node, corev1.NodeDrained).Type == "" &&
		!slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return strings.HasPrefix(t.Key, api.Prefix) })
}

// user is who drainer is to the API server.
func (e *env) user() string { return "system:serviceaccount:" + e.namespace + ":drainer" }

// audit is what drainer asked the API server for.
func (e *env) audit(keep func(*cluster.AuditEvent) bool) []cluster.AuditEvent {
	e.Helper()
	events, err := suite.cluster.Audit(e.user(), func(a *cluster.AuditEvent) bool {
		return a.User.Username == e.user() && keep(a)
	})
	if err != nil {
		e.Fatal(err)
	}
	return events
}

// checkForbidden fails the test if drainer asked for what deploy's roles do not
// grant.
func (e *env) checkForbidden() {
	for _, a := range e.audit(func(a *cluster.AuditEvent) bool { return a.Annotations["authorization.k8s.io/decision"] == "forbid" }) {
		e.Errorf("deploy's roles do not allow to %s %s", a.Verb, a.RequestURI)
	}
}

// evictions are drainer's POSTs to pods/eviction.
func (e *env) evictions() []cluster.AuditEvent {
	e.Helper()
	return e.audit((*cluster.AuditEvent).Eviction)
}

// checkNoneSince fails the test if an eviction was sent after the time. One
// that was under way then is answered, and in the audit log, only later.
func (e *env) checkNoneSince(since time.Time) {
	e.Helper()
	for _, eviction := range e.evictions() {
		if eviction.Received.After(since) {
			e.Errorf("%s was sent %v after nothing more was to be sent", eviction.ObjectRef.Name, eviction.Received.Sub(since))
		}
	}
}

// refused are those that were not answered with 2xx.
func refused(events []cluster.AuditEvent) []cluster.AuditEvent {
	return slices.DeleteFunc(slices.Clone(events), func(a cluster.AuditEvent) bool { return a.ResponseStatus.Code/100 == 2 })
}

// events are what drainer wrote about an object.
func (e *env) events(namespace, name string) []eventsv1.Event {
	e.Helper()
	list, err := suite.client.EventsV1().Events(namespace).List(e.Context(), metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("regarding.name", name).String(),
	})
	if err != nil {
		e.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(v eventsv1.Event) bool { return v.ReportingController != "drainer.dev/drainer" })
}

// awaitEvent waits for an event of the reason.
func (e *env) awaitEvent(namespace, name, reason string) eventsv1.Event {
	e.Helper()
	var found eventsv1.Event
	poll(e.T, "event "+reason+" on "+name, func() bool {
		for _, v := range e.events(namespace, name) {
			if v.Reason == reason {
				found = v
				return true
			}
		}
		return false
	})
	return found
}

// describe logs what a person would look at after a failure.
func (e *env) describe() {
	for _, name := range e.nodes {
		if n := e.node(name); n != nil {
			e.Logf("node %s unschedulable=%v annotations=%v message=%q", name, n.Spec.Unschedulable, n.Annotations, e.message(name))
		}
	}
	pods, _ := suite.world.pods.Pods(e.namespace).List(labels.Everything())
	for _, p := range pods[:min(len(pods), 20)] {
		e.Logf("pod %s on %s phase=%s ready=%v deleted=%v", p.Name, p.Spec.NodeName, p.Status.Phase, podReady(p), p.DeletionTimestamp)
	}
	budgets, _ := suite.world.budgets.PodDisruptionBudgets(e.namespace).List(labels.Everything())
	for _, b := range budgets {
		e.Logf("budget %s %+v", b.Name, b.Status)
	}
}
