package drain

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"drainer.dev/drainer/pkg/plan"
)

// EvictFunc sends one eviction, once, and returns the HTTP status, 0 if there
// was none, and the error that came of it. A retry inside it would hide
// refusals and send what no plan wants any more.
type EvictFunc func(ctx context.Context, pod *plan.Pod, gracePeriod *int64) (code int, err error)

const (
	// slowAfter is how long a request holds a worker. One that takes longer
	// waits somewhere, mostly in a webhook, and goes on without it.
	slowAfter = time.Second
	// mostInFlight bounds the requests under way, with and without a worker.
	mostInFlight = 100
)

// evictor sends the evictions that the newest plan grants: a queue of tickets,
// a rate limit over all nodes and a few workers. A ticket is spent on whatever
// the newest plan wants sent first then, or on nothing.
//
// Requests that hang must not hold up the others. Which ones hang is not known
// before they are sent, so no destination, the pods of one controller, may take
// more than half of what there is.
type evictor struct {
	evict   EvictFunc
	fence   Fence
	limiter *rate.Limiter
	timeout time.Duration
	workers int
	ledger  *Ledger
	// answered is called after every answer, without a lock held.
	answered func(plan.Answered)

	queue workqueue.TypedInterface[ticket]
	// requests are those under way.
	requests sync.WaitGroup

	mu sync.Mutex
	// changed tells the workers that there may be room again. full is true once
	// none of the grants was found to have room, until something changes.
	changed *sync.Cond
	full    bool
	// grants are those of the newest plan that have not been taken, in order.
	grants   []plan.Grant
	inFlight map[types.UID]request
	answers  []plan.Answered
	// ticket is the newest that was queued.
	ticket ticket
	// throttled is until when nothing is sent; careful is true from then on
	// until the server answers something else: one at a time.
	throttled time.Time
	careful   bool
}

// ticket numbers the permissions to look for a pod to send.
type ticket uint64

// request is an eviction under way.
type request struct {
	plan.Post
	destination destination
}

func newEvictor(o Options, answered func(plan.Answered)) *evictor {
	e := &evictor{
		evict: o.Evict, fence: o.Fence, limiter: rate.NewLimiter(o.QPS, o.Burst), timeout: o.EvictionTimeout,
		workers: o.Workers, ledger: o.Ledger, answered: answered,
		queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[ticket]{
			Name: "evictions", MetricsProvider: o.MetricsProvider,
		}),
		inFlight: map[types.UID]request{},
	}
	e.changed = sync.NewCond(&e.mu)
	return e
}

// publish replaces the grants by those of a new plan, whose slice becomes the
// evictor's. Pods that are being sent and pods whose answer the plan did not
// know are left out, so that no pod is sent twice.
func (e *evictor) publish(grants []plan.Grant) {
	e.mu.Lock()
	defer e.mu.Unlock()
	answered := make(map[types.UID]bool, len(e.answers))
	for _, a := range e.answers {
		answered[a.Grant.Pod.UID] = true
	}
	e.grants = slices.DeleteFunc(grants, func(g plan.Grant) bool {
		_, sent := e.inFlight[g.Pod.UID]
		return sent || answered[g.Pod.UID]
	})
	e.change()
}

// change lets the workers look for room again, and queues a ticket for each
// grant.
func (e *evictor) change() {
	e.full = false
	e.changed.Broadcast()
	for range len(e.grants) - e.queue.Len() {
		e.ticket++
		e.queue.Add(e.ticket)
	}
}

// sight is what the next plan has to know of the evictor.
type sight struct {
	// answers came since the last sight.
	answers   []plan.Answered
	inFlight  map[types.UID]plan.Post
	throttled time.Time
	careful   bool
}

