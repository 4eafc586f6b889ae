package drain

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// View is what is there now. It is implemented over informers.
type View interface {
	// Nodes are the nodes served. The list and what it points to do not change.
	Nodes() []*Node
	// Pods are the pods of the watched nodes whose list is complete.
	Pods() map[string][]*Pod
	// DaemonSets are the UIDs of the DaemonSets that exist.
	DaemonSets() map[types.UID]bool
	// Watch says of which nodes the pods are to be watched, from now on.
	Watch(nodes map[string]bool)
}

// Options is what a Controller is made of.
type Options struct {
	Config Config
	Client kubernetes.Interface
	View   View
	// Ledger is fed by whoever watches the budgets; nil without policy/v1.
	Ledger *Ledger
	Evict  EvictFunc
	// PodOf makes a Pod of the API's, as the View does.
	PodOf    PodOf
	BudgetOf BudgetOf
	Observer Observer
	// Fence is nil without leader election.
	Fence Fence
	// HandOver makes Run end and another replica take over; it must not block.
	// It is nil if no other can.
	HandOver func()
	// QPS and Burst limit evictions over all nodes.
	QPS     rate.Limit
	Burst   int
	Workers int
	// EvictionTimeout bounds one request.
	EvictionTimeout time.Duration
	// Identity names this process in events.
	Identity string
	// MetricsProvider counts the work queues; nil for none.
	MetricsProvider workqueue.MetricsProvider
}

// Controller carries drains out. New starts nothing; Run does, and returns
// when all that it started has ended.
type Controller struct {
	Options
	evictor *evictor
	errands workqueue.TypedRateLimitingInterface[errand]
	writer  nodeWriter
	events  *eventWriter
	wake    chan struct{}

	// began is when this controller was made.
	began time.Time

	// memory belongs to the goroutine that plans.
	memory Memory

	mu sync.Mutex
	// plan is the newest plan, by node.
	plan map[types.UID]NodePlan
	// findings are what errands found out and the next plan has to know.
	findings []finding
	written  map[types.UID]writing
	// steps counts the plans whose findings have been taken.
	steps int
}

// finding changes the memory; it is made by an errand and applied before the
// next plan.
type finding func(*Memory)

const (
	// errandWorkers write to different nodes side by side.
	errandWorkers = 8
	// longestSleep bounds the time without a plan while nodes are drained, so
	// that what nobody is told of, such as a lease that was renewed late, is
	// seen all the same.
	longestSleep = 10 * time.Second
	// shortestRest is the least time between two plans, small against what an
	// eviction takes.
	shortestRest = 2 * time.Millisecond
	// longestRest is the most: a plan takes long also when the machine was busy
	// with something else.
	longestRest = 50 * time.Millisecond
	// busyRest is how many times as long as the plan took the rest is while
	// the workers have enough to do without a new one.
	busyRest = 9
	// shutdownGrace is how long requests under way may take after the end.
	shutdownGrace = 8 * time.Second
)

// New makes a controller.
func New(o Options) *Controller {
	if o.Fence == nil {
		o.Fence = func() (time.Time, bool) { return time.Time{}, true }
	}
	if o.Ledger == nil {
		o.Ledger = NewLedger()
	}
	o.Config.HandsOver = o.HandOver != nil
	c := &Controller{
		Options: o,
		errands: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[errand](250*time.Millisecond, time.Minute),
			workqueue.TypedRateLimitingQueueConfig[errand]{Name: "errands", MetricsProvider: o.MetricsProvider}),
		writer: nodeWriter{nodes: o.Client.CoreV1().Nodes()},
		events: newEventWriter(o.Client.EventsV1(), o.Identity),
		wake:   make(chan struct{}, 1),
		began:  time.Now(),
		memory: Memory{
			Nodes: map[types.UID]NodeMemory{}, Pods: map[types.UID]*PodMemory{}, Budgets: map[types.UID]BudgetMemory{},
		},
		plan:    map[types.UID]NodePlan{},
		written: map[types.UID]writing{},
	}
	c.evictor = &evictor{
		evict: o.Evict, fence: o.Fence, limiter: rate.NewLimiter(o.QPS, o.Burst), timeout: o.EvictionTimeout,
		ledger: o.Ledger,
		answered: func(r Result) {
			o.Observer.Answered(r.Outcome, r.Took)
			c.Wake()
		},
		queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[turn]{
			Name: "evictions", MetricsProvider: o.MetricsProvider,
		}),
		inFlight: map[types.UID]Post{},
	}
	return c
}

// Wake asks for a plan. It never blocks, and many calls may give one plan.
func (c *Controller) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run plans and acts until ctx ends. Then no further request is sent; those
// under way get shutdownGrace before they are cancelled.
func (c *Controller) Run(ctx context.Context) {
	posts, cancelPosts := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelPosts()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(shutdownGrace, cancelPosts) })
	defer stop()

	var wg sync.WaitGroup
	wg.Go(func() { c.evictor.run(ctx, posts, c.Workers) })
	wg.Go(func() { c.events.run(ctx) })
	for range errandWorkers {
		wg.Go(func() {
			for c.nextErrand(ctx) {
			}
		})
	}
	c.Wake()
	c.loop(ctx)
	c.errands.ShutDown()
	wg.Wait()
}

func (c *Controller) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		begun := time.Now()
		next := c.step(ctx)
		took := time.Since(begun)
		c.Observer.Planned(took)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(min(longestSleep, max(0, time.Until(next))))
		}
		if !c.rest(ctx, c.restAfter(took)) {
			return
		}
	}
}

