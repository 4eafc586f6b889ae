// Package leader lets only one of several processes act at a time, by a Lease.
//
// It uses client-go's elector, and differs from it in two ways. The lease is
// released only after the leader's work has returned; client-go's
// ReleaseOnCancel releases it while the work still runs. And the work gets a
// fence: the time until which its lease allows it to send a request.
package leader

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

// ErrLost is the error of a process that could not renew its lease.
var ErrLost = errors.New("the lease was lost: another process may hold it by now")

// Config is how a process takes part in an election. Every field is required.
type Config struct {
	// Lock is the lease, and names this process as a candidate for it.
	Lock resourcelock.Interface
	// Name names the lease in client-go's metrics.
	Name string
	// LeaseDuration is how long other candidates wait for a leader that does not
	// renew the lease, RenewDeadline how long the leader acts after its last
	// renewal, RetryPeriod how often a candidate tries.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// Leads is called whenever this process starts or stops leading.
	Leads func(bool)
	// Work is one term as the leader. It returns soon after ctx is done.
	Work func(ctx context.Context, term Term)
}

// Term is one term as the leader.
type Term struct {
	// Fence says until when a request may be sent, and whether one may be sent
	// now. The time advances with each renewal of the lease.
	Fence func() (until time.Time, mayAct bool)
	// HandOver ends the term, so that another process can lead. It does not
	// block. It is nil if no other process took over the last time.
	HandOver func()
}

// Run takes part in the election until ctx is done, and then returns nil. It
// returns ErrLost if the lease could not be renewed: whatever the work has
// cached may be out of date, so the process is expected to end.
func Run(ctx context.Context, config Config) error {
	c := &candidate{Config: config, lease: &lease{
		Interface: config.Lock, renewDeadline: config.RenewDeadline, ending: ctx, now: time.Now,
	}}
	for successor := true; ctx.Err() == nil; {
		handedOver, err := c.serve(ctx, successor)
		switch {
		case err != nil:
			return err
		case handedOver:
			successor = c.awaitSuccessor(ctx)
		case ctx.Err() == nil:
			return ErrLost
		}
	}
	return nil
}

// candidate takes part in the election.
type candidate struct {
	Config
	lease *lease
}

// serve waits for the lease, works one term, and reports whether the lease was
// released for another process.
func (c *candidate) serve(ctx context.Context, mayHandOver bool) (handedOver bool, err error) {
	c.lease.renewed.Store(nil)
	// The elector outlives ctx until the work is done.
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	done := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: c.lease, Name: c.Name, ReleaseOnCancel: true,
		LeaseDuration: c.LeaseDuration, RenewDeadline: c.RenewDeadline, RetryPeriod: c.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				defer close(done)
				defer release()
				handedOver = c.workWhile(ctx, held, mayHandOver)
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				if identity != c.lease.Identity() {
					klog.FromContext(ctx).Info("Another process holds the lease", "holder", identity, "lease", c.lease.Describe())
				}
			},
		},
	})
	if err != nil {
		return false, fmt.Errorf("setting up leader election: %w", err)
	}
	// A standby has no work to finish.
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

// workWhile works until ctx or held is done, or until the work asks for a
// hand-over, which it reports.
func (c *candidate) workWhile(ctx, held context.Context, mayHandOver bool) bool {
	working, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(held, stop)()
	var asked atomic.Bool
	term := Term{Fence: c.lease.fence}
	if mayHandOver {
		term.HandOver = func() { asked.Store(true); stop() }
	}
	c.Leads(true)
	c.Work(working, term)
	c.Leads(false)
	return asked.Load()
}

// awaitSuccessor reports whether another process takes the lease within the
// time that a standby needs. That process may have released it again since.
func (c *candidate) awaitSuccessor(ctx context.Context) bool {
	logger := klog.FromContext(ctx)
	ours := c.lease.renewed.Load().term
	retry := time.NewTicker(c.RetryPeriod)
	defer retry.Stop()
	end := time.After(c.LeaseDuration)
	for {
		record, _, err := c.lease.Get(ctx)
		if err == nil && record.LeaderTransitions > ours {
			return true
		}
		if err != nil && ctx.Err() == nil {
			logger.Error(err, "Could not find out who holds the lease, will retry", "lease", c.lease.Describe())
		}
		select {
		case <-ctx.Done():
			return false
		case <-end:
			logger.Info("No other process took the lease, continuing without a hand-over", "lease", c.lease.Describe())
			return false
		case <-retry.C:
		}
	}
}
