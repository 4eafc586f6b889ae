package drain

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/plan"
)

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

// nextTask carries out one task. It returns when that has ended or no longer occupies
// its worker: what hangs somewhere does not delay a cordon.
func (c *Controller) nextTask(ctx context.Context) bool {
	t, shutdown := c.tasks.Get()
	if shutdown {
		return false
	}
	urgent := c.urgent(t)
	if !c.enter(t, urgent) {
		c.crowded.Do(func() {
			klog.FromContext(ctx).Info("Tasks wait because others hang", append(c.keysOf(t), "kind", t.kind.String(), "urgent", urgent)...)
		})
		c.tasks.AddAfter(t, plan.TaskLater)
		c.tasks.Done(t)
		return true
	}
	ended := make(chan struct{})
	c.tasksUnderWay.Go(func() {
		defer close(ended)
		defer c.exit(t, urgent)
		defer c.tasks.Done(t)
		c.attempt(ctx, t)
	})
	endsSoon(ended)
	return true
}

// crowd counts the tasks under way, with and without a worker: those that are urgent, and
// the others by kind.
type crowd struct {
	urgent, others int
	kinds          map[taskKind]int
}

// enter counts a task that begins. It returns false if as many are under way as may be:
// no kind takes more than half of the room of those that are not urgent.
func (c *Controller) enter(t task, urgent bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case urgent && c.underWay.urgent >= plan.MostUrgentTasks:
		return false
	case urgent:
		c.underWay.urgent++
		return true
	case c.underWay.others >= plan.MostTasks || c.underWay.kinds[t.kind] >= plan.MostTasks/2:
		return false
	}
	c.underWay.others++
	c.underWay.kinds[t.kind]++
	return true
}

// exit counts a task that has ended.
func (c *Controller) exit(t task, urgent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if urgent {
		c.underWay.urgent--
		return
	}
	c.underWay.others--
	c.underWay.kinds[t.kind]--
}

// endsSoon waits until ended is closed, for plan.SlowAfter at most, and returns whether
// it is.
func endsSoon(ended <-chan struct{}) bool {
	slow := time.NewTimer(plan.SlowAfter)
	defer slow.Stop()
	select {
	case <-ended:
		return true
	case <-slow.C:
		return false
	}
}

// attempt runs a task, and again later if it failed.
func (c *Controller) attempt(ctx context.Context, t task) {
	if ctx.Err() != nil {
		return
	}
	came, err := c.runTask(ctx, t)
	switch failures := c.tasks.NumRequeues(t); {
	case ctx.Err() != nil:
	case err != nil:
		if !apierrors.IsConflict(err) {
			klog.FromContext(ctx).Error(err, "Task failed, will retry", append(c.keysOf(t), "failures", failures+1)...)
			c.trouble(t, err)
		}
		c.tasks.AddRateLimited(t)
	case failures == 0:
	case came == later:
		c.tasks.AddAfter(t, plan.TaskLater)
	default:
		c.tasks.Forget(t)
	}
}

// keysOf are the keys and values by which the log names what a task is about.
func (c *Controller) keysOf(t task) []any {
	switch t.kind {
	case podTask, replicaTask:
		return []any{"pod", klog.KRef(t.object.Namespace, t.object.Name)}
	case budgetTask:
		return []any{"budget", klog.KRef(t.object.Namespace, t.object.Name)}
	case scaleTask:
		return []any{"controller", klog.KRef(t.scale.Namespace, t.scale.Controller.Name)}
	case siblingsTask:
		return []any{"namespace", t.siblings.Namespace, "selector", t.siblings.Selector}
	case volumesTask:
		return nil // It is about all nodes.
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, planned := c.plans[t.node]; planned {
		return []any{"node", n.Node.Name, "request", n.Request.ID}
	}
	if m, marked := c.marks[t.node]; marked {
		return []any{"node", m.Node.Name}
	}
	return []any{"uid", t.node}
}

// trouble notes why a node could not be written to, so that the node itself reports
// it, if that can be written.
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
