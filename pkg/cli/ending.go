package cli

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// ending is how a request has ended for whoever waits for it.
type ending struct {
	// status is the exit status, 0 for a node that is drained.
	status int
	// says is what to tell of it.
	says string
}

// endingOf is how the request of the ID has ended on the node; ok is false while
// there is something to wait for. The node is nil if it was deleted.
func endingOf(name string, node *corev1.Node, id string) (e ending, ok bool) {
	if node == nil {
		return ending{ExitEnded, "node " + name + " was deleted"}, true
	}
	switch live, asked := requestOf(node); {
	case !asked:
		return ending{ExitEnded, fmt.Sprintf("the request %s of node %s was removed", id, name)}, true
	case live != id:
		return ending{ExitEnded, fmt.Sprintf("the request %s of node %s was replaced by %s", id, name, live)}, true
	case isDrained(node):
		return ending{0, "node " + name + " is drained"}, true
	}
	r, _ := rowOf(node)
	s := r.Status
	switch {
	case s == nil:
		return ending{}, false
	case s.Phase == api.InvalidRequest:
		return ending{ExitCannotFinish, fmt.Sprintf("node %s: the request is invalid: %s", name, r.Message)}, true
	case s.Phase == api.TimedOut && node.Annotations[api.OnTimeoutAnnotation] != string(api.Delete):
		return ending{ExitTimedOut, fmt.Sprintf("node %s: %s", name, r.Message)}, true
	case s.Phase == api.Blocked && hopeless(s):
		return ending{ExitCannotFinish, fmt.Sprintf("node %s cannot be drained by waiting: %s", name, r.Message)}, true
	}
	return ending{}, false
}

// hopeless is true if every pod that has still to leave is blocked by something
// that waiting alone does not end. A deadline ends what holds the pods that it deletes.
func hopeless(s *api.Status) bool {
	if s.Pods.Eligible+s.Pods.Terminating > 0 || s.Pods.Blocked == 0 || s.Deadline != nil && s.Deadline.ToDelete > 0 {
		return false
	}
	listed := 0
	for _, b := range s.Blockers {
		if !plan.Reason(b.Reason).Lasting() {
			return false
		}
		listed++
	}
	for _, m := range s.MoreBlockers {
		if !plan.Reason(m.Reason).Lasting() {
			return false
		}
		listed += m.Count
	}
	return listed > 0
}
