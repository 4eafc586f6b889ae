package forecast

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// foresee lists the pods of a node that is queued, one list at a time, and keeps those
// that would keep its drain from finishing.
func (d *daemon) foresee(t task) {
	n := d.plans[t.node]
	switch {
	case d.foreseeing, n != nil && d.planned <= d.after[t.node]:
		d.ended(t, later, nil)
		return
	case n == nil || !n.Foresee:
		d.ended(t, nothing, nil)
		return
	}
	d.foreseeing = true
	var there []sim.Object
	request := Request{Verb: ForeseePods, Object: types.NamespacedName{Name: n.Node.Name}, UID: n.Node.UID}
	d.send(request, plan.TaskTimeout, atOnce(func() error {
		there = d.loop.cluster.PodsOn(n.Node.Name)
		return nil
	}), func(err error) {
		if d.foreseeing = false; err == nil {
			pods := make([]*plan.Pod, len(there))
			for i, o := range there {
				pods[i] = d.loop.options.Selectors.PodOf(o.(*corev1.Pod))
			}
			s := &plan.Snapshot{
				Config: d.loop.options.Config, Nodes: d.view.allNodes(), DaemonSets: d.view.daemonSets, Budgets: d.ledger.View(),
				NamespaceLabels: d.view.namespaces, Scales: d.memory.Scales,
			}
			d.learned(plan.NodeForeseen{Node: n.Node.UID, Request: n.Request.ID, Pods: plan.Foresee(s, n.Node, pods), At: d.loop.Now()})
		}
		d.ended(t, done, err)
	})
}
