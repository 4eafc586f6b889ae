package drain

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
)

// PodOf makes a Pod of the API's.
type PodOf func(*corev1.Pod) *Pod

// BudgetOf makes a Budget of the API's.
type BudgetOf func(*policyv1.PodDisruptionBudget) (*Budget, error)

// errand is one thing to do at the API server besides evicting: bring a node
// to what the newest plan says, look a pod up, read a budget, or look for
// another replica. Errands are hints like the evictor's queue.
type errand struct {
	kind errandKind
	// node is a Node's UID, pod and budget name objects.
	node   types.UID
	object types.NamespacedName
	pod    types.UID
}

type errandKind int

const (
	nodeErrand errandKind = iota
	podErrand
	budgetErrand
	replicaErrand
)

// writing is the report that was last written to a node.
type writing struct {
	report  Report
	text    string
	version string
	at      time.Time
	// compared is when the report was last compared word by word.
	compared time.Time
	// after is the step before which nothing was known of the writing: plans
	// up to it are out of date.
	after int
}

// progressInterval is how often progress is written; a change of phase is
// written at once. Every write reaches every watcher of nodes.
const progressInterval = 10 * time.Second

// errandTimeout bounds one errand.
const errandTimeout = 30 * time.Second

// sendErrands queues what the plan wants done and returns when to plan again.
func (c *Controller) sendErrands(now time.Time, plan *Plan) time.Time {
	next := plan.Wake
	if next.IsZero() && len(plan.Nodes) > 0 {
		next = now.Add(longestSleep)
	}
	watch := map[string]bool{}
	for _, n := range plan.Nodes {
		watch[n.Node.Name] = n.Watch
		due, at := c.nodeDue(n, now)
		if due {
			c.sendErrand(errand{kind: nodeErrand, node: n.Node.UID})
		} else if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	c.View.Watch(watch)
	for _, pod := range plan.LookUps {
		c.memory.Pods[pod.UID].LookAt = now.Add(lookInterval)
		c.sendErrand(errand{kind: podErrand, object: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, pod: pod.UID})
	}
	if pod := plan.HandOver; pod != nil {
		c.memory.Replica.AskedAt = now
		c.sendErrand(errand{kind: replicaErrand, object: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, pod: pod.UID})
	}
	for _, key := range plan.Polls {
		c.sendErrand(errand{kind: budgetErrand, object: key})
	}
	return next
}

// sendErrand queues an errand, unless it failed and waits to be repeated.
func (c *Controller) sendErrand(e errand) {
	if c.errands.NumRequeues(e) == 0 {
		c.errands.Add(e)
	}
}

// lookInterval is how long the next look at a pod waits.
const lookInterval = 5 * time.Second

// nodeDue says whether the node has to be written to now, or when.
func (c *Controller) nodeDue(n NodePlan, now time.Time) (bool, time.Time) {
	c.mu.Lock()
	last := c.written[n.Node.UID]
	compare := now.Sub(last.compared) >= progressInterval
	if compare && last.text != "" {
		again := last
		again.compared = now
		c.written[n.Node.UID] = again
	}
	c.mu.Unlock()
	if n.step <= last.after {
		return false, time.Time{}
	}
	acts := n.Release || n.Cordon || n.Confirm || n.Taint != n.Node.QueuedTaint
	if acts && !olderVersion(n.Node.ResourceVersion, last.version) {
		return true, time.Time{}
	}
	if n.Release {
		return false, time.Time{}
	}
	if at := c.began.Add(progressInterval); last.text == "" && n.Memory.started() && !n.Memory.looked && now.Before(at) {
		// What the process before wrote says more than is known yet.
		return false, at
	}
	return reportDue(n, last, now, compare)
}

// reportDue says whether a report differs from what the node says, and whether
// it is to be written now, or when to ask again. The cache may be older than
// our last write. Words are compared only if compare says so.
func reportDue(n NodePlan, last writing, now time.Time, compare bool) (bool, time.Time) {
	at := last.at.Add(progressInterval)
	due := changedPhase(last.report.Status, n.Facts.Status) || !now.Before(at)
	if last.text == "" || !olderVersion(n.Node.ResourceVersion, last.version) {
		// What the Node itself says counts: somebody may have changed it.
		if n.Node.Annotations[api.StatusAnnotation] != last.text || wrongMarks(n) {
			// At once only the first time: who undoes it does so again.
			return last.text == "" || due, at
		}
	}
	switch {
	case !due:
		return false, at
	case last.report.Status.Pods != n.Facts.Status.Pods || now.Before(at):
		return true, at
	case !compare:
		return false, time.Time{}
	}
	r := n.Report()
	return r.Status.Format() != last.text || r.Message != last.report.Message, time.Time{}
}

// changedPhase is true for what has to be written at once. The first count of
// the pods is, too: another process that goes on counts from there.
func changedPhase(was, is api.Status) bool {
	return was.Phase != is.Phase || was.Request != is.Request || (was.StartedAt == nil) != (is.StartedAt == nil) ||
		was.Pods.Remaining()+was.Pods.Left == 0 && is.Pods.Remaining()+is.Pods.Left > 0
}

// wrongMarks is true if the node's conditions or the drained annotation are
// not those that were written.
func wrongMarks(n NodePlan) bool {
	id := ""
	if n.Facts.Drained == corev1.ConditionTrue {
		id = n.Facts.Status.Request
	}
	return n.Node.Annotations[api.DrainedAnnotation] != id ||
		n.Node.InProgress.Status != n.Facts.InProgress || n.Node.Drained.Status != n.Facts.Drained
}

// nextErrand runs one errand, and again later if it failed.
func (c *Controller) nextErrand(ctx context.Context) bool {
	e, shutdown := c.errands.Get()
	if shutdown {
		return false
	}
	defer c.errands.Done(e)
	if ctx.Err() != nil {
		return true
	}
	err := c.errand(ctx, e)
	if ctx.Err() != nil {
		return true
	}
	if err == nil {
		failed := c.errands.NumRequeues(e) > 0
		c.errands.Forget(e)
		if failed {
			c.trouble(e, "")
		}
		return true
	}
	if !apierrors.IsConflict(err) {
		klog.FromContext(ctx).Error(err, "An errand failed and will be repeated", "failures", c.errands.NumRequeues(e)+1)
		c.trouble(e, err.Error())
	}
	c.errands.AddRateLimited(e)
	return true
}

// trouble notes why a node could not be written to, so that it says so itself
// as far as it can.
func (c *Controller) trouble(e errand, text string) {
	if e.kind != nodeErrand {
		return
	}
	c.found(func(m *Memory) {
		if node, known := m.Nodes[e.node]; known {
			node.Trouble = text
			m.Nodes[e.node] = node
		}
	})
}

func (c *Controller) errand(ctx context.Context, e errand) error {
	ctx, cancel := c.Fence.within(ctx, errandTimeout)
	defer cancel()
	if ctx.Err() != nil {
		return nil
	}
	switch e.kind {
	case podErrand:
		return c.lookUp(ctx, e)
	case budgetErrand:
		return c.readBudget(ctx, e.object)
	case replicaErrand:
		return c.findReplica(ctx, e)
	default:
		return c.bring(ctx, e.node)
	}
}

// bring brings a node to what the newest plan says. Status comes before the
// cordon, and the other way round on release: at whatever point the process
// dies, the node still shows what has to be taken back.
func (c *Controller) bring(ctx context.Context, uid types.UID) error {
	c.mu.Lock()
	n, planned := c.plan[uid]
	last := c.written[uid]
	c.mu.Unlock()
	if !planned || n.step <= last.after {
		return nil
	}
	err := c.bringTo(ctx, n, last)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// The node is gone, or changed: its event brings a new plan.
		c.Wake()
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (c *Controller) bringTo(ctx context.Context, n NodePlan, last writing) error {
	// A node that does not show our last write was planned without it; when it
	// does, there is a new plan.
	stale := olderVersion(n.Node.ResourceVersion, last.version)
	if n.Release {
		if stale {
			return nil
		}
		return c.release(ctx, n.Node)
	}
	now := time.Now()
	due, _ := reportDue(n, last, now, true)
	if due {
		if err := c.write(ctx, n, n.Report(), "", now); err != nil {
			return err
		}
	}
	if n.Taint != n.Node.QueuedTaint && !stale {
		if err := c.wrote(n.Node)(c.writer.taint(ctx, n.Node, n.Taint)); err != nil {
			return err
		}
	}
	switch {
	case stale || !c.current(n):
		return nil
	case n.Cordon:
		return c.wrote(n.Node)(c.writer.cordon(ctx, n.Node))
	case n.Confirm && !due:
		return c.confirm(ctx, n)
	default:
		// A node that was just written to is confirmed once the cache shows it.
		return nil
	}
}

// wrote keeps the version that a write gave the node, so that the same write
// is not repeated while the cache does not show it.
func (c *Controller) wrote(n *Node) func(version string, err error) error {
	return func(version string, err error) error {
		if err != nil || version == "" {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		last := c.written[n.UID]
		last.version = version
		c.written[n.UID] = last
		return nil
	}
}

// current is true while the newest plan still wants the same of the node.
func (c *Controller) current(n NodePlan) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, planned := c.plan[n.Node.UID]
	return planned && !now.Release && now.Request.ID == n.Request.ID && now.Cordon == n.Cordon && now.Confirm == n.Confirm
}

// write writes a report and keeps what was written; the findings go into the
// next plan, and no plan made without them is carried out on the node.
func (c *Controller) write(ctx context.Context, n NodePlan, r Report, version string, now time.Time, known ...finding) error {
	written, err := c.writer.report(ctx, n.Node, r, version, now)
	if err != nil {
		return err
	}
	c.mu.Lock()
	w := writing{report: r, text: r.Status.Format(), version: written, at: now, compared: now}
	if len(known) > 0 {
		w.after = c.steps
		c.findings = append(c.findings, known...)
	}
	c.written[n.Node.UID] = w
	c.mu.Unlock()
	c.Wake()
	return nil
}

// release gives a node back.
func (c *Controller) release(ctx context.Context, n *Node) error {
	if n.QueuedTaint {
		if err := c.wrote(n)(c.writer.taint(ctx, n, false)); err != nil {
			return err
		}
	}
	if n.OwnCordon {
		if err := c.wrote(n)(c.writer.uncordon(ctx, n)); err != nil {
			return err
		}
	}
	return c.wrote(n)(c.writer.clear(ctx, n))
}

// confirm looks once more, at the API server itself, and reports Drained if no
// wanted pod is there and the Node has not changed since the plan.
func (c *Controller) confirm(ctx context.Context, n NodePlan) error {
	list, err := c.Client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", n.Node.Name).String(),
	})
	if err != nil {
		return fmt.Errorf("listing the pods of node %s: %w", n.Node.Name, err)
	}
	daemonSets := c.View.DaemonSets()
	now := time.Now()
	for i := range list.Items {
		if leaves(c.PodOf(&list.Items[i]), daemonSets, c.Config.BarePods) {
			c.found(func(m *Memory) {
				node := m.Nodes[n.Node.UID]
				node.RetryConfirmAt = now.Add(time.Second)
				m.Nodes[n.Node.UID] = node
			})
			return nil
		}
	}
	return c.write(ctx, n, n.Report().drained(now), n.Node.ResourceVersion, now, func(m *Memory) {
		if node := m.Nodes[n.Node.UID]; node.Request == n.Request.ID {
			node.FinishedAt = now
			m.Nodes[n.Node.UID] = node
		}
	})
}

