package drain

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/plan"
)

// reconcile carries out the newest plan for a node, if that plan knows about
// the last write to the node. The end of every write leads to a new plan, which
// includes what had to wait for it.
func (c *Controller) reconcile(ctx context.Context, t task) (progress, error) {
	if t.kind != reportTask {
		if !c.occupy(t.node) {
			return later, nil
		}
		defer c.leave(t.node)
	}
	n, stale := c.newest(t.node)
	var err error
	switch {
	case stale:
		return later, nil
	case t.kind == reportTask && n.Write:
		err = c.report(ctx, &n)
	case t.kind == releaseTask && n.Release:
		err = c.release(ctx, n.Node)
	case t.kind == nodeTask && n.Acts():
		err = c.carryOut(ctx, &n)
	default:
		return nothing, nil
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// The node is gone, or has changed: its event brings a new plan.
		c.Wake()
	}
	if apierrors.IsNotFound(err) {
		return done, nil
	}
	return done, err
}

// newest is what the newest plan says about a node, or the zero NodePlan if it says
// nothing, and whether that plan was made without knowing about the last write to
// the node.
func (c *Controller) newest(node types.UID) (n plan.NodePlan, stale bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, planned := c.plans[node]
	return n, planned && c.planned <= c.after[node]
}

// occupy is true if no other task cordons or releases the node now: if a cordon took
// effect after the release, nothing on the node would explain it.
func (c *Controller) occupy(node types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.occupied[node] {
		return false
	}
	c.occupied[node] = true
	return true
}

// leave ends what occupy began, and requests a plan, because other tasks may be
// waiting.
func (c *Controller) leave(node types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.occupied, node)
	c.Wake()
}

func (c *Controller) report(ctx context.Context, n *plan.NodePlan) error {
	report, only := n.Report(), ""
	if n.Guarded {
		only = n.Node.ResourceVersion
	}
	version, conflict, err := c.writer.report(ctx, n.Node, report, only, time.Now())
	return c.wroteReport(n.Node, &report, version, conflict, err)
}

// carryOut carries out everything for a node except its report and release.
func (c *Controller) carryOut(ctx context.Context, n *plan.NodePlan) error {
	if n.Taint || n.Untaint {
		version, err := c.writer.taint(ctx, n.Node, n.Taint)
		if err := c.wrote(n.Node, version, err); err != nil {
			return err
		}
	}
	switch {
	case n.Cordon:
		version, err := c.writer.cordon(ctx, n.Node)
		return c.wrote(n.Node, version, err)
	case n.Uncordon:
		version, err := c.writer.uncordon(ctx, n.Node)
		return c.wrote(n.Node, version, err)
	case n.Confirm:
		return c.confirm(ctx, n)
	case n.Read:
		return c.read(ctx, n.Node, n.Memory.Written.Version)
	default:
		return nil
	}
}

// wrote records a write to a node: with its facts, the write is not repeated
// while the cache does not show it, and plans that were made without them are
// not carried out.
func (c *Controller) wrote(n *plan.Node, version string, err error) error {
	return c.wroteReport(n, nil, version, "", err)
}

// wroteReport is wrote for a status. Others own the conditions that the
// conflict names.
func (c *Controller) wroteReport(n *plan.Node, report *plan.Report, version, conflict string, err error, facts ...plan.Fact) error {
	if err != nil || version == "" {
		return err
	}
	if plan.OlderVersion(version, n.ResourceVersion) {
		return c.fail(fmt.Errorf("writing to node %s: %w", n.Name, errRestored))
	}
	written := plan.NodeWritten{Node: n.UID, Version: version, Report: report, Conflict: conflict, At: time.Now()}
	c.learnedOf(n.UID, append([]plan.Fact{written}, facts...)...)
	return nil
}

// learnedOf passes facts about a node to the next plan. Plans of the node that
// were made without them are no longer carried out.
func (c *Controller) learnedOf(node types.UID, facts ...plan.Fact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts = append(c.facts, facts...)
	c.after[node] = c.steps
	c.Wake()
}

