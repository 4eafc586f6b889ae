package forecast

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// lookUp looks up the outcome of an eviction.
func (d *daemon) lookUp(t task) {
	var pod *corev1.Pod
	d.send(Request{Verb: GetPod, Object: t.object, UID: t.pod}, plan.TaskTimeout, atOnce(func() error {
		pod = d.loop.cluster.Pod(t.object)
		return nil
	}), func(err error) {
		if err == nil {
			gone := pod == nil || pod.UID != t.pod
			d.learned(plan.LookedUp{Pod: t.pod, Gone: gone, Terminating: !gone && pod.DeletionTimestamp != nil, At: d.loop.Now()})
		}
		d.ended(t, done, err)
	})
}

// readBudget reads a budget for which no event has arrived.
func (d *daemon) readBudget(t task) {
	var budget *policyv1.PodDisruptionBudget
	asked := d.loop.Now()
	d.send(Request{Verb: GetBudget, Object: t.object}, plan.TaskTimeout, atOnce(func() error {
		budget = d.loop.cluster.Budget(t.object)
		return nil
	}), func(err error) {
		if err == nil {
			d.budgetRead(t, budget, asked)
		}
		d.ended(t, done, err)
	})
}

func (d *daemon) budgetRead(t task, budget *policyv1.PodDisruptionBudget, asked time.Time) {
	defer d.wake()
	if budget == nil {
		d.ledger.Forget(t.object)
		return
	}
	b, err := plan.BudgetOf(budget)
	if err != nil {
		// The API server also treats it as matching nothing.
		d.ledger.Forget(t.object)
		return
	}
	d.ledger.Observe(b)
	d.ledger.Confirm(t.object, asked.Add(-plan.UnconfirmedFor))
}

// readScale reads how many replicas a controller of pods has.
func (d *daemon) readScale(t task) {
	c := t.scale.Controller
	scale := plan.Scale{Problem: "it is gone"}
	d.send(Request{Verb: GetScale, Object: types.NamespacedName{Namespace: t.scale.Namespace, Name: c.Name}, UID: c.UID}, plan.TaskTimeout, atOnce(func() error {
		if replicas, known := d.loop.cluster.Replicas(c.UID); known {
			scale = plan.Scale{Replicas: int32(replicas)}
		}
		return nil
	}), func(err error) {
		if err == nil {
			d.learned(plan.ScaleAnswered{Controller: c.UID, Scale: scale})
		}
		d.ended(t, done, err)
	})
}

// listSiblings lists the pods of a controller.
func (d *daemon) listSiblings(t task) {
	read := t.siblings
	listed := plan.SiblingsListed{Controller: read.Controller, Began: d.loop.Now()}
	d.send(Request{Verb: ListSiblings, Object: types.NamespacedName{Namespace: read.Namespace}, UID: read.Controller}, plan.TaskTimeout, atOnce(func() error {
		selector, err := labels.Parse(read.Selector)
		if err != nil {
			return err
		}
		for _, o := range d.loop.cluster.List(sim.Pods) {
			pod := o.(*corev1.Pod)
			if pod.Namespace != read.Namespace || !selector.Matches(labels.Set(pod.Labels)) {
				continue
			}
			if s, is := plan.SiblingOf(pod, read.Controller); is {
				listed.Siblings = append(listed.Siblings, s)
			}
		}
		return nil
	}), func(err error) {
		if err == nil {
			d.learned(listed)
		}
		d.ended(t, done, err)
	})
}
