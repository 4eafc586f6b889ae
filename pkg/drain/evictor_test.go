package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/bubble"
)

// sender receives what an evictor sends, and records it with the time.
type sender struct {
	mu    sync.Mutex
	begun time.Time
	sent  []time.Duration
	names []string
	// answer is nil for an admission.
	answer func(ctx context.Context) error
}

func (s *sender) evict(ctx context.Context, pod *plan.Pod, _ *int64) (int, error) {
	s.mu.Lock()
	s.sent, s.names = append(s.sent, time.Since(s.begun)), append(s.names, pod.Name)
	s.mu.Unlock()
	if s.answer == nil {
		return 201, nil
	}
	err := s.answer(ctx)
	if err == nil {
		return 201, nil
	}
	return 0, err
}

func (s *sender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// runEvictor runs one until the function it returns is called.
func runEvictor(t *testing.T, s *sender, qps rate.Limit, burst, workers int, fence Fence) (*evictor, func()) {
	t.Helper()
	s.begun = time.Now()
	if fence == nil {
		fence = func() (time.Time, bool) { return time.Time{}, true }
	}
	e := newEvictor(Options{
		Evict: s.evict, Fence: fence, QPS: qps, Burst: burst, Workers: workers, EvictionTimeout: 40 * time.Second, Ledger: NewLedger(),
	}, func(plan.Answered) {})
	ctx, cancel := context.WithCancel(t.Context())
	posts, cut := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		e.run(ctx, posts, workers)
		close(done)
	}()
	return e, func() {
		cancel()
		cut()
		<-done
	}
}

func grantsOf(n int) []plan.Grant {
	grants := make([]plan.Grant, 0, n)
	for i := range n {
		name := fmt.Sprintf("pod-%d", i)
		grants = append(grants, plan.Grant{Pod: &plan.Pod{Namespace: "ns", Name: name, UID: types.UID(name), Controller: plan.Owner{UID: types.UID("rs-" + strconv.Itoa(i%2))}}, Request: "r"})
	}
	return grants
}

// pass is last, after which everything that was to happen by then has happened,
// however busy the machine is.
func pass(d time.Duration) {
	bubble.Sleep(d)
	synctest.Wait()
}

// TestEvictorRate: the limit holds over all workers.
func TestEvictorRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		e, stop := runEvictor(t, s, 10, 5, 4, nil)
		defer stop()
		e.publish(grantsOf(25))
		pass(1050 * time.Millisecond)
		if n := s.count(); n != 15 {
			t.Errorf("%d sent in a second, want a burst of 5 and 10 more", n)
		}
		pass(time.Second)
		if n := s.count(); n != 25 {
			t.Errorf("%d sent in all, want 25", n)
		}
	})
}

// TestEvictorNewestOrder: the first grant of the newest plan is sent first,
// however long something else has been queued.
func TestEvictorNewestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		e, stop := runEvictor(t, s, 1, 1, 1, nil)
		all := grantsOf(4)
		e.publish(slices.Clone(all[:3]))
		synctest.Wait()
		e.publish([]plan.Grant{all[3], all[2], all[1]})
		pass(time.Minute)
		stop()
		if want := []string{"pod-0", "pod-3", "pod-2", "pod-1"}; !slices.Equal(s.names, want) {
			t.Errorf("sent %v, want %v", s.names, want)
		}
	})
}

// TestEvictorStalePlan: what the newest plan does not grant is not sent, even
// if it has been queued.
func TestEvictorStalePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		e, stop := runEvictor(t, s, 1, 1, 4, nil)
		defer stop()
		e.publish(grantsOf(5))
		synctest.Wait()
		e.publish(nil)
		pass(time.Minute)
		if n := s.count(); n != 1 {
			t.Errorf("%d sent, want the one that was sent before the plan changed", n)
		}
	})
}

// TestEvictorOnce: a pod whose result the plan does not know is not sent again.
func TestEvictorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{answer: func(context.Context) error { bubble.Sleep(time.Second); return nil }}
		e, stop := runEvictor(t, s, rate.Inf, 1, 4, nil)
		defer stop()
		for range 5 {
			e.publish(grantsOf(1))
			bubble.Sleep(300 * time.Millisecond)
		}
		if n := s.count(); n != 1 {
			t.Errorf("sent %d times before the answer was taken in", n)
		}
		if seen := e.collect(); len(seen.Answers) != 1 || seen.Answers[0].Outcome.Reason != plan.Admitted || len(seen.InFlight) != 0 {
			t.Errorf("saw %+v", seen)
		}
	})
}