// drained is the report of the same node, drained.
func (r Report) drained(now time.Time) Report {
	r.Status.Phase, r.Status.FinishedAt = api.Drained, &now
	r.InProgress, r.Drained = corev1.ConditionFalse, corev1.ConditionTrue
	r.Message = drainedMessage(r.Status.Pods)
	return r
}

// lookUp finds out what became of an eviction.
func (c *Controller) lookUp(ctx context.Context, e errand) error {
	pod, err := c.Client.CoreV1().Pods(e.object.Namespace).Get(ctx, e.object.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("looking up pod %s: %w", e.object, err)
	}
	gone := err != nil || pod.UID != e.pod
	terminating := !gone && pod.DeletionTimestamp != nil
	now := time.Now()
	c.found(func(m *Memory) {
		if memory := m.Pods[e.pod]; memory != nil {
			c.lookedUp(memory, gone, terminating, now)
		}
	})
	return nil
}

// lookedUp notes what a look at a pod found.
func (c *Controller) lookedUp(m *PodMemory, gone, terminating bool, now time.Time) {
	switch {
	case gone:
		m.ConfirmedGone, m.LookAt = true, time.Time{}
		c.releaseAll(m.Pod)
	case terminating:
		m.LookAt = time.Time{}
		if m.AdmittedAt.IsZero() {
			c.admitted(m, now)
		}
	case m.LooksLeft > 1:
		m.LooksLeft--
		m.LookAt = now.Add(lookInterval)
	default:
		// It was not evicted: it may be sent again, after a while.
		if m.Outcome.Reason == "" || m.Outcome.Reason == Gone {
			m.Outcome = Outcome{Reason: ServerError, Message: "the API server took the eviction, and the pod is still there and does not terminate"}
		}
		m.LookUp, m.LookAt, m.AdmittedAt = false, time.Time{}, time.Time{}
		m.Refusals++
		m.RetryAt = now.Add(m.Outcome.wait(m.Refusals))
		c.releaseAll(m.Pod)
	}
}

// releaseAll gives back whatever is reserved for the pod.
func (c *Controller) releaseAll(pod *Pod) {
	for _, b := range c.Ledger.View()[pod.Namespace].List {
		c.Ledger.Release(keyOf(b.Budget), pod.UID)
	}
}

// readBudget reads a budget of which nothing was heard.
func (c *Controller) readBudget(ctx context.Context, key types.NamespacedName) error {
	asked := time.Now()
	pdb, err := c.Client.PolicyV1().PodDisruptionBudgets(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		c.Ledger.Forget(key)
	case err != nil:
		return fmt.Errorf("reading budget %s: %w", key, err)
	default:
		b, err := c.BudgetOf(pdb)
		if err != nil {
			return err
		}
		c.Ledger.Observe(b)
		c.Ledger.Settle(key, asked.Add(-settleInterval))
	}
	c.Wake()
	return nil
}
