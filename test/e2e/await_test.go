package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/suite"
)

// awaitState waits until ok, which is asked again after every change of a node,
// pod or budget. Nobody may see a state that soon ends: wait for one that stays,
// or watch (see follow).
func awaitState(t *testing.T, what string, ok func() bool) {
	t.Helper()
	suite.Await(t, shared.world.next, what, await.True(ok))
}

// poll waits until ok, which is asked now and then: for metrics and the audit
// log, which nobody can watch.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	suite.Await(t, nil, what, await.True(ok))
}

// watchFor keeps looking for the time, at every change, that ok stays true.
func watchFor(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		next := shared.world.next()
		if !ok() {
			t.Fatalf("did not stay true: %s", what)
		}
		select {
		case <-next:
		case <-end.C:
			return
		}
	}
}

// follow watches from a resource version on, and continues when a watch ends.
func follow(
	ctx context.Context, from string, open func(context.Context, metav1.ListOptions) (watch.Interface, error),
) (watch.Interface, error) {
	return watchtools.NewRetryWatcherWithContext(ctx, from, &cache.ListWatch{WatchFuncWithContext: open})
}

// awaitReady waits for n ready pods of an app.
func (e *env) awaitReady(app string, n int) {
	e.Helper()
	suite.Await(e, shared.world.next, fmt.Sprintf("%d pods of %s are ready", n, app), func() error {
		if ready := e.readyPods(app); ready < n {
			return await.NotYet("%d are", ready)
		}
		return nil
	})
}

// awaitLeaving waits until so many of an app's pods that were on a node are
// deleted or gone.
func (e *env) awaitLeaving(node, app string, were, n int) {
	e.Helper()
	suite.Await(e, shared.world.next, fmt.Sprintf("%d of %d pods of %s leave %s", n, were, app, node), func() error {
		stay := 0
		for _, p := range e.podsOn(node, app) {
			if p.DeletionTimestamp == nil {
				stay++
			}
		}
		if stay > were-n {
			return await.NotYet("%d stay", stay)
		}
		return nil
	})
}

// awaitBudget waits until the disruption controller has computed the budget.
func (e *env) awaitBudget(name string, ok func(policyv1.PodDisruptionBudgetStatus) bool) {
	e.Helper()
	suite.Await(e, shared.world.next, "budget "+name+" is computed as it should be", func() error {
		b := e.budget(name)
		if b == nil {
			return await.NotYet("there is none")
		}
		if b.Status.ObservedGeneration < b.Generation || !ok(b.Status) {
			return await.NotYet("generation %d, %+v", b.Generation, b.Status)
		}
		return nil
	})
}

func (e *env) awaitPhase(node string, phase api.Phase) {
	e.Helper()
	suite.Await(e, shared.world.next, fmt.Sprintf("node %s is %s", node, phase), func() error {
		if e.status(node).Phase != phase || e.condition(node, corev1.NodeDrainInProgress).Reason != string(phase) {
			return await.NotYet("it is %q: %s", e.status(node).Phase, e.message(node))
		}
		return nil
	})
}

// awaitStarted waits until the drain of a node has begun.
func (e *env) awaitStarted(node string) {
	e.Helper()
	awaitState(e.T, "the drain of node "+node+" begins", func() bool { return e.status(node).StartedAt != nil })
}

// awaitDrained waits for the promise of a request's own ID.
func (e *env) awaitDrained(node, id string) {
	e.Helper()
	suite.Await(e, shared.world.next, fmt.Sprintf("node %s is drained for %s", node, id), func() error {
		n := e.node(node)
		if n == nil || n.Annotations[api.DrainedAnnotation] != id || e.condition(node, corev1.NodeDrained).Status != corev1.ConditionTrue {
			return await.NotYet("it is %q: %s", e.status(node).Phase, e.message(node))
		}
		return nil
	})
}

// awaitReleased waits until nothing of drainer's is on the node.
func (e *env) awaitReleased(node string) {
	e.Helper()
	awaitState(e.T, "node "+node+" is released", func() bool { return e.released(node) })
}

func (e *env) awaitSchedulable(node string) {
	e.Helper()
	awaitState(e.T, "node "+node+" is schedulable", func() bool { return !e.cordoned(node) })
}

func (e *env) awaitBlocked(node, app, reason string) {
	e.Helper()
	suite.Await(e, shared.world.next, fmt.Sprintf("%s is blocked by %s", app, reason), func() error {
		if !e.blockedBy(node, app, reason) {
			return await.NotYet("the node says %q", e.message(node))
		}
		return nil
	})
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
