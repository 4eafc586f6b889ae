package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/faults"
	"drainer.dev/drainer/test/suite"
)

// env is one test's part of the cluster.
type env struct {
	*testing.T
	ctx context.Context
	// namespace holds the test's pods, its ServiceAccount and its lease.
	namespace string
	// pool is the label value of the test's nodes.
	pool  string
	nodes []string
	// environment is added to that of drainer.
	environment []string
	// watched are the processes of drainer that have run.
	watched *watched
	// through is the proxy by which drainer reaches the API server; nil for none.
	through *faults.Proxy
	// mounted is the token of a drainer behind a proxy, in a file; nil for one that
	// lasts for the whole test.
	mounted *mounted
	// outcome is the result of a fault; nil for a test without one.
	outcome *outcome
	// since is when what is judged began; zero for all that the test has done.
	since time.Time
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
	return setupAlone(t, nodes)
}

// setupAlone is setup for a test that disturbs the whole cluster: no other runs
// at the same time.
func setupAlone(t *testing.T, nodes int) *env {
	t.Helper()
	name := strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(t.Name(), "/", "-"), "Test"))
	name = strings.Trim(name[:min(len(name), 40)], "-")
	e := &env{T: t, ctx: suite.Context(t), namespace: name, pool: name, watched: &watched{}}
	e.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err := daemon.InstallAccount(e.Context(), shared.Client, name); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		e.addNode(fmt.Sprintf("%s-%02d", name, i))
	}
	awaitState(t, "nodes become ready", func() bool {
		return !slices.ContainsFunc(e.nodes, func(n string) bool {
			node := e.node(n)
			return node == nil || !ready(node) || len(node.Spec.Taints) > 0
		})
	})
	t.Cleanup(func() {
		if !e.mayBeForbidden {
			suite.CheckAllowed(t, shared.Cluster, e.user())
		}
		if !t.Failed() {
			e.judge()
		}
		if t.Failed() {
			e.describe()
		}
	})
	return e
}

// Context ends with the test, and shortly before the suite's time does.
func (e *env) Context() context.Context { return e.ctx }

func (e *env) addNode(name string) {
	e.Helper()
	e.create(workload.Node(name, map[string]string{poolLabel: e.pool}))
	e.nodes = append(e.nodes, name)
}

func (e *env) create(objects ...runtime.Object) {
	e.Helper()
	if err := workload.Create(e.Context(), shared.Client, objects...); err != nil {
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

// describe logs what a person would look at after a failure.
func (e *env) describe() {
	for _, name := range e.nodes {
		if n := e.node(name); n != nil {
			e.Logf("node %s unschedulable=%v annotations=%v message=%q", name, n.Spec.Unschedulable, n.Annotations, e.message(name))
		}
	}
	pods, _ := shared.world.pods.Pods(e.namespace).List(labels.Everything())
	for _, p := range pods[:min(len(pods), 20)] {
		e.Logf("pod %s on %s phase=%s ready=%v deleted=%v", p.Name, p.Spec.NodeName, p.Status.Phase, podReady(p), p.DeletionTimestamp)
	}
	budgets, _ := shared.world.budgets.PodDisruptionBudgets(e.namespace).List(labels.Everything())
	for _, b := range budgets {
		e.Logf("budget %s %+v", b.Name, b.Status)
	}
}

// in is the same test, looking at another namespace.
func (e *env) in(namespace string) *env {
	other := *e
	other.namespace = namespace
	return &other
}
