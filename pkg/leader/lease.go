package leader

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// farewell bounds each request for the lease while the process ends.
const farewell = 700 * time.Millisecond

// lease is the lock that the candidates compete for. It remembers when this
// process last renewed it.
type lease struct {
	resourcelock.Interface
	renewDeadline time.Duration
	// ending is done when the process is ending.
	ending  context.Context
	now     func() time.Time
	renewed atomic.Pointer[renewal]
	// lost is true once another process was seen to hold the lease since.
	lost atomic.Bool
}

// renewal is a write by which this process holds the lease.
type renewal struct {
	at time.Time
	// term numbers the terms of all processes.
	term int
}

// Get implements resourcelock.Interface.
func (l *lease) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	record, raw, err := l.Interface.Get(ctx)
	if err == nil && record.HolderIdentity != "" && record.HolderIdentity != l.Identity() {
		l.lost.Store(true)
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (l *lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update implements resourcelock.Interface.
func (l *lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

// write dates a renewal from before the request: the other candidates count
// from the moment at which the API server received it.
func (l *lease) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	send func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	if _, held := l.fence(); record.HolderIdentity == "" && !held {
		// client-go releases the record that it saw last. Another process may
		// hold the lease by now.
		return ErrLost
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	begun := l.now()
	err := send(ctx, record)
	if err == nil && record.HolderIdentity == l.Identity() {
		l.renewed.Store(&renewal{at: begun, term: record.LeaderTransitions})
		l.lost.Store(false)
	}
	return err
}

// bounded keeps an API server that does not answer from delaying the end of
// the process.
func (l *lease) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.ending.Err() == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, farewell)
}

// acquired is true once this process has held the lease in the present term.
func (l *lease) acquired() bool { return l.renewed.Load() != nil }

// fence says until when this process may act. It checks the monotonic clock, so
// that the time of a stopped process is over when it resumes. It also checks
// the wall clock, because the monotonic clock does not advance while a machine
// is suspended. It is over at once when another process is seen to hold the lease,
// which may be so if somebody has deleted it.
func (l *lease) fence() (time.Time, bool) {
	renewed := l.renewed.Load()
	if renewed == nil {
		return time.Time{}, false
	}
	until := renewed.at.Add(l.renewDeadline)
	now := l.now()
	return until, !l.lost.Load() && now.Before(until) && now.Round(0).Before(until.Round(0))
}
