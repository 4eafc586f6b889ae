package watcher

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

const (
	// FailingAfter is how long a watch must have failed before it counts as failing: the
	// restart of an API server takes less.
	FailingAfter = 30 * time.Second
	// RetryAfterMost bounds for how long one answer of the API server delays a list or a
	// watch: until it is repeated, drainer acts on what it saw before.
	RetryAfterMost = 10 * time.Second
)

// controlName is the name of the watch of the ConfigMap drainer-control.
const controlName = "configmaps " + api.ControlName

// failure is a watch that does not work.
type failure struct {
	// since is when it began to fail, err why it failed last.
	since time.Time
	err   error
}

// noting returns lw, and notes in the watcher whether it works.
func (w *Watcher) noting(name string, lw *cache.ListWatch) *cache.ListWatch {
	return &cache.ListWatch{
		// A list alone is not enough: what changes after it would not be seen.
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := lw.ListWithContextFunc(ctx, o)
			if err != nil {
				w.failed(ctx, name, err)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			events, err := lw.WatchFuncWithContext(ctx, o)
			if err != nil {
				w.failed(ctx, name, err)
			} else {
				w.works(name)
			}
			return events, err
		},
	}
}

// failed notes that a list or a watch has failed. One that ended because nobody needs
// it any longer has not.
func (w *Watcher) failed(ctx context.Context, name string, err error) {
	if ctx.Err() != nil {
		w.works(name)
		return
	}
	w.mu.Lock()
	f, known := w.failures[name]
	if !known {
		f.since = time.Now()
	}
	f.err = err
	w.failures[name] = f
	w.mu.Unlock()
	if time.Since(f.since) >= FailingAfter {
		w.planner.WakeSoon()
	}
}

// works notes that a watch works, or has ended.
func (w *Watcher) works(name string) {
	w.mu.Lock()
	f, failed := w.failures[name]
	delete(w.failures, name)
	w.mu.Unlock()
	if failed && time.Since(f.since) >= FailingAfter {
		w.planner.Wake()
	}
}

// Failing counts the watches that have failed for FailingAfter, by resource.
func (w *Watcher) Failing() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	failing := make(map[string]int, len(w.failures))
	for name, f := range w.failures {
		if time.Since(f.since) >= FailingAfter {
			resource, _, _ := strings.Cut(name, " ")
			failing[resource]++
		}
	}
	return failing
}

// Control implements drain.View. While the ConfigMap cannot be watched, nobody knows
// whether somebody wants to stop everything: that pauses, too.
func (w *Watcher) Control() plan.Control {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, failed := w.failures[controlName]
	if w.control.Paused != "" || !failed || time.Since(f.since) < FailingAfter {
		return w.control
	}
	return plan.UnknownControl(fmt.Errorf("watching ConfigMap %s/%s: %w", w.namespace, api.ControlName, f.err))
}