// restAfter is how long events gather after a plan that took so long: planning
// leaves half of a core to others however many events come, and most of it
// while there is nothing to win.
func (c *Controller) restAfter(took time.Duration) time.Duration {
	if c.evictor.waiting() >= c.Workers {
		took *= busyRest
	}
	return min(max(took, shortestRest), longestRest)
}

func (c *Controller) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// step makes one plan and lets it be carried out. It returns when to plan
// again if nothing happens.
func (c *Controller) step(ctx context.Context) time.Time {
	seen := c.evictor.look()
	s := &Snapshot{
		Now: time.Now(), Config: c.Config,
		Nodes: c.View.Nodes(), Pods: c.View.Pods(), DaemonSets: c.View.DaemonSets(),
		Budgets: c.Ledger.View(), Unsettled: c.Ledger.Unsettled(),
		Throttled: seen.throttled, Careful: seen.careful, InFlight: seen.inFlight,
	}
	for _, r := range seen.results {
		c.book(ctx, r)
	}
	for _, f := range c.takeFindings() {
		f(&c.memory)
	}
	c.forgetGone(ctx, s)
	s.Memory = c.memory
	plan := Make(s)
	c.remember(ctx, s, &plan)
	c.evictor.publish(plan.Grants)
	return c.sendErrands(s.Now, &plan)
}

func (c *Controller) takeFindings() []finding {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.findings
	c.findings = nil
	c.steps++
	return found
}

func (c *Controller) found(f finding) {
	c.mu.Lock()
	c.findings = append(c.findings, f)
	c.mu.Unlock()
	c.Wake()
}

// book notes what became of an eviction.
func (c *Controller) book(ctx context.Context, r Result) {
	pod := r.Grant.Pod
	m := c.memory.Pods[pod.UID]
	if m == nil {
		return
	}
	logger := klog.FromContext(ctx)
	if r.Grant.Proof && r.Outcome.Reason.byBudget() {
		m.Outcome = r.Outcome
		c.proved(pod, r.At)
		return
	}
	switch r.Outcome.Reason {
	case Admitted:
		logger.Info("Evicted pod", "node", pod.Node, "pod", klog.KRef(pod.Namespace, pod.Name), "request", r.Grant.Request)
		c.admitted(m, r.At)
		c.events.pod(pod, "Evicted", fmt.Sprintf("Evicted from node %s for drain request %s", pod.Node, r.Grant.Request))
	case Gone, Unknown, ServerError:
		m.LookUp, m.LooksLeft, m.LookAt = true, looksOf(r.Outcome.Reason), r.At
		m.Outcome = r.Outcome
	case MultipleBudgets:
		m.AskedSets = r.Grant.Sets
		refused(m, r)
	default:
		refused(m, r)
	}
	if r.Outcome.Reason != Admitted {
		logger.V(2).Info("Eviction was not admitted", "node", pod.Node, "pod", klog.KRef(pod.Namespace, pod.Name),
			"request", r.Grant.Request, "code", r.Outcome.Code, "reason", r.Outcome.Reason, "message", r.Outcome.Message)
	}
}

// proved notes that the API server itself refused a stuck pod.
func (c *Controller) proved(pod *Pod, at time.Time) {
	for _, b := range c.Ledger.View()[pod.Namespace].List {
		if b.Selector.Matches(pod.Labels) {
			m := c.memory.Budgets[b.UID]
			m.ProvenAt = at
			c.memory.Budgets[b.UID] = m
		}
	}
}

func refused(m *PodMemory, r Result) {
	m.Outcome, m.RefusedVersions = r.Outcome, r.Grant.Versions
	if r.Outcome.Reason != Throttled {
		m.Refusals++
	}
	m.RetryAt = r.At.Add(r.Outcome.wait(m.Refusals))
}

// admitted notes that the API server took the eviction.
func (c *Controller) admitted(m *PodMemory, at time.Time) {
	if m.BlockedBy != "" {
		c.Observer.PodAdmitted(m.BlockedBy, at.Sub(m.FirstSeen))
	}
	m.AdmittedAt, m.LookUp = at, false
	m.LookAt, m.LooksLeft = at.Add(deletionGrace), 1
	m.Refusals, m.RetryAt, m.Outcome = 0, time.Time{}, Outcome{}
	c.countReturn(m, at)
}

// deletionGrace is how long after its admission an evicted pod may not show as
// terminating before it is looked up.
const deletionGrace = 30 * time.Second

// looksOf is how often a pod is looked up before it counts as still there: the
// API server may go on with a request that it did not answer.
func looksOf(r Reason) int {
	if r == Unknown {
		return 3
	}
	return 1
}

// countReturn notes that a pod that had come after the cordon was evicted.
func (c *Controller) countReturn(m *PodMemory, at time.Time) {
	controller := m.Pod.Controller.UID
	if controller == "" {
		return
	}
	for uid, node := range c.memory.Nodes {
		if c.plan[uid].Node == nil || c.plan[uid].Node.Name != m.Pod.Node || !node.late(m) {
			continue
		}
		// Plans share the map: it is replaced and not changed.
		returns := maps.Clone(node.Returns)
		if returns == nil {
			returns = map[types.UID]Return{}
		}
		returns[controller] = returns[controller].evicted(m, at)
		node.Returns = returns
		c.memory.Nodes[uid] = node
	}
}

// Plans is the newest plan of every node, for metrics. It must not be changed.
func (c *Controller) Plans() map[types.UID]NodePlan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plan
}
