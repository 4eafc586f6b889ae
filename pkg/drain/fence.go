package drain

import (
	"context"
	"time"
)

// Fence says until when this process may act for the lease that it holds. The
// time advances when the lease is renewed; a zero time is no limit.
type Fence func() (until time.Time, mayAct bool)

// within is ctx, ending after the timeout or as soon as the process may no
// longer act. If the process may not act now, it has already ended.
func (f Fence) within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	until, mayAct := f()
	if !mayAct {
		cancel()
		return ctx, cancel
	}
	if until.IsZero() {
		return ctx, cancel
	}
	armed := make(chan struct{})
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(until), func() {
		<-armed
		if until, mayAct := f(); mayAct && ctx.Err() == nil {
			timer.Reset(time.Until(until))
			return
		}
		cancel()
	})
	close(armed)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}
