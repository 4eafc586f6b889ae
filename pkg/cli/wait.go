package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
)

// silence is after how long somebody who waits is told that drainer has not
// answered.
const silence = 15 * time.Second

// errWaited is why a wait ends by its own timeout.
var errWaited = errors.New("stopped waiting after --timeout")

// wait waits until the request of the ID has ended on all nodes, and shows how
// far they are. The error has the exit status. Stale are the statuses that may not be
// drainer's answer yet, by node.
func (s *shared) wait(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node, id string, timeout time.Duration, stale map[string]string) error {
	waiting := ctx
	if timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, timeout, errWaited)
		defer cancel()
		waiting = limited
	}
	name := ""
	if len(nodes) == 1 {
		name = nodes[0].Name
	}
	w := &waiter{shared: s, id: id, screen: newScreen(s.Out), begun: s.Now(), stale: stale, names: namesOf(nodes), drained: map[string]bool{}}
	watch, err := watchNodes(waiting, client, name, "", s.warner(w.screen))
	if err != nil {
		return s.interrupted(waiting, nodes, err)
	}
	defer watch.stop()
	done := false
	watch.follow(waiting, func() bool {
		done = w.look(watch)
		return done
	})
	if !done {
		return s.interrupted(waiting, nodes, nil)
	}
	return w.result()
}

// interrupted is the error of a wait that has not come to its end, and says how
// to continue.
func (s *shared) interrupted(ctx context.Context, nodes []*corev1.Node, err error) error {
	if ctx.Err() == nil {
		return err
	}
	args := strings.Join(namesOf(nodes), " ")
	status, what := ExitInterrupted, "interrupted"
	if errors.Is(context.Cause(ctx), errWaited) {
		status, what = ExitWaited, errWaited.Error()
	}
	return exit{status, fmt.Errorf("%s, and the drain continues\nFollow it with: kubectl drainer status -w\nCancel it with: kubectl drainer cancel %s", what, args)}
}

// waiter waits for the end of one request on some nodes.
type waiter struct {
	*shared
	*screen
	names  []string
	id     string
	begun  time.Time
	warned bool
	// stale are the statuses of the nodes from before their request was changed.
	stale map[string]string
	// ended is how the request has ended, by node.
	ended map[string]ending
	// drained are the nodes that were drained at any time: whoever asked may release or
	// delete one before the others are.
	drained map[string]bool
}

// look shows how far the nodes are, and is true once the request has ended on
// all of them. What somebody fixes in the meantime counts: all are looked at again.
func (w *waiter) look(watch *nodeWatch) bool {
	w.ended = map[string]ending{}
	var rows []row
	silent := 0
	for _, name := range w.names {
		node := watch.get(name)
		e, over := endingOf(name, node, w.id)
		if over = over && !w.mayChange(node, e); over {
			w.ended[name] = w.remembered(name, e)
		}
		if !w.live && over && w.ended[name].status == 0 {
			w.tellDrained(name)
		}
		r := row{Node: name}
		if node != nil {
			if known, is := rowOf(node); is {
				r = known
			}
		}
		if !over && r.Status == nil {
			silent++
		}
		if !w.live && !over {
			w.tell(name, r.summary())
		}
		rows = append(rows, r)
	}
	if w.live {
		w.draw(statusTable(rows, w.Now(), false, w.width()))
	}
	if silent > 0 && !w.warned && w.Now().Sub(w.begun) >= silence {
		w.warned = true
		w.interject(func() {
			w.notef("drainer has not answered for %d of %d nodes: is it running? Check with: kubectl get pods -n %s\n", silent, len(w.names), w.controlNamespace())
		})
	}
	return len(w.ended) == len(w.names)
}

// mayChange is true for an ending that drainer has not looked at again since the
// request was changed: the change may be what lets the drain continue.
func (w *waiter) mayChange(node *corev1.Node, e ending) bool {
	if e.status != ExitTimedOut && e.status != ExitCannotFinish || w.Now().Sub(w.begun) >= silence {
		return false
	}
	was, changed := w.stale[node.Name]
	return changed && node.Annotations[api.StatusAnnotation] == was
}

// remembered is the ending of a node. It counts as drained if it was drained at any
// time, even if the node or its request is gone by now.
func (w *waiter) remembered(name string, e ending) ending {
	switch {
	case e.status == 0:
		w.drained[name] = true
	case e.status == ExitEnded && w.drained[name]:
		e.status = 0
	}
	return e
}

// result says how each node ended. The worst counts.
func (w *waiter) result() error {
	var problems []error
	status := 0
	for _, name := range w.names {
		e := w.ended[name]
		if e.status == 0 {
			w.tellDrained(name)
			continue
		}
		problems = append(problems, errors.New(e.says))
		if status == 0 || severity(e.status) > severity(status) {
			status = e.status
		}
	}
	if status == 0 {
		return nil
	}
	return exit{status, errors.Join(problems...)}
}

// tellDrained says that a node is drained, unless that was the last thing said of it.
func (w *waiter) tellDrained(name string) {
	w.tell(name, fmt.Sprintf("node/%s drained: %s", name, w.id))
}

// severity orders the endings of several nodes: what somebody has to fix counts
// most.
func severity(status int) int {
	switch status {
	case ExitCannotFinish:
		return 3
	case ExitTimedOut:
		return 2
	default:
		return 1
	}
}
