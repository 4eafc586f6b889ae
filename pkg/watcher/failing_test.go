package watcher

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/bubble"
)

// wakes counts the plans that are asked for, also by timers.
type wakes struct{ n atomic.Int64 }

func (w *wakes) Wake()      { w.n.Add(1) }
func (w *wakes) WakeSoon()  {}
func (w *wakes) count() int { return int(w.n.Load()) }

// open opens a stream as a reflector does, through what follows it.
func open(t *testing.T, h *watching, err error) watch.Interface {
	t.Helper()
	lw := h.noting(&cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) { return nil, err },
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			return watch.NewEmptyWatch(), err
		},
	})
	if _, got := lw.ListWithContext(t.Context(), metav1.ListOptions{}); !errors.Is(got, err) {
		t.Errorf("the list ends with %v, want %v", got, err)
	}
	stream, got := lw.WatchWithContext(t.Context(), metav1.ListOptions{})
	if !errors.Is(got, err) {
		t.Errorf("the watch ends with %v, want %v", got, err)
	}
	return stream
}

// pass lets time pass, and everything happen that follows from it.
func pass(d time.Duration) {
	bubble.Sleep(d)
	synctest.Wait()
}

// followed runs a test with a watcher that follows a watch of the resource.
func followed(t *testing.T, resource string, test func(t *testing.T, w *Watcher, h *watching, planner *wakes)) {
	synctest.Test(t, func(t *testing.T) {
		planner := &wakes{}
		w := New(nil, "drainer", plan.Selectors{}, planner)
		h := w.follow(resource)
		defer h.unfollow()
		test(t, w, h, planner)
	})
}

// TestFailing: a watch fails until a stream has been open for a while, and again once no
// stream has been for longer.
func TestFailing(t *testing.T) {
	followed(t, "nodes", func(t *testing.T, w *Watcher, h *watching, _ *wakes) {
		expect := func(when string, want int) {
			t.Helper()
			if got := w.Failing(); len(got) != 1 || got["nodes"] != want {
				t.Errorf("%s: %v fail, want %d of nodes", when, got, want)
			}
		}
		pass(FailingAfter - time.Second)
		expect("just before", 0)
		pass(time.Second)
		expect("never opened", 1)
		stream := open(t, h, nil)
		pass(openFor - time.Millisecond)
		expect("just opened", 1)
		pass(time.Millisecond)
		expect("open for a while", 0)
		pass(time.Hour)
		expect("open for an hour", 0)
		stream.Stop()
		stream.Stop()
		pass(FailingAfter)
		expect("ended", 1)
	})
}

// TestFailingShort: streams that end at once, as client-go opens them when connections
// break, do not show that a watch works.
func TestFailingShort(t *testing.T) {
	followed(t, "nodes", func(t *testing.T, w *Watcher, h *watching, _ *wakes) {
		for range 10 {
			stream := open(t, h, nil)
			pass(time.Second)
			stream.Stop()
			pass(10 * time.Second)
		}
		if got := w.Failing()["nodes"]; got != 1 {
			t.Errorf("%d fail, want 1", got)
		}
	})
}

// TestFailingEnded: a stream that ends at the very moment at which it would count as
// working has ended.
func TestFailingEnded(t *testing.T) {
	followed(t, "nodes", func(t *testing.T, w *Watcher, h *watching, _ *wakes) {
		pass(FailingAfter)
		ended := open(t, h, nil).(*stream)
		ended.Stop()
		ended.hasWorked() // Its timer had fired, and waited for the mutex.
		if got := w.Failing()["nodes"]; got != 1 {
			t.Errorf("%d fail, want 1", got)
		}
	})
}

// TestFailingUnfollowed: what nobody watches any longer does not fail.
func TestFailingUnfollowed(t *testing.T) {
	followed(t, "pods", func(t *testing.T, w *Watcher, h *watching, _ *wakes) {
		other := w.follow("pods")
		pass(time.Minute)
		if got := w.Failing()["pods"]; got != 2 {
			t.Errorf("%d fail, want 2", got)
		}
		other.unfollow()
		other.failed(errors.New("late"))
		if got := w.Failing()["pods"]; got != 1 {
			t.Errorf("%d fail, want 1", got)
		}
	})
}

// TestControlWatch: the planner is woken when the watch of drainer-control counts as
// failing and when it works again, and only then; the reason is the first error.
func TestControlWatch(t *testing.T) {
	followed(t, controlResource, func(t *testing.T, w *Watcher, h *watching, planner *wakes) {
		stream := open(t, h, nil)
		pass(time.Minute)
		if planner.count() != 0 || w.Control().Paused != "" {
			t.Errorf("while it works: woken %d times, control %+v", planner.count(), w.Control())
		}
		stream.Stop()
		open(t, h, errors.New("first"))
		open(t, h, errors.New("second"))
		pass(FailingAfter - time.Millisecond)
		if c := w.Control(); c.Paused != "" || planner.count() != 0 {
			t.Errorf("just before: woken %d times, control %+v", planner.count(), c)
		}
		pass(time.Millisecond)
		const want = "drainer has not been able to watch the ConfigMap drainer-control since 2000-01-01T00:01:00Z: first"
		if c := w.Control(); c != (plan.Control{Paused: want, Unknown: true}) || planner.count() != 1 {
			t.Errorf("failing: woken %d times, control %+v, want %q", planner.count(), c, want)
		}
		w.controlSeen(plan.Control{Paused: "INC-42"})
		if c := w.Control(); c.Unknown || c.Paused != "INC-42; this may be out of date: "+want {
			t.Errorf("paused before: control %+v", c)
		}
		woken := planner.count()
		open(t, h, nil)
		pass(openFor)
		if c := w.Control(); c.Paused != "INC-42" || planner.count() != woken+1 {
			t.Errorf("it works again: woken %d times more, control %+v", planner.count()-woken, c)
		}
	})
}