// collect hands the answers over, and says what is under way.
func (e *evictor) collect() sight {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := sight{answers: e.answers, inFlight: make(map[types.UID]plan.Post, len(e.inFlight)), throttled: e.throttled, careful: e.careful}
	for uid, r := range e.inFlight {
		s.inFlight[uid] = r.Post
	}
	e.answers = nil
	return s
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

// take turns the first grant of the newest plan that has room into a request
// under way. Those whose budget has no room any more wait for the next plan.
func (e *evictor) take(ctx context.Context) (plan.Grant, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil || time.Now().Before(e.throttled) || e.careful && e.answersDue() {
		return plan.Grant{}, false
	}
	load := e.load()
	for i := 0; i < len(e.grants); {
		g := e.grants[i]
		d := destinationOf(g.Pod)
		_, sent := e.inFlight[g.Pod.UID]
		if !sent && !load.add(d) {
			i++
			continue
		}
		if i == 0 {
			e.grants = e.grants[1:]
		} else {
			e.grants = slices.Delete(e.grants, i, i+1)
		}
		if sent || g.Budget.Name != "" && !e.ledger.Reserve(g.Budget, g.Pod) {
			continue
		}
		e.inFlight[g.Pod.UID] = request{Post: plan.Post{Sent: time.Now(), Probe: g.Probe}, destination: d}
		return g, true
	}
	return plan.Grant{}, false
}

// answersDue is true while a request is under way that may be answered soon.
func (e *evictor) answersDue() bool {
	for _, r := range e.inFlight {
		if !r.Slow {
			return true
		}
	}
	return false
}

// send makes the one request of a grant and sees to what comes of it. It
// returns when the request has ended or does not hold its worker any more.
func (e *evictor) send(ctx context.Context, g plan.Grant) {
	ended := make(chan struct{})
	e.requests.Go(func() {
		defer close(ended)
		e.request(ctx, g)
	})
	slow := time.NewTimer(slowAfter)
	defer slow.Stop()
	select {
	case <-ended:
	case <-slow.C:
		e.detach(g.Pod.UID)
	}
}

// detach lets a request go on without a worker.
func (e *evictor) detach(uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r, sent := e.inFlight[uid]; sent {
		r.Slow = true
		e.inFlight[uid] = r
		e.change()
	}
}

func (e *evictor) request(ctx context.Context, g plan.Grant) {
	ctx, cancel := e.fence.within(ctx, e.timeout)
	defer cancel()
	if ctx.Err() != nil {
		e.unsent(g)
		return
	}
	begun := time.Now()
	code, err := e.evict(ctx, g.Pod, g.GracePeriod)
	a := plan.Answered{Grant: g, Outcome: plan.OutcomeOf(code, err), At: time.Now()}
	a.Took = a.At.Sub(begun)
	e.record(a)
	e.answered(a)
}

// unsent undoes take for a pod that was not sent.
func (e *evictor) unsent(g plan.Grant) {
	if g.Budget.Name != "" {
		e.ledger.Release(g.Budget, g.Pod.UID)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.inFlight, g.Pod.UID)
	e.change()
}

// record keeps an answer for the next plan. The reservation of an outcome that
// is not certain stays, like that of an admission, until the budget shows it or
// was read.
func (e *evictor) record(a plan.Answered) {
	if key := a.Grant.Budget; key.Name != "" {
		if a.Outcome.Reason == plan.Admitted || a.Outcome.Reason.Uncertain() {
			e.ledger.Spent(key, a.Grant.Pod.UID, a.At)
		} else {
			e.ledger.Release(key, a.Grant.Pod.UID)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.inFlight, a.Grant.Pod.UID)
	e.answers = append(e.answers, a)
	if a.Outcome.Reason == plan.Throttled {
		e.careful = true
		if until := a.At.Add(a.Outcome.RetryAfter); e.throttled.Before(until) {
			e.throttled = until
		}
		e.change()
		return
	}
	// A request that was sent before the throttling may be answered after it, and
	// one that gets no answer says nothing.
	if a.Outcome.Code != plan.NoAnswer && !a.At.Add(-a.Took).Before(e.throttled) {
		e.careful = false
	}
	e.change()
}
