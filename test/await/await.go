// Package await waits for what must come. How long that takes says more about
// the machine than about what is waited for, so no wait has a limit of its own:
// it lasts until the caller's context ends, and says every 15 s what it waits
// for.
package await

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// sayEvery is how often a wait says that it continues.
	sayEvery = 15 * time.Second
	// askEvery is how often a condition is checked that nobody tells of.
	askEvery = 100 * time.Millisecond
)

// Waiter says how to wait.
type Waiter struct {
	// Progress is told every 15 s what is waited for.
	Progress io.Writer
	// Changed returns a channel that is closed when what is waited for may have
	// changed. Without it a condition is checked every 100 ms.
	Changed func() <-chan struct{}
}

// pending is why a condition does not hold yet.
type pending string

func (p pending) Error() string { return string(p) }

// NotYet is what a condition returns that does not hold yet and still may. It
// says what is there instead.
func NotYet(format string, args ...any) error { return pending(fmt.Sprintf(format, args...)) }

// True is the condition that ok is true.
func True(ok func() bool) func() error {
	return func() error {
		if ok() {
			return nil
		}
		return NotYet("it is not so")
	}
}

// Holds is the condition that ok is true; an error of ok ends the wait.
func Holds(ok func() (bool, error)) func() error {
	return func() error {
		yes, err := ok()
		if err == nil && !yes {
			err = NotYet("it is not so")
		}
		return err
	}
}

// Until returns nil once the condition does. An error other than NotYet ends
// the wait, as does the context.
func (w Waiter) Until(ctx context.Context, what string, condition func() error) error {
	begun := time.Now()
	say := time.NewTicker(sayEvery)
	defer say.Stop()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	changed, asked := (<-chan struct{})(nil), ask.C
	for {
		if w.Changed != nil {
			changed, asked = w.Changed(), nil
		}
		why := condition()
		if why == nil {
			return nil
		}
		if yet := pending(""); !errors.As(why, &yet) {
			return fmt.Errorf("waiting until %s: %w", what, why)
		}
	quiet:
		select {
		case <-changed:
		case <-asked:
		case <-say.C:
			w.say(begun, what, why)
			goto quiet
		case <-ctx.Done():
			return fmt.Errorf("waited %v for the condition that %s: %w; %w", since(begun), what, why, context.Cause(ctx))
		}
	}
}

// While runs something that ends when the context ends, and returns its error.
func (w Waiter) While(ctx context.Context, what string, do func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	begun := time.Now()
	say := time.NewTicker(sayEvery)
	defer say.Stop()
	for {
		select {
		case err := <-done:
			if err != nil && ctx.Err() != nil {
				return fmt.Errorf("%s ended after %v: %w; %w", what, since(begun), err, context.Cause(ctx))
			}
			return err
		case <-say.C:
			w.say(begun, what, nil)
		}
	}
}

// Receive returns the next value of a channel, the zero value if it is closed.
func Receive[T any](ctx context.Context, w Waiter, what string, from <-chan T) (value T, err error) {
	begun := time.Now()
	say := time.NewTicker(sayEvery)
	defer say.Stop()
	for {
		select {
		case value = <-from:
			return value, nil
		case <-say.C:
			w.say(begun, what, nil)
		case <-ctx.Done():
			return value, fmt.Errorf("waited %v for the condition that %s: %w", since(begun), what, context.Cause(ctx))
		}
	}
}

func (w Waiter) say(begun time.Time, what string, why error) {
	because := ""
	if why != nil {
		because = ": " + why.Error()
	}
	fmt.Fprintf(w.Progress, "still waiting after %v: %s%s\n", since(begun), what, because)
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Millisecond) }
