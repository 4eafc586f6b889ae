package drain

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// EvictFunc sends one eviction, once, and returns the HTTP status, 0 if there
// was none, and the error that came of it. A retry inside it would hide
// refusals and send what nobody wants any more.
type EvictFunc func(ctx context.Context, pod *Pod, gracePeriod *int64) (code int, err error)

// Result is what became of a grant.
type Result struct {
	Grant   Grant
	Outcome Outcome
	// At is when the answer came.
	At time.Time
	// Took is how long it took.
	Took time.Duration
}

// evictor sends the evictions that the newest plan grants: a queue of turns, a
// rate limit over all nodes and a few workers. A turn is spent on whatever the
// newest plan wants sent first then, or on nothing.
type evictor struct {
	evict   EvictFunc
	fence   Fence
	limiter *rate.Limiter
	timeout time.Duration
	ledger  *Ledger
	// answered is called after every result, without a lock held.
	answered func(Result)

	queue workqueue.TypedInterface[turn]

	mu sync.Mutex
	// grants are those of the newest plan that have not been taken, in order.
	grants   []Grant
	inFlight map[types.UID]Post
	results  []Result
	// turn is the newest that was queued.
	turn turn
	// throttled is until when nothing is sent; careful is true from then on
	// until the server answers something else: one at a time.
	throttled time.Time
	careful   bool
}

// turn numbers the leaves to look for a pod to send.
type turn uint64

// publish replaces the grants by those of a new plan, whose slice becomes the
// evictor's. Pods that are being sent and pods whose result the plan did not
// know are left out, so that no pod is sent twice.
func (e *evictor) publish(grants []Grant) {
	e.mu.Lock()
	defer e.mu.Unlock()
	answered := make(map[types.UID]bool, len(e.results))
	for _, r := range e.results {
		answered[r.Grant.Pod.UID] = true
	}
	e.grants = slices.DeleteFunc(grants, func(g Grant) bool {
		_, sent := e.inFlight[g.Pod.UID]
		return sent || answered[g.Pod.UID]
	})
	for range len(e.grants) - e.queue.Len() {
		e.turn++
		e.queue.Add(e.turn)
	}
}

// sight is what the next plan has to know of the evictor.
type sight struct {
	// results came since the last look.
	results   []Result
	inFlight  map[types.UID]Post
	throttled time.Time
	careful   bool
}

// look hands over the results, and says what goes on.
func (e *evictor) look() sight {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := sight{results: e.results, inFlight: maps.Clone(e.inFlight), throttled: e.throttled, careful: e.careful}
	e.results = nil
	return s
}

// run works until ctx ends, then waits for the requests under way; posts is
// the context of those.
func (e *evictor) run(ctx, posts context.Context, workers int) {
	var wg sync.WaitGroup
	stop := context.AfterFunc(ctx, e.queue.ShutDown)
	defer stop()
	for range workers {
		wg.Go(func() {
			for e.next(ctx, posts) {
			}
		})
	}
	wg.Wait()
}

// next sends one pod, or finds that none is to be sent.
func (e *evictor) next(ctx, posts context.Context) bool {
	t, shutdown := e.queue.Get()
	if shutdown {
		return false
	}
	defer e.queue.Done(t)
	if e.waiting() == 0 {
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

// waiting is how many grants no worker has taken yet.
func (e *evictor) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.grants)
}

// take turns the first grant of the newest plan whose budget still has room
// into a request under way. Those without room wait for the next plan.
func (e *evictor) take(ctx context.Context) (Grant, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil || time.Now().Before(e.throttled) || e.careful && len(e.inFlight) > 0 {
		return Grant{}, false
	}
	for len(e.grants) > 0 {
		g := e.grants[0]
		e.grants = e.grants[1:]
		if g.Budget.Name != "" && !e.ledger.Reserve(g.Budget, g.Pod) {
			continue
		}
		e.inFlight[g.Pod.UID] = Post{Sent: time.Now(), Proof: g.Proof}
		return g, true
	}
	return Grant{}, false
}

// send makes the one request of a grant and notes what came of it.
func (e *evictor) send(ctx context.Context, g Grant) {
	ctx, cancel := e.fence.within(ctx, e.timeout)
	defer cancel()
	if ctx.Err() != nil {
		e.giveBack(g)
		return
	}
	begun := time.Now()
	code, err := e.evict(ctx, g.Pod, g.GracePeriod)
	r := Result{Grant: g, Outcome: OutcomeOf(code, err), At: time.Now()}
	r.Took = r.At.Sub(begun)
	e.settle(r)
	e.answered(r)
}

// giveBack undoes take for a pod that was not sent.
func (e *evictor) giveBack(g Grant) {
	if g.Budget.Name != "" {
		e.ledger.Release(g.Budget, g.Pod.UID)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.inFlight, g.Pod.UID)
}

// settle books a result. The reservation of an outcome that is not certain
// stays, like that of an admission, until the budget shows it or was read.
func (e *evictor) settle(r Result) {
	if key := r.Grant.Budget; key.Name != "" {
		if r.Outcome.Reason == Admitted || r.Outcome.Reason.uncertain() {
			e.ledger.Spent(key, r.Grant.Pod.UID, r.At)
		} else {
			e.ledger.Release(key, r.Grant.Pod.UID)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.inFlight, r.Grant.Pod.UID)
	e.results = append(e.results, r)
	if r.Outcome.Reason == Throttled {
		e.careful = true
		e.throttled = r.At.Add(r.Outcome.RetryAfter)
		return
	}
	// A request that was sent before the throttling may be answered after it.
	if !r.At.Add(-r.Took).Before(e.throttled) {
		e.careful = false
	}
}
