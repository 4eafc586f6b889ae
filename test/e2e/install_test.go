package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// runDocumented runs the commands that docs/install.md has behind the marker,
// for the nodes only.
func (e *env) runDocumented(marker string, nodes ...string) {
	e.Helper()
	text, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		e.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- test: "+marker+" -->\n```\n")
	commands, _, ended := strings.Cut(rest, "```\n")
	all, commands, first := strings.Cut(commands, "\n")
	if !found || !ended || !first || all != "NODES=$(kubectl get nodes -o jsonpath='{.items[*].metadata.name}')" {
		e.Fatalf("docs/install.md has no commands for %q that begin with all nodes, but %q", marker, all)
	}
	command := exec.CommandContext(e.Context(), "bash", "-euo", "pipefail", "-c", commands)
	command.Dir = e.TempDir()
	command.Env = append(os.Environ(), "NODES="+strings.Join(nodes, " "), "KUBECONFIG="+suite.cluster.Kubeconfig(),
		"PATH="+filepath.Dir(suite.cluster.Kubectl())+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := command.CombinedOutput(); err != nil {
		e.Fatalf("the commands for %q: %v\n%s", marker, err, out)
	}
}

func queuedTaint(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == api.QueuedTaint })
}

// leaveBehind lets drainer have a node in every state that it can leave one in:
// blocked in the midst of a drain, drained, drained and cordoned by a person
// before, and queued behind them.
func (e *env) leaveBehind() (blocked, drained, cordoned, queued string) {
	e.Helper()
	blocked, drained, cordoned, queued = e.nodes[0], e.nodes[1], e.nodes[2], e.nodes[3]
	e.create(workload.Deployment(on(e.spec("db", 1), blocked)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	e.kubectl("cordon", cordoned)
	for _, node := range []string{drained, cordoned} {
		e.request(node, "away")
		e.awaitDrained(node, "away")
	}
	e.annotate(blocked, api.DrainAnnotation, "away", api.TimeoutAnnotation, "1h")
	e.awaitPhase(blocked, api.Blocked)
	e.request(queued, "away")
	await(e.T, "the last node is queued", func() bool {
		n := e.node(queued)
		return e.status(queued).Phase == api.Queued && queuedTaint(n)
	})
	return blocked, drained, cordoned, queued
}

// awaitGivenBack waits until nothing is left of drainer's and of the request,
// and of a person's own wishes only the cordon that was made before and the
// annotations that may stay.
func (e *env) awaitGivenBack(nodes []string, cordoned string, mayStay ...string) {
	e.Helper()
	for _, node := range nodes {
		await(e.T, node+" is given back", func() bool {
			for key := range e.node(node).Annotations {
				if strings.HasPrefix(key, api.Prefix) && !slices.Contains(mayStay, key) {
					return false
				}
			}
			return e.released(node) && e.cordoned(node) == (node == cordoned)
		})
	}
}

// TestHandBackBefore: the documented way to leave nothing behind, while drainer
// runs.
func TestHandBackBefore(t *testing.T) {
	e := setup(t, 5)
	drainer := e.start("--max-draining=1")
	_, _, cordoned, _ := e.leaveBehind()
	nodes := e.nodes[:4]
	e.runDocumented("before", nodes...)
	e.awaitGivenBack(nodes, cordoned, api.TimeoutAnnotation)
	drainer.Kill()
	e.awaitGivenBack(nodes, cordoned, api.TimeoutAnnotation)
}

// TestHandBackAfter: what stays on the nodes when drainer is gone, as the
// documentation lists it, and the documented way to take it back.
func TestHandBackAfter(t *testing.T) {
	e := setup(t, 5)
	drainer := e.start("--max-draining=1")
	blocked, drained, cordoned, queued := e.leaveBehind()
	drainer.terminate()
	for node, want := range map[string]struct{ cordoned, conditions, drained, taint bool }{
		blocked:  {cordoned: true, conditions: true},
		drained:  {cordoned: true, conditions: true, drained: true},
		cordoned: {cordoned: true, conditions: true, drained: true},
		queued:   {conditions: true, taint: true},
	} {
		n := e.node(node)
		if n.Spec.Unschedulable != want.cordoned ||
			(e.condition(node, corev1.NodeDrained).Type != "") != want.conditions ||
			(e.condition(node, corev1.NodeDrainInProgress).Type != "") != want.conditions ||
			(n.Annotations[api.StatusAnnotation] != "") != want.conditions ||
			(n.Annotations[api.DrainedAnnotation] != "") != want.drained ||
			n.Annotations[api.DrainAnnotation] != "away" ||
			queuedTaint(n) != want.taint {
			t.Errorf("%s is left with unschedulable=%v annotations=%v taints=%v", node, n.Spec.Unschedulable, n.Annotations, n.Spec.Taints)
		}
	}
	nodes := e.nodes[:4]
	e.runDocumented("after", nodes...)
	e.awaitGivenBack(nodes, cordoned)
}
