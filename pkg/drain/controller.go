package drain

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"

	"drainer.dev/drainer/pkg/plan"
)

// View is the current state of the cluster. It is implemented with reflectors.
type View interface {
	// Nodes are all nodes. The list and what it points to do not change.
	Nodes() []*plan.Node
	// Pods are the pods of the watched nodes whose list is complete, in order
	// of namespace and name. The lists do not change; a node's list is another
	// one if any of its pods has changed.
	Pods() map[string][]*plan.Pod
	// DaemonSets are the UIDs of the DaemonSets that exist.
	DaemonSets() map[types.UID]bool
	// NamespaceLabels are the labels of the namespaces that are known, by name, as
	// far as rules look at them. The maps do not change.
	NamespaceLabels() map[string]labels.Set
	// Control is what the ConfigMap drainer-control says.
	Control() plan.Control
	// Watch says which nodes' pods are to be watched from now on.
	Watch(nodes map[string]bool)
}

// Options is what a Controller is made of.
type Options struct {
	Config plan.Config
	// Nodes is the client for requests that must not wait for others: writes to
	// nodes and the last check before Drained. Client is the client for the rest.
	Nodes, Client kubernetes.Interface
	View          View
	// Pending counts the pods for which the scheduler finds no node; nil if the
	// number is not needed.
	Pending func() int
	// Ledger is updated by the watch of budgets; nil without policy/v1.
	Ledger *Ledger
	Evict  EvictFunc
	// DryRun asks how the API server would answer an eviction.
	DryRun EvictFunc
	// Delete deletes pods past their budgets. If it is nil, no request may do
	// that.
	Delete   DeleteFunc
	Observer Observer
	// Fence is nil without leader election.
	Fence Fence
	// HandOver makes Run end and another replica take over; it must not block.
	// It is nil if no other can.
	HandOver func()
	// Fail ends the term as the leader like a lost lease, because the caches can
	// no longer be trusted; it must not block. If it is nil, the error is only
	// logged.
	Fail func(error)
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
	tasks   taskQueue
	writer  nodeWriter
	events  *eventWriter
	// wake requests a plan at once, soon one that can wait for more events.
	wake, soon chan struct{}
	// began is when this controller was made.
	began time.Time

	// tasksUnderWay are those that underWay counts. crowded says, at most once a minute,
	// that others wait for them.
	tasksUnderWay sync.WaitGroup
	crowded       rate.Sometimes
	// memory belongs to the goroutine that plans.
	memory *plan.Memory

	mu sync.Mutex
	// plans is the newest plan, by node, nil before the first; planned is its
	// number.
	plans   map[types.UID]plan.NodePlan
	planned int
	// marks are the changes of marked nodes in the newest plan, markStates the
	// state of the rules for them.
	marks      map[types.UID]plan.MarkPlan
	markStates []plan.MarkState
	// scales are the scales of controllers as the newest plan knows them.
	scales map[types.UID]plan.ScaleMemory
	// facts are what tasks have learned, for the next plan.
	facts []plan.Fact
	// steps counts the plans whose facts have been taken.
	steps int
	// after is the number of the last plan that was made without knowing about the
	// last write to a node: plans up to that one are out of date.
	after map[types.UID]int
	// judging is held by the one dry run that is under way.
	judging sync.Mutex
	// foreseeing is held by the one list of a waiting node's pods that is under way.
	foreseeing sync.Mutex
	underWay   crowd
	// occupied are the nodes that a task cordons, confirms or releases now.
	occupied map[types.UID]bool
}

const (
	// longestRest is the maximum: a plan also takes long when the machine is busy
	// with something else.
	longestRest = 200 * time.Millisecond
	// restTimes is the length of the rest, in multiples of the time that the plan
	// took, and busyRestTimes while the workers have enough to do without a new plan.
	restTimes, busyRestTimes time.Duration = 3, 9
	// shutdownGrace is how long requests under way may take after the end of the
	// term.
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
	if o.Nodes == nil {
		o.Nodes = o.Client
	}
	o.Config.HandsOver = o.HandOver != nil
	o.Config.AllowDelete = o.Config.AllowDelete && o.Delete != nil
	c := &Controller{
		Options: o,
		writer:  nodeWriter{nodes: o.Nodes.CoreV1().Nodes()},
		events:  newEventWriter(o.Client.EventsV1(), o.Identity),
		wake:    make(chan struct{}, 1),
		soon:    make(chan struct{}, 1),
		began:   time.Now(),
		memory:  plan.NewMemory(),
		after:   map[types.UID]int{},

		occupied: map[types.UID]bool{},
		underWay: crowd{kinds: map[taskKind]int{}},
		crowded:  rate.Sometimes{Interval: time.Minute},
	}
	c.tasks = newTaskQueue(o.MetricsProvider, c.urgent)
	c.evictor = newEvictor(o, c.answered)
	c.evictor.paused = func() bool { return c.Control().Paused != "" }
	return c
}

// answered counts an answer and asks for a plan: at once if it may let another
// pod be sent.
func (c *Controller) answered(a plan.Answered) {
	if a.Grant.Deletion == nil {
		c.Observer.Answered(a.Outcome, a.Took)
	}
	if a.Outcome.Reason == plan.Admitted && a.Grant.Budget.Name == "" {
		c.WakeSoon()
		return
	}
	c.Wake()
}

// Wake requests a plan. It never blocks, and many calls may lead to one plan.
func (c *Controller) Wake() { signal(c.wake) }

// WakeSoon requests a plan that can wait for more events: what has happened
// does not allow another eviction.
func (c *Controller) WakeSoon() { signal(c.soon) }

func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Run plans and acts until ctx ends. Then no further request is sent; those
// under way get shutdownGrace before they are cancelled. It has to be called even if ctx
// has ended before: it ends what New has begun.
func (c *Controller) Run(ctx context.Context) {
	posts, cancelPosts := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelPosts()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(shutdownGrace, cancelPosts) })
	defer stop()

	var wg sync.WaitGroup
	wg.Go(func() { c.evictor.run(ctx, posts, c.Workers) })
	wg.Go(func() { c.events.run(ctx) })
	for range plan.TaskWorkers {
		wg.Go(func() {
			for c.nextTask(ctx) {
			}
		})
	}
	if ctx.Err() == nil { // Otherwise the view may not have synced.
		c.Wake()
		c.loop(ctx)
	}
	c.tasks.ShutDown()
	wg.Wait()
	c.tasksUnderWay.Wait()
}

// Plans is the newest plan of every node, for metrics; nil before the first. It
// must not be changed.
func (c *Controller) Plans() map[types.UID]plan.NodePlan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plans
}

// Control is the newest known state of what stops everything.
func (c *Controller) Control() plan.Control { return c.View.Control() }

// errRestored ends a term: resourceVersions have gone back, so the API server's
// storage was restored from a backup, and no cache can be trusted.
var errRestored = errors.New("the API server answers with an older resourceVersion than it has sent before: its storage was restored from a backup")
