package drain_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/drain"
	"drainer.dev/drainer/pkg/leader"
	"drainer.dev/drainer/pkg/metrics"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/retryafter"
	"drainer.dev/drainer/pkg/sim/apiserver"
	"drainer.dev/drainer/pkg/watcher"
	"drainer.dev/drainer/test/bubble"
)

// This file wires a process of the daemon as cmd/drainer does. It is the only
// one of the stories that names what pkg/drain and the packages around it export.

// flags are the options of cmd/drainer that stories change.
type flags struct {
	maxDraining, nodeSelector string
	drainTimeout              time.Duration
	evictionTimeout           time.Duration
	onTimeout                 api.OnTimeout
	allowLastNode             bool
	allowDelete               bool
	neverDelete               []string
	barePods                  plan.BarePods
	emptyDir                  plan.EmptyDir
	// limits are further limits over nodes; nil for none. selectors are used
	// where nodeSelector is empty.
	limits    func(*plan.Config)
	selectors plan.Selectors
	windows   []plan.Window
	freezes   []plan.Freeze
	rules     *plan.Rules
	requests  []plan.MarkRule
	// change is what else is configured; nil for nothing.
	change func(*plan.Config)
	// planning is how long a plan takes, which in a bubble takes no time at all.
	planning time.Duration
}

// observer is what metrics observe, and makes plans take their time.
type observer struct {
	*metrics.Metrics
	planning time.Duration
}

// Planned implements drain.Observer.
func (o observer) Planned(took time.Duration) {
	o.Metrics.Planned(took)
	bubble.Sleep(o.planning)
}

// defaults are those of cmd/drainer/options.go.
func defaults() flags {
	return flags{
		maxDraining: "10%", evictionTimeout: 40 * time.Second, onTimeout: api.Wait, barePods: plan.BlockBarePods, emptyDir: plan.EvictEmptyDir,
	}
}

// The other defaults of cmd/drainer/options.go.
const (
	evictionQPS, evictionBurst = 50, 100
	evictionWorkers            = 10
	settle                     = 5 * time.Second
	stuckAfter                 = 5 * time.Minute
	leaseDuration              = 15 * time.Second
	renewDeadline              = 10 * time.Second
	retryPeriod                = 2 * time.Second
)

// process is one process of the daemon, from its start to its end.
type process struct {
	flags
	identity   string
	transport  *apiserver.Transport
	metrics    *metrics.Metrics
	queues     *metrics.Queues
	controller atomic.Pointer[drain.Controller]
	watcher    atomic.Pointer[watcher.Watcher]
}

func newProcess(identity string, transport *apiserver.Transport, f flags) *process {
	p := &process{flags: f, identity: identity, transport: transport, metrics: metrics.New("test", "test")}
	p.queues = p.metrics.NewQueues()
	p.metrics.RegisterPlans(p.plans, stuckAfter, false)
	p.metrics.RegisterControl(p.control)
	p.metrics.RegisterMarks(p.marks)
	p.metrics.RegisterWatches(p.failing)
	return p
}

func (p *process) plans() map[types.UID]plan.NodePlan {
	if c := p.controller.Load(); c != nil {
		return c.Plans()
	}
	return nil
}

func (p *process) failing() map[string]int {
	if w := p.watcher.Load(); w != nil {
		return w.Failing()
	}
	return nil
}

func (p *process) marks() []plan.MarkState {
	if c := p.controller.Load(); c != nil {
		return c.MarkStates()
	}
	return nil
}

func (p *process) control() (plan.Control, bool) {
	if c := p.controller.Load(); c != nil {
		return c.Control(), c.Plans() != nil
	}
	return plan.Control{}, false
}

// client makes a client that speaks JSON, as the model does.
func (p *process) client(change func(*rest.Config)) *kubernetes.Clientset {
	config := &rest.Config{
		Host: "http://sim", Transport: p.transport, UserAgent: "drainer/test",
		ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON, AcceptContentTypes: runtime.ContentTypeJSON},
	}
	change(config)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		panic(err) // The config is constant.
	}
	return client
}

