package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/drain"
	"drainer.dev/drainer/pkg/leader"
	"drainer.dev/drainer/pkg/metrics"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/watcher"
)

// run is the daemon. It returns nil after signalled has ended.
func run(signalled context.Context, o *options) error {
	logger := o.logger(os.Stderr)
	ctx, fail := context.WithCancelCause(klog.NewContext(signalled, logger))
	defer fail(nil)
	clients, err := o.clients()
	if err != nil {
		return err
	}
	identity, err := ownIdentity()
	if err != nil {
		return err
	}
	defer background(ctx, keepGarbageRoom)()

	m := metrics.New(version, commit)
	m.RegisterClient()
	var ready readiness
	ready.wait("the API server has not answered yet")
	scraped, err := scraped(ctx, o, m, clients.reviews)
	if err != nil {
		return err
	}
	stop, err := serve(ctx, endpoints(scraped, o, ready.problem), fail)
	if err != nil {
		return err
	}
	defer stop()
	logger.Info("Started", "version", version, "commit", commit, "identity", identity)
	// The answers since the last scrape reach no time series, so they are logged.
	defer func() { logger.Info("Stopped", "evictions", m.Answers()) }()

	err = drainNodes(ctx, o, clients, m, &ready, identity, fail)
	if signalled.Err() != nil {
		return nil
	}
	return cmp.Or(context.Cause(ctx), err)
}

// drainNodes does the work, while this process leads if there is an election.
func drainNodes(ctx context.Context, o *options, clients *clients, m *metrics.Metrics, ready *readiness, identity string, fail func(error)) error {
	evictionVersion, err := askEvictionVersion(ctx, clients.main.Discovery())
	if err != nil {
		return err
	}
	d := &daemon{options: o, clients: clients, metrics: m, queues: m.NewQueues(), identity: identity, evictionVersion: evictionVersion, fail: fail}
	m.RegisterPlans(d.plans, o.StuckAfter.Duration, o.PoolLabel != "")
	m.RegisterControl(d.control)
	m.RegisterMarks(d.marks)
	m.RegisterWatches(d.failing)
	if !o.Elects() {
		d.lead(ctx, ready, leader.Term{})
		return ctx.Err()
	}
	election := &o.LeaderElection
	lock, err := resourcelock.New(election.ResourceLock, election.ResourceNamespace, election.ResourceName,
		clients.lease.CoreV1(), clients.lease.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: identity})
	if err != nil {
		return fmt.Errorf("setting up the lease %s/%s: %w", election.ResourceNamespace, election.ResourceName, err)
	}
	m.Leader(election.ResourceName, false)
	// A standby is ready: it can take over.
	ready.now()
	return leader.Run(ctx, leader.Config{
		Lock: lock, Name: election.ResourceName,
		LeaseDuration: election.LeaseDuration.Duration, RenewDeadline: election.RenewDeadline.Duration, RetryPeriod: election.RetryPeriod.Duration,
		Leads: func(leads bool) { m.Leader(election.ResourceName, leads) },
		Work:  func(ctx context.Context, term leader.Term) { d.lead(ctx, ready, term) },
	})
}

// daemon is what every term as the leader needs.
type daemon struct {
	*options
	clients                   *clients
	metrics                   *metrics.Metrics
	queues                    *metrics.Queues
	identity, evictionVersion string
	// fail ends the process, because the caches can no longer be trusted.
	fail func(error)
	// controller is that of the term; nil while another process leads.
	controller atomic.Pointer[drain.Controller]
	// watcher is that of the term, nil while another process leads.
	watcher atomic.Pointer[watcher.Watcher]
}

// plans are the newest of the term.
func (d *daemon) plans() map[types.UID]plan.NodePlan {
	if c := d.controller.Load(); c != nil {
		return c.Plans()
	}
	return nil
}

// marks are the states of the rules for marked nodes in the newest plan of the
// term.
func (d *daemon) marks() []plan.MarkState {
	if c := d.controller.Load(); c != nil {
		return c.MarkStates()
	}
	return nil
}

// failing counts the watches of the term that fail.
func (d *daemon) failing() map[string]int {
	if w := d.watcher.Load(); w != nil {
		return w.Failing()
	}
	return nil
}

// control is what stops everything, and whether that is known here.
func (d *daemon) control() (plan.Control, bool) {
	if c := d.controller.Load(); c != nil {
		return c.Control(), c.Plans() != nil
	}
	return plan.Control{}, false
}

