package watcher

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"drainer.dev/drainer/pkg/plan"
)

const (
	// FailingAfter is how long nothing must have shown what changes before a watch counts
	// as failing: the restart of an API server takes less.
	FailingAfter = 30 * time.Second
	// RetryAfterMost bounds for how long one answer of the API server delays a list or a
	// watch: until it is repeated, drainer acts on what it saw before.
	RetryAfterMost = 10 * time.Second
	// openFor is how long a stream must have been open before it counts as working. Some
	// that the API server or client-go opens end at once, and one that continues from an
	// old version first has to show what has changed since.
	openFor = 2 * time.Second
)

// watching is how one watch is doing: that of the pods of a node, for example. All but
// its resource is guarded by the mutex of the watcher.
type watching struct {
	*Watcher
	resource string
	// alarm wakes the planner once the watch counts as failing; nil if no plan depends
	// on that.
	alarm *time.Timer
	// blindSince is since when nothing shows what changes; zero while a stream does.
	blindSince time.Time
	// err is why a list or a watch failed first since then; nil if none has failed.
	err error
}

// follow begins to follow a watch of the resource, until unfollow.
func (w *Watcher) follow(resource string) *watching {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &watching{Watcher: w, resource: resource, blindSince: time.Now()}
	if resource == controlResource {
		h.alarm = time.AfterFunc(FailingAfter, w.planner.Wake)
		w.controlWatch = h
	}
	w.watchings[h] = true
	return h
}

func (h *watching) unfollow() {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchings, h)
	if h.alarm != nil {
		h.alarm.Stop()
	}
}

// noting returns lw, and notes how it does.
func (h *watching) noting(lw *cache.ListWatch) *cache.ListWatch {
	return &cache.ListWatch{
		// A list is not enough: what changes after it would not be seen.
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := lw.ListWithContextFunc(ctx, o)
			h.failed(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			events, err := lw.WatchFuncWithContext(ctx, o)
			if err != nil {
				h.failed(err)
				return nil, err
			}
			return h.opened(events), nil
		},
	}
}

// failed keeps the first error. Later ones often differ only in a port number, and what
// nodes say would change with each.
func (h *watching) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil && !h.blindSince.IsZero() {
		h.err = err
	}
}

// stream is a watch that is open.
type stream struct {
	watch.Interface
	of    *watching
	works *time.Timer
	ended bool
}

func (h *watching) opened(events watch.Interface) *stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &stream{Interface: events, of: h}
	s.works = time.AfterFunc(openFor, s.hasWorked)
	return s
}

// hasWorked notes that the stream shows what changes.
func (s *stream) hasWorked() {
	h := s.of
	h.mu.Lock()
	failed := h.failing()
	if !s.ended {
		h.blindSince, h.err = time.Time{}, nil
		if h.alarm != nil {
			h.alarm.Stop()
		}
	}
	h.mu.Unlock()
	if failed {
		h.planner.Wake()
	}
}

// Stop implements watch.Interface. The reflector calls it whenever a stream has ended.
func (s *stream) Stop() {
	h := s.of
	h.mu.Lock()
	if !s.ended {
		s.ended = true
		s.works.Stop()
		h.goesBlind()
	}
	h.mu.Unlock()
	s.Interface.Stop()
}

func (h *watching) goesBlind() {
	if !h.blindSince.IsZero() {
		return
	}
	h.blindSince = time.Now()
	if h.alarm != nil {
		h.alarm.Reset(FailingAfter)
	}
}

// failing is true once nothing has shown what changes for FailingAfter.
func (h *watching) failing() bool {
	return !h.blindSince.IsZero() && time.Since(h.blindSince) >= FailingAfter
}

// Failing counts the watches that fail, by resource. Those that work are counted as 0.
func (w *Watcher) Failing() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	failing := map[string]int{}
	for h := range w.watchings {
		failing[h.resource] += 0
		if h.failing() {
			failing[h.resource]++
		}
	}
	return failing
}

// Control implements drain.View. While the ConfigMap cannot be watched, nobody knows
// whether somebody wants to stop everything: that pauses, too.
func (w *Watcher) Control() plan.Control {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.controlWatch; h != nil && h.failing() {
		return w.control.Unwatched(h.blindSince, h.err)
	}
	return w.control
}