// run is the process. It returns nil if ctx is done, and otherwise why the
// process ends.
func (p *process) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	main := p.client(func(c *rest.Config) {
		c.QPS = -1
		c.Wrap(retryafter.Limit(plan.RetryAfterMost))
	})
	watches := p.client(func(c *rest.Config) {
		c.QPS = -1
		c.Wrap(retryafter.Limit(watcher.RetryAfterMost))
	})
	lease := p.client(func(c *rest.Config) { c.Timeout = renewDeadline / 2 })
	evictions := p.client(func(c *rest.Config) { c.QPS = -1 })
	version, err := drain.EvictionVersion(ctx, main.Discovery())
	if err != nil {
		return err
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, "drainer", "drainer", lease.CoreV1(), lease.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: p.identity})
	if err != nil {
		return err
	}
	err = leader.Run(ctx, leader.Config{
		Lock: lock, Name: "drainer", LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Leads: func(leads bool) { p.metrics.Leader("drainer", leads) },
		Work: func(ctx context.Context, term leader.Term) {
			p.lead(ctx, term, main, watches, evictions.CoreV1().RESTClient(), version, fail)
		},
	})
	if err == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// planner passes what a watcher has seen to the controller, which is made after
// it.
type planner struct{ controller **drain.Controller }

func (p planner) Wake()     { (*p.controller).Wake() }
func (p planner) WakeSoon() { (*p.controller).WakeSoon() }

// lead is one term as the leader.
func (p *process) lead(ctx context.Context, term leader.Term, client, watches kubernetes.Interface, evictions rest.Interface, version string, fail func(error)) {
	ledger := drain.NewLedger()
	var controller *drain.Controller
	w := watcher.New(watches, "drainer", p.nodes(), planner{&controller})
	w.FollowBudgets(ledger)
	controller = drain.New(drain.Options{
		Config: p.config(), Client: client, View: w, Ledger: ledger,
		Evict: drain.NewEvictFunc(evictions, version), Delete: drain.NewDeleteFunc(evictions), DryRun: drain.NewDryRunFunc(evictions, version),
		Observer: observer{p.metrics, p.planning}, Fence: term.Fence, HandOver: term.HandOver, Fail: fail,
		QPS: rate.Limit(evictionQPS), Burst: evictionBurst, Workers: evictionWorkers, EvictionTimeout: p.evictionTimeout,
		Identity: p.identity, MetricsProvider: p.queues,
	})
	p.controller.Store(controller)
	p.watcher.Store(w)
	defer func() {
		p.controller.Store(nil)
		p.watcher.Store(nil)
	}()
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { w.Run(watching) })
	defer running.Wait()
	defer stop()
	select {
	case <-ctx.Done():
	case <-w.Synced():
	}
	controller.Run(ctx)
}

func (p *process) config() plan.Config {
	c := plan.Config{
		AllowLastNode: p.allowLastNode, Settle: settle, StuckAfter: stuckAfter,
		Timeout: p.drainTimeout, OnTimeout: p.onTimeout, BarePods: p.barePods, EmptyDir: p.emptyDir,
		Windows: p.windows, Freezes: p.freezes, Rules: p.rules, Requests: p.requests,
		AllowDelete: p.allowDelete, NeverDelete: p.neverDelete,
	}
	if p.change != nil {
		p.change(&c)
	}
	var err error
	if p.limits != nil {
		p.limits(&c)
	} else if c.MaxDraining, err = plan.ParseShare(p.maxDraining); err != nil {
		panic(err) // A story's own mistake.
	}
	return c
}

// nodes say what a node is by its labels.
func (p *process) nodes() plan.Selectors {
	s := p.selectors
	s.Windows, s.Rules, s.Requests = p.windows, p.rules, p.requests
	if p.nodeSelector != "" {
		served, err := labels.Parse(p.nodeSelector)
		if err != nil {
			panic(err) // A story's own mistake.
		}
		s.Served = served
	}
	return s
}