// lead is one term as the leader: it ends with ctx. The term is zero without an
// election.
func (d *daemon) lead(ctx context.Context, ready *readiness, term leader.Term) {
	var controller *drain.Controller
	w := watcher.New(d.clients.watches, ownNamespace(), d.Selectors(), planner{&controller})
	// Without policy/v1, only refusals give information about budgets.
	var ledger *drain.Ledger
	if d.evictionVersion == "v1" {
		ledger = drain.NewLedger()
		w.FollowBudgets(ledger)
	}
	var pending func() int
	if d.PendingPods != nil {
		w.CountPending()
		pending = w.Pending
	}
	controller = drain.New(drain.Options{
		Config: d.planConfig(), Pending: pending, Nodes: d.clients.nodes, Client: d.clients.main, View: w, Ledger: ledger,
		Evict:    drain.NewEvictFunc(d.clients.evictions, d.evictionVersion),
		DryRun:   drain.NewDryRunFunc(d.clients.evictions, d.evictionVersion),
		Delete:   drain.NewDeleteFunc(d.clients.evictions),
		Observer: d.metrics, Fence: term.Fence, HandOver: term.HandOver, Fail: d.fail,
		QPS: d.evictionLimit(), Burst: d.Eviction.Burst, Workers: d.Eviction.Workers, EvictionTimeout: d.Eviction.Timeout.Duration,
		Identity: d.identity, MetricsProvider: d.queues,
	})
	d.controller.Store(controller)
	d.watcher.Store(w)
	defer func() {
		d.controller.Store(nil)
		d.watcher.Store(nil)
		d.queues.Reset()
	}()
	watchAndDrain(ctx, w, controller, ready)
}

// ownIdentity names this process, and no other.
func ownIdentity() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("finding out the host's name: %w", err)
	}
	return host + "_" + string(uuid.NewUUID()), nil
}

// background starts f and returns a function that ends its context and waits for it.
func background(ctx context.Context, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// planner passes what a watcher has seen to the controller, which is made after
// it.
type planner struct{ controller **drain.Controller }

func (p planner) Wake()     { (*p.controller).Wake() }
func (p planner) WakeSoon() { (*p.controller).WakeSoon() }

// evictionLimit is --eviction-qps, where 0 means no limit.
func (o *options) evictionLimit() rate.Limit {
	if o.Eviction.QPS == 0 {
		return rate.Inf
	}
	return rate.Limit(o.Eviction.QPS)
}

// kubeAPILimit is --kube-api-qps as client-go takes it, where 0 would be 5.
func (o *options) kubeAPILimit() float32 {
	if o.ClientConnection.QPS == 0 {
		return -1
	}
	return o.ClientConnection.QPS
}

// watchAndDrain runs until ctx ends and all that it started has ended. The
// watches outlive the drains, whose last requests still use what they see.
func watchAndDrain(ctx context.Context, w *watcher.Watcher, controller *drain.Controller, ready *readiness) {
	ready.wait("the watches of nodes, budgets and the ConfigMap " + ownNamespace() + "/" + api.ControlName + " have not synced yet")
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watches sync.WaitGroup
	watches.Go(func() { w.Run(watching) })
	defer watches.Wait()
	defer stop()
	select {
	case <-ctx.Done():
	case <-w.Synced():
		ready.now()
	}
	// Also if ctx has ended: it ends what the controller has begun.
	controller.Run(ctx)
}

// askEvictionVersion asks until the API server has answered: a missing answer
// never means that there are no evictions. It fails only when ctx ends.
func askEvictionVersion(ctx context.Context, client discovery.ServerResourcesInterfaceWithContext) (string, error) {
	backoff := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 30 * time.Second}
	for {
		version, err := drain.EvictionVersion(ctx, client)
		if err == nil {
			klog.FromContext(ctx).Info("Found the Eviction API", "version", "policy/"+version)
			return version, nil
		}
		klog.FromContext(ctx).Error(err, "Could not find out which version of Eviction to use, will retry")
		timer := time.NewTimer(backoff.Step())
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		case <-timer.C:
		}
	}
}

// readiness is the answer of /readyz.
type readiness struct{ waitsFor atomic.Pointer[string] }

func (r *readiness) wait(reason string) { r.waitsFor.Store(&reason) }

func (r *readiness) now() { r.waitsFor.Store(nil) }

func (r *readiness) problem() error {
	if reason := r.waitsFor.Load(); reason != nil {
		return errors.New("not ready: " + *reason)
	}
	return nil
}
