package drain

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// lookUp looks up the outcome of an eviction.
func (c *Controller) lookUp(ctx context.Context, t task) error {
	pod, err := c.Client.CoreV1().Pods(t.object.Namespace).Get(ctx, t.object.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("looking up pod %s: %w", t.object, err)
	}
	gone := err != nil || pod.UID != t.pod
	c.learned(plan.LookedUp{Pod: t.pod, Gone: gone, Terminating: !gone && pod.DeletionTimestamp != nil, At: time.Now()})
	return nil
}

// readBudget reads a budget for which no event has arrived.
func (c *Controller) readBudget(ctx context.Context, key types.NamespacedName) error {
	asked, held := time.Now(), c.Ledger.Held(key)
	pdb, err := c.Client.PolicyV1().PodDisruptionBudgets(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		c.Ledger.Forget(key)
	case err != nil:
		return fmt.Errorf("reading budget %s: %w", key, err)
	default:
		b, err := plan.BudgetOf(pdb)
		if err != nil {
			// The API server also treats it as matching nothing.
			c.Ledger.Forget(key)
			break
		}
		// Compared with what was known before the request: an event may
		// overtake the answer.
		if held != nil && held.UID == b.UID && plan.OlderVersion(b.ResourceVersion, held.ResourceVersion) {
			return c.fail(fmt.Errorf("reading budget %s: %w", key, errRestored))
		}
		c.Ledger.Observe(b)
		c.Ledger.Confirm(key, asked.Add(-plan.UnconfirmedFor))
	}
	c.Wake()
	return nil
}

// findReplica asks the API server itself for a replica that can take over, and
// hands over to it.
func (c *Controller) findReplica(ctx context.Context, t task) error {
	list, err := c.Client.CoreV1().Pods(t.object.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		err = fmt.Errorf("looking for another replica of drainer in namespace %s: %w", t.object.Namespace, err)
		c.learned(plan.ReplicasListed{Problem: err.Error()})
		return err
	}
	// A replica on a node with a request would also have to hand over soon.
	leaving := map[string]bool{}
	for _, n := range c.View.Nodes() {
		_, asked, _ := api.RequestOf(n.Annotations)
		leaving[n.Name] = asked && n.Served
	}
	var own *plan.Pod
	pods := make([]*plan.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = plan.PodOf(&list.Items[i])
		if pods[i].UID == t.pod {
			own = pods[i]
		}
	}
	// The task may come late: the request may have been removed.
	if own == nil || !leaving[own.Node] {
		return nil
	}
	name := plan.ReplicaOf(pods, own, leaving)
	c.learned(plan.ReplicasListed{Name: name, At: time.Now()})
	if name != "" {
		klog.FromContext(ctx).Info("Handing over: drainer's own pod leaves its node next", "node", own.Node, "pod", klog.KRef(own.Namespace, own.Name), "to", name)
		c.HandOver()
	}
	return nil
}
