package drain

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

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

// String names the kind in the log.
func (k taskKind) String() string {
	return []string{
		nodeTask: "node", reportTask: "report", releaseTask: "release", judgeTask: "dry run", foreseeTask: "look ahead", volumesTask: "volumes",
		markTask: "mark", podTask: "look up", budgetTask: "budget", scaleTask: "scale", siblingsTask: "siblings", replicaTask: "replica",
	}[k]
}

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
