package forecast

import (
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// pump lets idle workers send what is granted.
func (d *daemon) pump() {
	idle := min(d.loop.options.Workers-d.busy, d.outbox.Waiting())
	for range idle {
		if !d.outbox.HasRoom() {
			return
		}
		d.busy++
		now := d.loop.Now()
		wait := d.limiter.ReserveN(now, 1).DelayFrom(now)
		if wait == 0 {
			d.sendNext()
			continue
		}
		d.later(wait, func() {
			d.sendNext()
			d.pump()
		})
	}
}

// sendNext lets a busy worker send the first grant of the newest plan.
func (d *daemon) sendNext() {
	now := d.loop.Now()
	g, taken := d.outbox.Take(now, d.ledger.Reserve)
	if !taken {
		d.busy--
		return
	}
	held := true
	release := func() {
		if held {
			held = false
			d.busy--
		}
	}
	r := Request{Verb: Evict, Object: types.NamespacedName{Namespace: g.Pod.Namespace, Name: g.Pod.Name}, UID: g.Pod.UID, Grant: g}
	if g.Deletion != nil {
		r.Verb = Delete
	}
	d.send(r, d.loop.options.EvictionTimeout, func(to reply) { d.loop.evict(&g, to) }, func(err error) {
		release()
		d.evicted(g, now, err)
	})
	d.detachIfSlow(g.Pod.UID, func() bool { return held }, release)
}

// detachIfSlow lets a slow request continue without a worker.
func (d *daemon) detachIfSlow(uid types.UID, held func() bool, release func()) {
	d.later(plan.SlowAfter, func() {
		if held() && d.outbox.Detach(uid) {
			release()
			d.pump()
		}
	})
}

// evicted handles the answer to an eviction.
func (d *daemon) evicted(g plan.Grant, sent time.Time, err error) {
	code := 0
	if err == nil {
		code = http.StatusCreated
	}
	a := plan.Answered{Grant: g, Outcome: plan.OutcomeOf(code, err), At: d.loop.Now()}
	a.Took = a.At.Sub(sent)
	if d.loop.options.Evicted != nil && g.Deletion == nil {
		d.loop.options.Evicted(a)
	}
	d.ledger.Answered(a)
	d.outbox.Answered(a)
	if a.Outcome.Reason == plan.Admitted && g.Budget.Name == "" {
		d.wakeSoon()
	} else {
		d.wake()
	}
	d.pump()
}

// evict is the API server's side of an eviction, or of a deletion. A webhook
// may come before an eviction, and take some time.
func (l *Loop) evict(g *plan.Grant, to reply) {
	if g.Deletion != nil {
		to(0, l.cluster.DeletePod(types.NamespacedName{Namespace: g.Pod.Namespace, Name: g.Pod.Name}, metav1.DeleteOptions{
			GracePeriodSeconds: &g.Deletion.GracePeriod, Preconditions: &metav1.Preconditions{UID: &g.Pod.UID},
		}))
		return
	}
	handle := func() {
		answer := l.cluster.Evict(types.NamespacedName{Namespace: g.Pod.Namespace, Name: g.Pod.Name}, metav1.DeleteOptions{
			GracePeriodSeconds: g.GracePeriod, Preconditions: &metav1.Preconditions{UID: &g.Pod.UID},
		}, false)
		to(answer.Takes, answer.Error)
	}
	switch hook := l.cluster.Webhook(g.Pod.Namespace); {
	case hook == nil:
		handle()
	case hook.Error != nil:
		to(hook.Takes, hook.Error)
	default:
		l.After(hook.Takes, handle)
	}
}
