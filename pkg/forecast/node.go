package forecast

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// reconcile carries out the newest plan for a node, if that plan knows about
// the last write to the node.
func (d *daemon) reconcile(t task) {
	n := d.plans[t.node]
	end := func(err error) { d.ended(t, done, err) }
	switch {
	case n != nil && d.planned <= d.after[t.node]:
		d.ended(t, later, nil)
	case n != nil && t.kind == reportTask && n.Write:
		r, only := n.Report(), ""
		if n.Guarded {
			only = n.Node.ResourceVersion
		}
		d.report(n.Node, r, only, nil, end)
	case n != nil && t.kind == releaseTask && n.Release:
		d.release(n.Node, end)
	case n != nil && t.kind == nodeTask && n.Acts():
		d.actAt(n, end)
	default:
		d.ended(t, nothing, nil)
	}
}

// actAt carries out everything for a node except its report and release.
func (d *daemon) actAt(n *plan.NodePlan, end func(error)) {
	act := func() {
		switch {
		case n.Cordon:
			d.write(Cordon, n.Node, nil, func(node *corev1.Node) error { applyCordon(node); return nil }, end)
		case n.Uncordon:
			d.write(Uncordon, n.Node, nil, func(node *corev1.Node) error { removeCordon(node); return nil }, end)
		case n.Confirm:
			d.confirm(n, end)
		case n.Read:
			d.read(n.Node, end)
		default:
			end(nil)
		}
	}
	if n.Taint || n.Untaint {
		d.taint(n.Node, n.Taint, follow(act, end))
		return
	}
	act()
}

// follow continues with next unless the previous step failed.
func follow(next func(), end func(error)) func(error) {
	return func(err error) {
		if err != nil {
			end(err)
			return
		}
		next()
	}
}

// release removes everything of ours from a node, the status last.
func (d *daemon) release(n *plan.Node, end func(error)) {
	clearStatus := func() {
		d.write(Clear, n, nil, func(node *corev1.Node) error { removeReport(node); return nil }, end)
	}
	uncordon := func() {
		if !n.OwnCordon {
			clearStatus()
			return
		}
		d.write(Uncordon, n, nil, func(node *corev1.Node) error { removeCordon(node); return nil }, follow(clearStatus, end))
	}
	if n.QueuedTaint {
		d.taint(n, false, follow(uncordon, end))
		return
	}
	uncordon()
}

func (d *daemon) taint(n *plan.Node, wanted bool, end func(error)) {
	verb := Untaint
	if wanted {
		verb = Taint
	}
	d.write(verb, n, nil, func(node *corev1.Node) error { setQueuedTaint(node, wanted); return nil }, end)
}

// report writes a report. A version other than "" makes it fail with a conflict
// if the node has changed since. The facts are learned with the write.
func (d *daemon) report(n *plan.Node, r plan.Report, version string, facts []plan.Fact, end func(error)) {
	sent := d.loop.Now()
	d.writeWith(Report, n, &r, facts, func(node *corev1.Node) error {
		if version != "" && node.ResourceVersion != version {
			return apierrors.NewConflict(nodes, node.Name, fmt.Errorf("the object has been modified"))
		}
		applyReport(node, &r, n, sent)
		return nil
	}, end)
}

var nodes = corev1.Resource("nodes")

func (d *daemon) write(verb Verb, n *plan.Node, r *plan.Report, change func(*corev1.Node) error, end func(error)) {
	d.writeWith(verb, n, r, nil, change, end)
}

// writeWith changes a node. With the facts that follow, the write is not
// repeated while the watch does not show it, and plans that were made without
// them are not carried out.
func (d *daemon) writeWith(verb Verb, n *plan.Node, r *plan.Report, facts []plan.Fact, change func(*corev1.Node) error, end func(error)) {
	version := ""
	request := Request{Verb: verb, Object: types.NamespacedName{Name: n.Name}, UID: n.UID}
	d.send(request, plan.TaskTimeout, atOnce(func() (err error) {
		version, err = d.loop.change(n, change)
		return err
	}), func(err error) {
		if err == nil && version != "" {
			d.facts = append(d.facts, plan.NodeWritten{Node: n.UID, Version: version, Report: r, At: d.loop.Now()})
			d.facts = append(d.facts, facts...)
			d.after[n.UID] = d.planned
			d.wake()
		}
		end(err)
	})
}

// change is the API server's side of a write to a node. It returns the node's
// version after it.
func (l *Loop) change(n *plan.Node, change func(*corev1.Node) error) (string, error) {
	live := l.cluster.Node(n.Name)
	switch {
	case live == nil:
		return "", apierrors.NewNotFound(nodes, n.Name)
	case live.UID != n.UID:
		return "", apierrors.NewConflict(nodes, n.Name, fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s)", n.UID, live.UID))
	}
	node := live.DeepCopy()
	if err := change(node); err != nil {
		return "", err
	}
	if !sameNode(live, node) {
		l.cluster.Put(sim.Nodes, node)
	}
	return node.ResourceVersion, nil
}

// confirm lists the node's pods once more, and reports Drained if no target is
// there and the node has not changed since the plan.
func (d *daemon) confirm(n *plan.NodePlan, end func(error)) {
	var there []sim.Object
	request := Request{Verb: ListPods, Object: types.NamespacedName{Name: n.Node.Name}, UID: n.Node.UID}
	d.send(request, plan.TaskTimeout, atOnce(func() error {
		there = d.loop.cluster.PodsOn(n.Node.Name)
		return nil
	}), follow(func() {
		now := d.loop.Now()
		config := &d.loop.options.Config
		around := plan.Surroundings{
			Pool: n.Node.Pool, DaemonSets: d.view.daemonSets, Budgets: d.ledger.View(), NamespaceLabels: d.view.namespaces,
			Scales: d.memory.Scales,
		}
		pods := make([]*plan.Pod, len(there))
		for i, o := range there {
			pods[i] = config.Rules.PodOf(o.(*corev1.Pod))
		}
		unconfirmed, empty := config.IsDrained(n.Node, pods, around, now)
		if !empty {
			d.learned(plan.NodeNotDrained{Node: n.Node.UID, At: now})
			end(nil)
			return
		}
		drained := plan.NodeDrained{Node: n.Node.UID, Request: n.Request.ID, At: now}
		d.report(n.Node, n.Report().Done(now, unconfirmed), n.Node.ResourceVersion, []plan.Fact{drained}, end)
	}, end))
}

// read reads a node whose watch does not show the last write of the daemon.
func (d *daemon) read(n *plan.Node, end func(error)) {
	version := ""
	request := Request{Verb: GetNode, Object: types.NamespacedName{Name: n.Name}, UID: n.UID}
	d.send(request, plan.TaskTimeout, atOnce(func() error {
		live := d.loop.cluster.Node(n.Name)
		if live == nil {
			return apierrors.NewNotFound(nodes, n.Name)
		}
		version = live.ResourceVersion
		return nil
	}), follow(func() {
		d.learned(plan.NodeRead{Node: n.UID, Version: version, At: d.loop.Now()})
		end(nil)
	}, end))
}
