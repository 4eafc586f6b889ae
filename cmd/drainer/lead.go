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
	renewed atomic.Pointer[renewal]
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
		l.renewed.Store(&renewal{at: begun, term: record.LeaderTransitions})
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
	until := renewed.at.Add(l.renewDeadline)
	return until, time.Now().Before(until)
}

// candidate takes part in the election.
type candidate struct {
	*options
	lease *lease
	// leads is told whenever this process begins or ends to lead.
	leads func(bool)
	// work is the leader's, until ctx ends. handOver asks for its end, to let
	// another replica lead; it is nil if there is none that does.
	work func(ctx context.Context, handOver func())
}

// run works while the lease is held, and again when it is held again after it
// was handed over. It returns nil when ctx ends.
func (c *candidate) run(ctx context.Context) error {
	for taken := true; ctx.Err() == nil; {
		handedOver, err := c.oneTerm(ctx, taken)
		switch {
		case err != nil:
			return err
		case handedOver:
			taken = c.awaitSuccessor(ctx)
		case ctx.Err() == nil:
			return errLeaseLost
		}
	}
	return nil
}

// oneTerm works while the lease is held, once, and says whether the lease was
// given up for another replica. It is given up only after work has returned:
// client-go's ReleaseOnCancel alone frees it while work still runs.
func (c *candidate) oneTerm(ctx context.Context, mayHandOver bool) (handedOver bool, err error) {
	c.lease.renewed.Store(nil)
	// The elector's context outlives ctx until the work is done.
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	done := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: c.lease, Name: c.leaseName, ReleaseOnCancel: true,
		LeaseDuration: c.leaseDuration, RenewDeadline: c.renewDeadline, RetryPeriod: c.retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				defer close(done)
				defer release()
				handedOver = c.workWhile(ctx, held, mayHandOver)
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				klog.FromContext(ctx).Info("Lease is held", "holder", identity, "lease", c.lease.Describe())
			},
		},
	})
	if err != nil {
		return false, fmt.Errorf("setting up leader election: %w", err)
	}
	// A standby has nothing to finish.
	defer context.AfterFunc(ctx, func() {
		if !c.lease.acquired() {
			release()
		}
	})()
	elector.Run(holding)
	if c.lease.acquired() {
		<-done
	}
	return handedOver, nil
}

// workWhile works until ctx or held ends or, where that may be, until the work
// asks to be handed over, which it reports.
func (c *candidate) workWhile(ctx, held context.Context, mayHandOver bool) bool {
	working, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(held, stop)()
	var asked atomic.Bool
	var handOver func()
	if mayHandOver {
		handOver = func() { asked.Store(true); stop() }
	}
	c.leads(true)
	c.work(working, handOver)
	c.leads(false)
	return asked.Load()
}

// awaitSuccessor says whether another process takes the lease, in the time in
// which one that stands by does. It may have given it up again since.
func (c *candidate) awaitSuccessor(ctx context.Context) bool {
	logger := klog.FromContext(ctx)
	ours := c.lease.renewed.Load().term
	retry := time.NewTicker(c.retryPeriod)
	defer retry.Stop()
	end := time.After(c.leaseDuration)
	for {
		record, _, err := c.lease.Get(ctx)
		if err == nil && record.LeaderTransitions > ours {
			return true
		}
		if err != nil && ctx.Err() == nil {
			logger.Error(err, "Could not find out who holds the lease, asking again", "lease", c.lease.Describe())
		}
		select {
		case <-ctx.Done():
			return false
		case <-end:
			logger.Info("No other replica took the lease; going on without a hand-over", "lease", c.lease.Describe())
			return false
		case <-retry.C:
		}
	}
}
