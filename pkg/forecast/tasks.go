package forecast

import (
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// task is any work on the API server other than an eviction. It is a hint: when
// it runs, it carries out the newest plan.
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
	foreseeTask
	markTask
	podTask
	budgetTask
	scaleTask
	siblingsTask
)

// tasks are those that wait, in two lanes, and those under way.
type tasks struct {
	fast, slow []task
	running    map[task]bool
	// again are those asked for while they run.
	again map[task]bool
	// failures counts those that failed and wait to be retried.
	failures map[task]int
}

func newTasks() tasks {
	return tasks{running: map[task]bool{}, again: map[task]bool{}, failures: map[task]int{}}
}

// queueTasks queues the tasks of the plan, except those that failed and wait
// for a retry.
func (d *daemon) queueTasks(p *plan.Plan) {
	queue := func(t task) {
		if d.tasks.failures[t] == 0 {
			d.addTask(t)
		}
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Write {
			queue(task{kind: reportTask, node: n.Node.UID})
		}
		if n.Release {
			queue(task{kind: releaseTask, node: n.Node.UID})
		}
		if n.Foresee && d.loop.options.Foresees {
			queue(task{kind: foreseeTask, node: n.Node.UID})
		}
		if n.Acts() {
			queue(task{kind: nodeTask, node: n.Node.UID})
		}
	}
	if d.loop.options.RequestsMarked {
		for _, m := range p.Marks {
			queue(task{kind: markTask, node: m.Node.UID})
		}
	}
	for _, pod := range p.Lookups {
		queue(task{kind: podTask, object: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, pod: pod.UID})
	}
	for _, key := range p.Polls {
		queue(task{kind: budgetTask, object: key})
	}
	for _, read := range p.ScaleReads {
		queue(task{kind: scaleTask, scale: read})
	}
	for _, read := range p.SiblingReads {
		queue(task{kind: siblingsTask, siblings: read})
	}
	d.runTasks()
}

// addTask queues a task. A task that is running is queued again when it has
// ended.
func (d *daemon) addTask(t task) {
	q := &d.tasks
	switch {
	case q.running[t]:
		q.again[t] = true
	case slices.Contains(q.fast, t):
	case d.urgent(t):
		q.slow = slices.DeleteFunc(q.slow, func(other task) bool { return other == t })
		q.fast = append(q.fast, t)
	case !slices.Contains(q.slow, t):
		q.slow = append(q.slow, t)
	}
}

// urgent is true for a task that cordons, releases or confirms a node, or that
// writes a change of phase.
func (d *daemon) urgent(t task) bool {
	switch t.kind {
	case nodeTask, releaseTask:
		return true
	case reportTask:
		n := d.plans[t.node]
		return n != nil && n.Memory.Written.Report.Status.Phase != n.Phase
	default:
		return false
	}
}

// rival is the task that must not run at the same time as this one: if a cordon took
// effect after the release, nothing on the node would explain it.
func rival(t task) (other task, is bool) {
	switch t.kind {
	case nodeTask:
		return task{kind: releaseTask, node: t.node}, true
	case releaseTask:
		return task{kind: nodeTask, node: t.node}, true
	default:
		return task{}, false
	}
}

// runTasks lets idle workers take tasks.
func (d *daemon) runTasks() {
	q := &d.tasks
	for len(q.running) < plan.TaskWorkers && len(q.fast)+len(q.slow) > 0 {
		from := &q.fast
		if len(q.fast) == 0 {
			from = &q.slow
		}
		t := (*from)[0]
		*from = (*from)[1:]
		q.running[t] = true
		d.runTask(t)
	}
}

// progress is the result of a task.
type progress int

const (
	// done: it did its work, or failed.
	done progress = iota
	// nothing: there is no longer anything to do.
	nothing
	// later: it could not start.
	later
)

// ended handles the result of a task.
func (d *daemon) ended(t task, came progress, err error) {
	q := &d.tasks
	delete(q.running, t)
	if _, waits := rival(t); waits && came != later {
		d.wake()
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// The object is gone, or has changed: its event brings a new plan.
		d.wake()
	}
	if apierrors.IsNotFound(err) && t.node != "" {
		err = nil
	}
	switch failures := q.failures[t]; {
	case err != nil:
		if !apierrors.IsConflict(err) && writes(t) {
			d.learned(plan.NodeTrouble{Node: t.node, Text: err.Error()})
		}
		q.failures[t]++
		d.later(backoff(failures), func() { d.retry(t) })
	case failures == 0:
	case came == later:
		d.later(plan.TaskLater, func() { d.retry(t) })
	default:
		delete(q.failures, t)
	}
	if q.again[t] {
		delete(q.again, t)
		d.addTask(t)
	}
	d.runTasks()
}

// writes is true for a task whose failure leaves a node saying less than it should.
func writes(t task) bool { return t.kind == nodeTask || t.kind == reportTask || t.kind == releaseTask }

func (d *daemon) retry(t task) {
	d.addTask(t)
	d.runTasks()
}

// backoff is how long a task waits after this number of earlier failures.
func backoff(failures int) time.Duration {
	wait := plan.TaskRetry
	for range failures {
		if wait *= 2; wait >= plan.TaskRetryMost {
			return plan.TaskRetryMost
		}
	}
	return wait
}

// learned adds a fact for the next plan.
func (d *daemon) learned(f plan.Fact) {
	d.facts = append(d.facts, f)
	d.wake()
}

func (d *daemon) runTask(t task) {
	switch t.kind {
	case podTask:
		d.lookUp(t)
	case budgetTask:
		d.readBudget(t)
	case markTask:
		d.mark(t)
	case foreseeTask:
		d.foresee(t)
	case scaleTask:
		d.readScale(t)
	case siblingsTask:
		d.listSiblings(t)
	default:
		if other, is := rival(t); is && d.tasks.running[other] {
			// Its end brings a new plan.
			d.ended(t, later, nil)
			return
		}
		d.reconcile(t)
	}
}
