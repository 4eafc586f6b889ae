package invariant

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// paceFor is for how long after an eviction the next pod of the same controller
	// waits at most.
	paceFor = 2 * time.Minute
	// givenUp is how long an eviction takes that drainer may no longer wait for.
	givenUp = 30 * time.Second
)

// eviction is the last one of a controller's pods that no budget selects.
type eviction struct {
	pod types.UID
	// at is when it was handled.
	at time.Time
	// gone is true once the pod is, replaced once a pod was Ready that came later.
	gone, replaced bool
}

// steadySince is since when a pod is as it is, as far as that decides who waits for whom.
func (p *pod) steadySince(was *pod, at time.Time) time.Time {
	if was == nil || ready(was.Pod) != ready(p.Pod) || was.Status.Phase != p.Status.Phase || !maps.Equal(was.Labels, p.Labels) {
		return at
	}
	return was.steady
}

// paced is true for a pod that drainer knows to be Ready and under no budget.
func (c *Checker) paced(at time.Time, p *pod) bool {
	owner := metav1.GetControllerOfNoCopy(p.Pod)
	lately := func(since time.Time, lag time.Duration) bool { return at.Sub(since) <= lag+time.Second }
	return c.rules.Paces && owner != nil && owner.Kind != "DaemonSet" && p.Status.Phase == corev1.PodRunning && healthy(p.Pod) &&
		!lately(p.steady, c.rules.PodLag) && len(c.budgetsOf(p.Pod)) == 0 && !lately(c.rebudgeted, c.rules.BudgetLag+c.rules.PodLag)
}

// judgePacing: of the pods of a controller that no budget selects, the next one is
// evicted once the last is gone and replaced, or long enough after.
func (c *Checker) judgePacing(at time.Time, e Eviction, p *pod, n *node) {
	c.sent[e.UID] = at
	c.dateBudgets(at)
	if e.Deletes || e.By != Daemon || c.hurries(at, n) || !c.paced(at, p) {
		return
	}
	last := c.evicted[metav1.GetControllerOfNoCopy(p.Pod).UID]
	if last == nil || last.pod == p.UID || last.gone && last.replaced || at.Sub(last.at) >= paceFor-time.Second {
		return
	}
	c.violated(KeepsBudgets, at, "pod %s, which no budget selects, is evicted %v after another one of its controller (gone %v, replaced %v)",
		e.Pod, at.Sub(last.at), last.gone, last.replaced)
}

// evictedWithout notes that the eviction of a pod that no budget selects succeeded.
func (c *Checker) evictedWithout(at time.Time, e Eviction) {
	p := c.pods[e.Pod]
	if e.Deletes || e.By != Daemon || p == nil || p.UID != e.UID || at.Sub(c.sent[e.UID]) > givenUp || !c.paced(at, p) {
		return
	}
	c.evicted[metav1.GetControllerOfNoCopy(p.Pod).UID] = &eviction{pod: p.UID, at: at}
}

// followPace notes what has become known of the last eviction of a pod's controller.
func (c *Checker) followPace(at time.Time, p *corev1.Pod, deleted bool) {
	c.dateBudgets(at)
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil || c.evicted[owner.UID] == nil {
		return
	}
	last := c.evicted[owner.UID]
	switch {
	case p.UID == last.pod:
		last.gone = last.gone || deleted
	case !deleted && healthy(p) && p.CreationTimestamp.Unix() >= last.at.Unix():
		last.replaced = true
	}
}

// dateBudgets notes when it last changed which pods budgets select: not later than now.
func (c *Checker) dateBudgets(at time.Time) {
	if c.budgetsChanged {
		c.budgetsChanged, c.rebudgeted = false, at
	}
}