// TestEvictorThrottled: after throttling, all evictions wait for as long as the
// server asks, and then go one at a time until the server gives another answer.
func TestEvictorThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := true
		var mu sync.Mutex
		s := &sender{answer: func(context.Context) error {
			bubble.Sleep(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if throttle {
				return apierrors.NewTooManyRequests("slow down", 3)
			}
			return nil
		}}
		e, stop := runEvictor(t, s, rate.Inf, 1, 2, nil)
		defer stop()
		publish := func() {
			e.collect()
			e.publish(grantsOf(10))
			synctest.Wait()
		}
		publish()
		pass(time.Second)
		if n := s.count(); n != 2 {
			t.Fatalf("%d sent, want one by each worker", n)
		}
		for range 20 {
			publish()
			bubble.Sleep(100 * time.Millisecond)
		}
		if n := s.count(); n != 2 {
			t.Fatalf("%d sent within Retry-After", n)
		}
		// Then one, which is throttled as well.
		bubble.Sleep(10 * time.Millisecond)
		publish()
		bubble.Sleep(100 * time.Millisecond)
		if n := s.count(); n != 3 {
			t.Fatalf("%d sent after Retry-After, want one more", n)
		}
		mu.Lock()
		throttle = false
		mu.Unlock()
		bubble.Sleep(3 * time.Second)
		publish()
		bubble.Sleep(20 * time.Millisecond)
		if seen := e.collect(); seen.Careful {
			t.Error("still careful after an admission")
		}
	})
}

// TestEvictorFence: without the lease nothing is sent, and what is under way
// ends with it; a renewal lets it continue.
func TestEvictorFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		until := time.Now().Add(10 * time.Second)
		fence := func() (time.Time, bool) {
			mu.Lock()
			defer mu.Unlock()
			return until, time.Now().Before(until)
		}
		ended := make(chan time.Duration, 1)
		s := &sender{}
		s.answer = func(ctx context.Context) error {
			<-ctx.Done()
			ended <- time.Since(s.begun)
			return ctx.Err()
		}
		e, stop := runEvictor(t, s, rate.Inf, 1, 1, fence)
		defer stop()
		e.publish(grantsOf(1))
		bubble.Sleep(8 * time.Second)
		mu.Lock()
		until = until.Add(8 * time.Second)
		mu.Unlock()
		if at := <-ended; at != 18*time.Second {
			t.Errorf("the request ended after %v, want 18s: 8s after the first deadline", at)
		}
		synctest.Wait()
		if seen := e.collect(); len(seen.Answers) != 1 || seen.Answers[0].Outcome.Reason != plan.Unknown {
			t.Errorf("saw %+v, want an unknown outcome", seen)
		}
		e.publish(grantsOf(3))
		pass(time.Minute)
		if n := s.count(); n != 1 {
			t.Errorf("%d sent without the lease", n-1)
		}
	})
}

// TestEvictorPaused: a pod that a worker has taken is not sent if everything was
// paused in the meantime, and what was reserved for it is free again.
func TestEvictorPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		e, stop := runEvictor(t, s, rate.Inf, 1, 2, nil)
		defer stop()
		var paused atomic.Bool
		e.paused = paused.Load
		paused.Store(true)
		e.publish(grantsOf(5))
		pass(time.Minute)
		if n, under := s.count(), len(e.collect().InFlight); n != 0 || under != 0 {
			t.Errorf("%d sent and %d under way while everything is paused", n, under)
		}
		paused.Store(false)
		e.publish(grantsOf(5))
		pass(time.Second)
		if n := s.count(); n != 5 {
			t.Errorf("%d sent afterwards, want 5", n)
		}
	})
}

// TestEvictorReserves: the same disruption is never granted twice, whatever the
// plan says, and an eviction with an unknown outcome keeps its reservation.
func TestEvictorReserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{answer: func(context.Context) error { return errors.New("connection reset") }}
		e, stop := runEvictor(t, s, rate.Inf, 1, 1, nil)
		defer stop()
		key := types.NamespacedName{Namespace: "ns", Name: "p"}
		e.ledger.Observe(&plan.Budget{Namespace: "ns", Name: "p", UID: "u", ResourceVersion: "1", Allowed: 1, Selector: labels.Everything()})
		grants := grantsOf(3)
		for i := range grants {
			grants[i].Budget = key
		}
		e.publish(grants)
		synctest.Wait()
		if n := s.count(); n != 1 {
			t.Errorf("%d sent under a budget of one", n)
		}
		if free := e.ledger.View()["ns"].List[0].Free; free != 0 {
			t.Errorf("%d free after an unknown outcome, want 0", free)
		}
	})
}

// TestEvictorShutdown: at the end, waiting evictions are not sent, and the
// evictor waits for those under way.
func TestEvictorShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{answer: func(context.Context) error { bubble.Sleep(5 * time.Second); return nil }}
		s.begun = time.Now()
		e := newEvictor(Options{
			Evict: s.evict, Fence: func() (time.Time, bool) { return time.Time{}, true },
			QPS: rate.Inf, Burst: 1, Workers: 4, EvictionTimeout: 40 * time.Second, Ledger: NewLedger(),
		}, func(plan.Answered) {})
		ctx, cancel := context.WithCancel(t.Context())
		e.publish(grantsOf(10))
		time.AfterFunc(plan.SlowAfter/2, cancel)
		e.run(ctx, t.Context(), 4)
		if took := time.Since(s.begun); took != 5*time.Second {
			t.Errorf("the end took %v, want the 5s of the requests under way", took)
		}
		if n := s.count(); n != 4 {
			t.Errorf("%d sent, want the 4 under way", n)
		}
	})
}

