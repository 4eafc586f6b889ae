package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// errLeaseLost ends a process that could not renew its lease: another one may
// act by now.
var errLeaseLost = errors.New("the lease was lost: another process may hold it by now")

// farewell bounds each request for the lease once the process is to end.
const farewell = 700 * time.Millisecond

// lease is the leader's lock, and remembers when it was last renewed.
type lease struct {
	resourcelock.Interface
	renewDeadline time.Duration
	// ending ends when the process is to end.
	ending  context.Context
	renewed atomic.Pointer[time.Time]
}

// Get implements resourcelock.Interface.
func (l *lease) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	return l.Interface.Get(ctx)
}

// Create implements resourcelock.Interface.
func (l *lease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update implements resourcelock.Interface.
func (l *lease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

// write notes a renewal as of before the request: the others count from when
// the API server got it.
func (l *lease) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	send func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	if _, held := l.fence(); record.HolderIdentity == "" && !held {
		// client-go releases by what it saw last: another may hold it by now.
		return errLeaseLost
	}
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	begun := time.Now()
	err := send(ctx, record)
	if err == nil && record.HolderIdentity == l.Identity() {
		l.renewed.Store(&begun)
	}
	return err
}

// bounded keeps a dead API server from holding up the end of the process.
func (l *lease) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.ending.Err() == nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, farewell)
}

// acquired is true once the lease was held.
func (l *lease) acquired() bool { return l.renewed.Load() != nil }

// fence says until when this process may act. The clock is monotonic: a
// process that was stopped and wakes up finds that its time is over.
func (l *lease) fence() (time.Time, bool) {
	renewed := l.renewed.Load()
	if renewed == nil {
		return time.Time{}, false
	}
	until := renewed.Add(l.renewDeadline)
	return until, time.Now().Before(until)
}

// lead runs work while the lease is held. The lease is given up only after
// work has returned: client-go's ReleaseOnCancel alone frees it while work
// still runs. It returns nil when ctx ends.
func lead(ctx context.Context, l *lease, o *options, leads func(bool), work func(context.Context)) error {
	// The elector's context outlives ctx until the work is done.
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	done := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: l, Name: o.leaseName, ReleaseOnCancel: true,
		LeaseDuration: o.leaseDuration, RenewDeadline: o.renewDeadline, RetryPeriod: o.retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				defer close(done)
				defer release()
				working, stop := context.WithCancel(ctx)
				defer stop()
				defer context.AfterFunc(held, stop)()
				leads(true)
				work(working)
				leads(false)
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				klog.FromContext(ctx).Info("Lease is held", "holder", identity, "lease", l.Describe())
			},
		},
	})
	if err != nil {
		return fmt.Errorf("setting up leader election: %w", err)
	}
	// A standby has nothing to finish.
	defer context.AfterFunc(ctx, func() {
		if !elector.IsLeader() {
			release()
		}
	})()
	elector.Run(holding)
	if l.acquired() {
		<-done
	}
	if ctx.Err() == nil {
		return errLeaseLost
	}
	return nil
}
