package drain

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"drainer.dev/drainer/pkg/plan"
)

// EvictFunc sends one eviction, once, and returns the HTTP status, 0 if there
// was none, and the error. A retry inside it would hide refusals, and send
// evictions that no plan still wants.
type EvictFunc func(ctx context.Context, pod *plan.Pod, gracePeriod *int64) (code int, err error)

// DeleteFunc deletes a pod, once, as EvictFunc evicts one. The grace period is in
// seconds, and at least 1.
type DeleteFunc func(ctx context.Context, pod *plan.Pod, gracePeriod int64) (code int, err error)

// evictor sends the evictions that the newest plan grants: a queue of tickets,
// a rate limit over all nodes and a few workers. With a ticket, a worker sends
// the first grant of the newest plan, if there is one.
type evictor struct {
	evict   EvictFunc
	delete  DeleteFunc
	fence   Fence
	limiter *rate.Limiter
	timeout time.Duration
	ledger  *Ledger
	// paused is true while nothing may be sent, regardless of the newest plan.
	paused func() bool
	// answered is called after every answer, without a lock held.
	answered func(plan.Answered)

	queue workqueue.TypedInterface[ticket]
	// requests are those under way.
	requests sync.WaitGroup

	mu sync.Mutex
	// changed wakes the workers when budgets may allow a disruption again. full is
	// true after no grant was found that a budget allows, until something changes.
	changed *sync.Cond
	full    bool
	outbox  *plan.Outbox
	// ticket is the newest that was queued.
	ticket ticket
}

// ticket numbers the tickets: each lets a worker look for a pod to send.
type ticket uint64

func newEvictor(o Options, answered func(plan.Answered)) *evictor {
	e := &evictor{
		evict: o.Evict, delete: o.Delete, fence: o.Fence, limiter: rate.NewLimiter(o.QPS, o.Burst), timeout: o.EvictionTimeout,
		ledger: o.Ledger, paused: func() bool { return false }, answered: answered, outbox: plan.NewOutbox(o.Workers),
		queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[ticket]{
			Name: "evictions", MetricsProvider: o.MetricsProvider,
		}),
	}
	e.changed = sync.NewCond(&e.mu)
	return e
}

// publish replaces the grants by those of a new plan.
func (e *evictor) publish(grants []plan.Grant) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outbox.Publish(grants)
	e.change()
}

// change wakes the workers that wait for room, and queues a ticket for each
// grant.
func (e *evictor) change() {
	e.full = false
	e.changed.Broadcast()
	for range e.outbox.Waiting() - e.queue.Len() {
		e.ticket++
		e.queue.Add(e.ticket)
	}
}

// collect returns the answers, and what is under way.
func (e *evictor) collect() plan.Sight {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.outbox.Collect()
}

// run works until ctx ends, then waits for the requests under way; posts is
// the context of those.
func (e *evictor) run(ctx, posts context.Context, workers int) {
	var wg sync.WaitGroup
	stop := context.AfterFunc(ctx, func() {
		e.queue.ShutDown()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.changed.Broadcast()
	})
	defer stop()
	for range workers {
		wg.Go(func() {
			for e.next(ctx, posts) {
			}
		})
	}
	wg.Wait()
	e.requests.Wait()
}

// next sends one pod, or finds that none is to be sent.
func (e *evictor) next(ctx, posts context.Context) bool {
	t, shutdown := e.queue.Get()
	if shutdown {
		return false
	}
	defer e.queue.Done(t)
	if !e.awaitRoom(ctx) {
		return true
	}
	if err := e.limiter.Wait(ctx); err != nil {
		return true
	}
	if g, taken := e.take(ctx); taken {
		e.send(posts, g)
	}
	return true
}

// take starts a request for a grant of the newest plan.
func (e *evictor) take(ctx context.Context) (plan.Grant, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil {
		return plan.Grant{}, false
	}
	return e.outbox.Take(time.Now(), e.ledger.Reserve)
}

// awaitRoom waits until there is room for one of the grants. It returns false if
// none is left, or ctx ends.
func (e *evictor) awaitRoom(ctx context.Context) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ctx.Err() == nil && e.outbox.Waiting() > 0 {
		if !e.full {
			if e.outbox.HasRoom() {
				return true
			}
			e.full = true
		}
		e.changed.Wait()
	}
	return false
}

// waiting is how many grants no worker has taken yet.
func (e *evictor) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.outbox.Waiting()
}

// send sends the request of a grant and handles its outcome. It returns when
// the request has ended or no longer occupies its worker.
func (e *evictor) send(ctx context.Context, g plan.Grant) {
	ended := make(chan struct{})
	e.requests.Go(func() {
		defer close(ended)
		e.request(ctx, g)
	})
	if !endsSoon(ended) {
		e.detach(g.Pod.UID)
	}
}

// detach lets a request continue without a worker.
func (e *evictor) detach(uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.outbox.Detach(uid) {
		e.change()
	}
}

func (e *evictor) request(ctx context.Context, g plan.Grant) {
	ctx, cancel := e.fence.within(ctx, e.timeout)
	defer cancel()
	if ctx.Err() != nil || e.paused() {
		e.unsent(g)
		return
	}
	begun := time.Now()
	code, err := e.ask(ctx, &g)
	a := plan.Answered{Grant: g, Outcome: plan.OutcomeOf(code, err), At: time.Now()}
	a.Took = a.At.Sub(begun)
	e.record(a)
	e.answered(a)
}

// ask evicts the pod of a grant, or deletes it.
func (e *evictor) ask(ctx context.Context, g *plan.Grant) (code int, err error) {
	if g.Deletion != nil {
		return e.delete(ctx, g.Pod, g.Deletion.GracePeriod)
	}
	return e.evict(ctx, g.Pod, g.GracePeriod)
}

// unsent undoes take for a pod that was not sent.
func (e *evictor) unsent(g plan.Grant) {
	if g.Budget.Name != "" {
		e.ledger.Release(g.Budget, g.Pod.UID)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outbox.Drop(g.Pod.UID)
	e.change()
}

// record keeps an answer for the next plan.
func (e *evictor) record(a plan.Answered) {
	e.ledger.Answered(a)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outbox.Answered(a)
	e.change()
}
