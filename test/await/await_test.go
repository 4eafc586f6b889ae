package await

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drainer.dev/drainer/test/bubble"
)

// TestUntil: a wait continues for as long as its context, reports every 15 s
// what it waits for, and ends with the last reason.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the run is nearly over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, why)
		defer cancel()
		var said strings.Builder
		pods, begun := 9, time.Now()
		condition := func() error {
			if time.Since(begun) > 35*time.Minute {
				pods = 3
			}
			if pods > 0 {
				return NotYet("%d pods are left", pods)
			}
			return nil
		}
		err := Waiter{Progress: &said}.Until(ctx, "the node is empty", condition)
		if !errors.Is(err, why) || !strings.Contains(err.Error(), "the node is empty") || !strings.Contains(err.Error(), "3 pods are left") {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(begun); took != time.Hour {
			t.Errorf("ended after %v, want 1h", took)
		}
		// At the end of the hour both the ticker and the context are due.
		if n := strings.Count(said.String(), "the node is empty"); n != 239 && n != 240 {
			t.Errorf("said %d times in an hour what it waits for, want every 15 s", n)
		}
		if first, _, _ := strings.Cut(said.String(), "\n"); first != "still waiting after 15s: the node is empty: 9 pods are left" {
			t.Errorf("said first %q", first)
		}
		pods = -1
		begun = time.Now()
		if err := (Waiter{Progress: &said}).Until(t.Context(), "the node is empty", condition); err != nil {
			t.Error(err)
		}
	})
}

// TestUntilNever: a wait ends when its condition can no longer hold.
func TestUntilNever(t *testing.T) {
	broken := errors.New("the watch broke")
	err := Waiter{Progress: t.Output()}.Until(t.Context(), "the node is empty", func() error { return broken })
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "the node is empty") {
		t.Errorf("ended with %v", err)
	}
}

// TestUntilChanged: with a channel for changes, the condition is checked after
// a change and not before.
func TestUntilChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed, checks := make(chan struct{}), 0
		time.AfterFunc(time.Minute, func() { close(changed) })
		w := Waiter{Progress: t.Output(), Changed: func() <-chan struct{} { return changed }}
		err := w.Until(t.Context(), "the node is empty", True(func() bool { checks++; return checks == 2 }))
		if err != nil || checks != 2 {
			t.Errorf("checked %d times, ended with %v; want 2 checks", checks, err)
		}
	})
}

// TestWhile: the function may take long, and learns why it has to end.
func TestWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		w := Waiter{Progress: &said}
		if err := w.While(t.Context(), "kubectl wait", func(context.Context) error { bubble.Sleep(time.Minute); return nil }); err != nil {
			t.Error(err)
		}
		if n := strings.Count(said.String(), "kubectl wait\n"); n != 3 && n != 4 {
			t.Errorf("said %d times in a minute what it waits for:\n%s", n, said.String())
		}
		why := errors.New("the run is nearly over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, why)
		defer cancel()
		err := w.While(ctx, "kubectl wait", func(ctx context.Context) error { <-ctx.Done(); return errors.New("signal: killed") })
		if !errors.Is(err, why) || !strings.Contains(err.Error(), "kubectl wait") || !strings.Contains(err.Error(), "signal: killed") {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestReceive: a value is waited for as long as the context lasts.
func TestReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := make(chan string)
		time.AfterFunc(time.Hour, func() { pods <- "web" })
		var said strings.Builder
		w := Waiter{Progress: &said}
		if pod, err := Receive(t.Context(), w, "a pod is asked for", pods); err != nil || pod != "web" {
			t.Errorf("got %q, %v", pod, err)
		}
		if n := strings.Count(said.String(), "a pod is asked for"); n < 239 {
			t.Errorf("said only %d times in an hour what it waits for", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := Receive(ctx, w, "a pod is asked for", pods); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	})
}
