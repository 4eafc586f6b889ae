package cli

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// ending is how a request has ended for whoever waits for it.
type ending struct {
	// status is the exit status, 0 for a node that is drained.
	status int
	// says describes the ending, for people.
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
	case s.Phase == api.DryRun:
		return ending{ExitFailure, fmt.Sprintf("node %s: the request %s is a dry run, so its pods are not evicted: remove the annotation %s to drain the node", name, id, api.DryRunAnnotation)}, true
	case hopeless(s):
		return ending{ExitCannotFinish, fmt.Sprintf("node %s cannot be drained by waiting: %s", name, r.Message)}, true
	}
	return ending{}, false
}

// hopeless is true if drainer says of every pod that has still to leave that waiting
// alone does not let it leave.
func hopeless(s *api.Status) bool {
	if s.Phase != api.Blocked || s.Pods.Eligible+s.Pods.Terminating > 0 || s.Pods.Blocked == 0 {
		return false
	}
	stuck := 0
	for _, o := range s.CannotFinish {
		stuck += o.Pods
	}
	return stuck >= s.Pods.Blocked || len(s.CannotFinish) == api.MaxObstacles
}
