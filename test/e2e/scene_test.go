package e2e

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

func queuedTaint(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == api.QueuedTaint })
}

// leaveBehind lets drainer have a node in every state that it can leave one in:
// blocked during a drain, drained, drained and cordoned by a person
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
	awaitState(e.T, "the last node is queued", func() bool {
		n := e.node(queued)
		return e.status(queued).Phase == api.Queued && queuedTaint(n)
	})
	return blocked, drained, cordoned, queued
}

// awaitLeft waits until nothing is left of drainer's and of the request,
// and of a person's own wishes only the cordon that was made before and the
// annotations that may stay.
func (e *env) awaitLeft(nodes []string, cordoned string, mayStay ...string) {
	e.Helper()
	for _, node := range nodes {
		awaitState(e.T, node+" is released", func() bool {
			for key := range e.node(node).Annotations {
				if strings.HasPrefix(key, api.Prefix) && !slices.Contains(mayStay, key) {
					return false
				}
			}
			return e.released(node) && e.cordoned(node) == (node == cordoned)
		})
	}
}

// twoOfTen makes ten pods on a node, of which a budget lets two leave, and three
// on the next node that may all.
func (e *env) twoOfTen(node string) {
	e.Helper()
	e.create(
		workload.Deployment(on(e.spec("web", 10), node)), workload.MaxUnavailable(e.namespace, "web", "web", "2"),
		workload.Deployment(on(e.spec("other", 3), e.nodes[1])),
	)
	e.awaitReady("web", 10)
	e.awaitReady("other", 3)
	e.awaitBudget("web", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 2 })
}

// checkNothingSent lets all of twoOfTen leave but for drainer, and fails the
// test if one does before the other node is drained, or the node is uncordoned.
func (e *env) checkNothingSent(node string) {
	e.Helper()
	e.editBudget("web", "10")
	e.awaitBudget("web", func(s policyv1.PodDisruptionBudgetStatus) bool { return s.DisruptionsAllowed == 8 })
	e.request(e.nodes[1], "other")
	e.awaitDrained(e.nodes[1], "other")
	if n := len(e.sentFor("web")); n != 2 {
		e.Errorf("%d pods were evicted, want the 2 that left before", n)
	}
	if !e.cordoned(node) {
		e.Error("the node is no longer cordoned")
	}
}