// release removes everything of ours from a node, the status last: at whatever
// point the process dies, the node still shows what has to be removed.
func (c *Controller) release(ctx context.Context, n *plan.Node) error {
	if n.QueuedTaint {
		version, err := c.writer.taint(ctx, n, false)
		if err := c.wrote(n, version, err); err != nil {
			return err
		}
	}
	if n.OwnCordon {
		version, err := c.writer.uncordon(ctx, n)
		if err := c.wrote(n, version, err); err != nil {
			return err
		}
	}
	version, err := c.writer.clear(ctx, n)
	return c.wrote(n, version, err)
}

// confirm asks the API server itself once more, and reports Drained if no
// target is there and the Node has not changed since the plan.
func (c *Controller) confirm(ctx context.Context, n *plan.NodePlan) error {
	list, err := c.readPods(ctx, c.Nodes, n.Node.Name, "")
	if err != nil {
		return err
	}
	now, pods := time.Now(), c.podsOf(list)
	unconfirmed, drained := c.Config.IsDrained(n.Node, pods, c.around(n.Node), now)
	if !drained {
		c.learned(plan.NodeNotDrained{Node: n.Node.UID, At: now})
		return nil
	}
	if !c.Config.VolumesSettled(n.Node, &n.Memory.Volumes, now) {
		c.learnedOf(n.Node.UID, plan.NodeEmpty{Node: n.Node.UID, Request: n.Request.ID, Staying: c.claimsOf(list, pods, n.Node), At: now})
		return nil
	}
	report := n.Report().Done(now, unconfirmed)
	version, conflict, err := c.writer.report(ctx, n.Node, report, n.Node.ResourceVersion, now)
	return c.wroteReport(n.Node, &report, version, conflict, err, plan.NodeDrained{Node: n.Node.UID, Request: n.Request.ID, At: now})
}

// around is what decides about the pods of a node in addition to the pods
// themselves.
func (c *Controller) around(n *plan.Node) plan.Surroundings {
	return plan.Surroundings{
		Pool: n.Pool, DaemonSets: c.View.DaemonSets(), Budgets: c.Ledger.View(), NamespaceLabels: c.View.NamespaceLabels(),
		Scales: c.knownScales(),
	}
}

func (c *Controller) knownScales() map[types.UID]plan.ScaleMemory {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scales
}

// podsOn lists the pods of a node from the API server itself, not from a cache.
func (c *Controller) podsOn(ctx context.Context, node string) ([]*plan.Pod, error) {
	return c.listPods(ctx, c.Nodes, node, "")
}

// listPods lists the pods of a node as they were at the version or later.
func (c *Controller) listPods(ctx context.Context, client kubernetes.Interface, node, version string) ([]*plan.Pod, error) {
	list, err := c.readPods(ctx, client, node, version)
	if err != nil {
		return nil, err
	}
	return c.podsOf(list), nil
}

func (c *Controller) readPods(ctx context.Context, client kubernetes.Interface, node, version string) (*corev1.PodList, error) {
	list, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		ResourceVersion: version,
		FieldSelector:   fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	return list, nil
}

func (c *Controller) podsOf(list *corev1.PodList) []*plan.Pod {
	pods := make([]*plan.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = c.Config.Rules.PodOf(&list.Items[i])
	}
	return pods
}

// read reads a node if the cache does not show our write of the version. If the
// API server does not know the version either, its storage was restored.
func (c *Controller) read(ctx context.Context, n *plan.Node, version string) error {
	node, err := c.Nodes.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading node %s: %w", n.Name, err)
	}
	if node.UID == n.UID && plan.OlderVersion(node.ResourceVersion, version) {
		return c.fail(fmt.Errorf("reading node %s: %w", n.Name, errRestored))
	}
	c.learned(plan.NodeRead{Node: n.UID, Version: node.ResourceVersion, At: time.Now()})
	return nil
}

// fail ends the term.
func (c *Controller) fail(err error) error {
	if c.Fail != nil {
		c.Fail(err)
	}
	return err
}