// TestEvictorSlow: slow evictions do not delay each other for long, do not
// delay those of another controller, and never take more than half of what may
// be under way.
func TestEvictorSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		var mu sync.Mutex
		underWay, most := 0, 0
		slow := func(name string) bool { return strings.HasPrefix(name, "slow") }
		free := map[string]time.Duration{}
		begun := time.Now()
		evict := func(ctx context.Context, pod *plan.Pod, _ *int64) (int, error) {
			if !slow(pod.Name) {
				bubble.Sleep(20 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				free[pod.Name] = time.Since(begun)
				return 201, nil
			}
			mu.Lock()
			underWay++
			most = max(most, underWay)
			mu.Unlock()
			bubble.Sleep(30 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			underWay--
			return s.evict(ctx, pod, nil)
		}
		e := newEvictor(Options{
			Evict: evict, Fence: func() (time.Time, bool) { return time.Time{}, true },
			QPS: 50, Burst: 100, Workers: 10, EvictionTimeout: 40 * time.Second, Ledger: NewLedger(),
		}, func(plan.Answered) {})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.run(ctx, t.Context(), 10) }()
		var grants []plan.Grant
		for i := range 100 {
			name := fmt.Sprintf("slow-%03d", i)
			grants = append(grants, plan.Grant{Pod: &plan.Pod{Namespace: "ns", Name: name, UID: types.UID(name), Controller: plan.Owner{UID: "slow"}}})
		}
		for i := range 30 {
			name := fmt.Sprintf("free-%02d", i)
			grants = append(grants, plan.Grant{Pod: &plan.Pod{Namespace: "ns", Name: name, UID: types.UID(name), Controller: plan.Owner{UID: "free"}}})
		}
		e.publish(grants)
		pass(time.Minute)
		cancel()
		<-done
		for name, at := range free {
			if at > time.Second {
				t.Errorf("%s was sent after %v", name, at)
			}
		}
		if len(free) != 30 {
			t.Errorf("%d of 30 pods of the other controller were sent", len(free))
		}
		if most != plan.MostInFlight/2 {
			t.Errorf("%d evictions that hang were under way, want %d", most, plan.MostInFlight/2)
		}
	})
}

// TestEvictorWorkers: slow requests free their workers, and do not free them a
// second time when they end.
func TestEvictorWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, hanging = 4, 4
		var mu sync.Mutex
		underWay, most := 0, 0
		s := &sender{}
		s.answer = func(context.Context) error {
			if s.count() <= hanging {
				bubble.Sleep(10 * time.Second)
				return nil
			}
			mu.Lock()
			underWay++
			most = max(most, underWay)
			mu.Unlock()
			bubble.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			underWay--
			return nil
		}
		e, stop := runEvictor(t, s, rate.Inf, 1, workers, nil)
		defer stop()
		grants := grantsOf(1000)
		for i := range grants {
			grants[i].Pod.Controller.UID = types.UID(strconv.Itoa(i))
		}
		e.publish(grants)
		bubble.Sleep(5 * time.Second)
		if n := s.count(); n < hanging+100 {
			t.Errorf("%d were sent beside %d that hang", n-hanging, hanging)
		}
		// Hangs unless every ticket is done with, also those of requests that hang.
		e.queue.ShutDownWithDrain()
		mu.Lock()
		defer mu.Unlock()
		if most != workers {
			t.Errorf("%d were under way at once, want the %d of the workers", most, workers)
		}
	})
}

// TestEvictorFull: workers that find no room wait for it, instead of spending a
// ticket on each of the many pods that a controller may have.
func TestEvictorFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{answer: func(context.Context) error { bubble.Sleep(10 * time.Second); return nil }}
		e, stop := runEvictor(t, s, rate.Inf, 1, 10, nil)
		defer stop()
		grants := grantsOf(2000)
		for i := range grants {
			grants[i].Pod.Controller.UID = "one"
		}
		e.publish(grants)
		bubble.Sleep(500 * time.Millisecond)
		if sent, waiting := s.count(), e.queue.Len(); sent != 5 || waiting < 2000-100 {
			// A few are spent by workers that race for the same room.
			t.Errorf("%d are under way and %d tickets wait, want 5 and nearly all", sent, waiting)
		}
		pass(time.Minute)
		if sent := s.count(); sent < 100 {
			t.Errorf("%d were sent in a minute", sent)
		}
	})
}
