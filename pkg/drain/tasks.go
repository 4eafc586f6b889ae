package drain

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/plan"
)

// task is one thing to do at the API server other than evicting. It is a hint:
// what is done is what the newest plan says then.
type task struct {
	kind taskKind
	// node is a Node's UID, pod and budget name objects.
	node   types.UID
	object types.NamespacedName
	pod    types.UID
	// scale is the controller whose scale is read.
	scale plan.ScaleRead
	// siblings is the controller whose pods are listed.
	siblings plan.SiblingRead
}

type taskKind int

const (
	nodeTask taskKind = iota
	reportTask
	releaseTask
	judgeTask
	foreseeTask
	volumesTask
	markTask
	podTask
	budgetTask
	scaleTask
	siblingsTask
	replicaTask
)

type taskQueue = workqueue.TypedRateLimitingInterface[task]

func newTaskQueue(metrics workqueue.MetricsProvider, urgent func(task) bool) taskQueue {
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[task](plan.TaskRetry, plan.TaskRetryMost),
		workqueue.TypedRateLimitingQueueConfig[task]{
			Name: "tasks", MetricsProvider: metrics,
			DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[task]{
				Name: "tasks", MetricsProvider: metrics,
				Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[task]{
					Name: "tasks", MetricsProvider: metrics, Queue: &lanes{urgent: urgent},
				}),
			}),
		})
}

// lanes is the order of tasks: those that are urgent when they are queued go
// before the others.
type lanes struct {
	urgent     func(task) bool
	fast, slow []task
}

// Touch implements workqueue.Queue: a task that is queued keeps its place,
// unless it has become urgent.
func (l *lanes) Touch(t task) {
	for i := range l.slow {
		if l.slow[i] == t && l.urgent(t) {
			l.slow = append(l.slow[:i], l.slow[i+1:]...)
			l.fast = append(l.fast, t)
			return
		}
	}
}

// Push implements workqueue.Queue.
func (l *lanes) Push(t task) {
	if l.urgent(t) {
		l.fast = append(l.fast, t)
		return
	}
	l.slow = append(l.slow, t)
}

// Len implements workqueue.Queue.
func (l *lanes) Len() int { return len(l.fast) + len(l.slow) }

// Pop implements workqueue.Queue.
func (l *lanes) Pop() task {
	from := &l.fast
	if len(l.fast) == 0 {
		from = &l.slow
	}
	t := (*from)[0]
	(*from)[0] = task{}
	*from = (*from)[1:]
	return t
}

// urgent is true for a task that cordons, releases or confirms a node, or that
// writes a change of phase: progress and lookups do not delay it.
func (c *Controller) urgent(t task) bool {
	switch t.kind {
	case nodeTask, releaseTask:
		return true
	case reportTask:
		c.mu.Lock()
		defer c.mu.Unlock()
		n, planned := c.plans[t.node]
		return planned && n.Memory.Written.Report.Status.Phase != n.Phase
	default:
		return false
	}
}

// sendTasks queues what the plan wants done.
func (c *Controller) sendTasks(p *plan.Plan) {
	watch := make(map[string]bool, len(p.Nodes))
	for i := range p.Nodes {
		n := &p.Nodes[i]
		watch[n.Node.Name] = n.Watch
		c.sendNodeTasks(n)
	}
	if p.ListVolumes {
		c.sendTask(task{kind: volumesTask})
	}
	c.View.Watch(watch)
	for _, m := range p.Marks {
		c.sendTask(task{kind: markTask, node: m.Node.UID})
	}
	for _, pod := range p.Lookups {
		c.sendTask(task{kind: podTask, object: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, pod: pod.UID})
	}
	if pod := p.HandOver; pod != nil {
		c.sendTask(task{kind: replicaTask, object: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, pod: pod.UID})
	}
	for _, key := range p.Polls {
		c.sendTask(task{kind: budgetTask, object: key})
	}
	for _, read := range p.ScaleReads {
		c.sendTask(task{kind: scaleTask, scale: read})
	}
	for _, read := range p.SiblingReads {
		c.sendTask(task{kind: siblingsTask, siblings: read})
	}
}

// sendNodeTasks queues what is to be done at a node. What is written is apart, so that
// a cordon that fails and waits to be retried delays neither the report of it nor the
// release.
func (c *Controller) sendNodeTasks(n *plan.NodePlan) {
	for _, one := range []struct {
		wanted bool
		kind   taskKind
	}{
		{n.Write, reportTask}, {n.Release, releaseTask}, {n.Judge, judgeTask}, {n.Foresee, foreseeTask}, {n.Acts(), nodeTask},
	} {
		if one.wanted {
			c.sendTask(task{kind: one.kind, node: n.Node.UID})
		}
	}
}

// sendTask queues a task, unless it failed and waits to be repeated.
func (c *Controller) sendTask(t task) {
	if c.tasks.NumRequeues(t) == 0 {
		c.tasks.Add(t)
	}
}

// nextTask runs one task, and again later if it failed.
func (c *Controller) nextTask(ctx context.Context) bool {
	t, shutdown := c.tasks.Get()
	if shutdown {
		return false
	}
	defer c.tasks.Done(t)
	if ctx.Err() != nil {
		return true
	}
	came, err := c.runTask(ctx, t)
	switch failures := c.tasks.NumRequeues(t); {
	case ctx.Err() != nil:
	case err != nil:
		if !apierrors.IsConflict(err) {
			klog.FromContext(ctx).Error(err, "Task failed, will retry", "failures", failures+1)
			c.trouble(t, err)
		}
		c.tasks.AddRateLimited(t)
	case failures == 0:
	case came == later:
		c.tasks.AddAfter(t, plan.TaskLater)
	default:
		c.tasks.Forget(t)
	}
	return true
}

// trouble notes why a node could not be written to, so that it says so itself
// as far as it can.
func (c *Controller) trouble(t task, err error) {
	if t.kind == nodeTask || t.kind == reportTask || t.kind == releaseTask {
		c.learned(plan.NodeTrouble{Node: t.node, Text: err.Error()})
	}
}

// progress is the result of a task.
type progress int

const (
	// done: it did what there was to do, or failed.
	done progress = iota
	// nothing: there is no longer anything to do.
	nothing
	// later: it could not be tried, so nothing says that what failed before
	// would succeed.
	later
)

// runTask does what a task is for.
func (c *Controller) runTask(ctx context.Context, t task) (progress, error) {
	ctx, cancel := c.Fence.within(ctx, plan.TaskTimeout)
	defer cancel()
	if ctx.Err() != nil {
		return later, nil
	}
	switch t.kind {
	case podTask:
		return done, c.lookUp(ctx, t)
	case budgetTask:
		return done, c.readBudget(ctx, t.object)
	case scaleTask:
		return done, c.readScale(ctx, t.scale)
	case siblingsTask:
		return done, c.listSiblings(ctx, t.siblings)
	case replicaTask:
		return done, c.findReplica(ctx, t)
	case judgeTask:
		return c.judge(ctx, t)
	case foreseeTask:
		return c.foresee(ctx, t)
	case markTask:
		return c.mark(ctx, t)
	case volumesTask:
		return c.listVolumes(ctx)
	default:
		return c.reconcile(ctx, t)
	}
}
