package drain

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
)

// ReplicaMemory is what is known of the other replicas while drainer's own pod
// is the last that has to leave its node.
type ReplicaMemory struct {
	// AskedAt is when they were last looked for, AnsweredAt when the answer
	// came that is known.
	AskedAt, AnsweredAt time.Time
	// Name is a pod that can take over; empty if there is none.
	Name string
}

// known is true for an answer that is not out of date.
func (m ReplicaMemory) known(now time.Time) bool {
	return !m.AnsweredAt.IsZero() && now.Sub(m.AnsweredAt) < 3*lookInterval
}

// ownPod is why drainer's own pod is not sent. It leaves last. If another
// replica can take over, that one evicts it: the lease is handed over first.
func (p *planner) ownPod(n *nodeWork, pod *Pod) (Reason, string) {
	const last = "drainer's own pod leaves last"
	replica := p.Memory.Replica
	switch {
	case n.others:
		return Order, last
	case p.Config.HandsOver && p.sends(n):
		p.askForReplica(pod)
		if !replica.known(p.Now) {
			return Order, last + ", and it is not known yet whether another replica can take over"
		}
		if replica.Name != "" {
			return Order, fmt.Sprintf("%s, and %s takes over first", last, replica.Name)
		}
	}
	if p.schedulable == 0 {
		return Order, last + ": no other replica takes over, and no node takes a new pod"
	}
	return "", ""
}

// askForReplica lets another replica be looked for, now and then.
func (p *planner) askForReplica(own *Pod) {
	again := p.Memory.Replica.AskedAt.Add(lookInterval)
	if p.Now.Before(again) {
		p.wakeAt(again)
		return
	}
	p.handOver = own
}

// findReplica looks, at the API server itself, for a replica that can take
// over, and hands over to it.
func (c *Controller) findReplica(ctx context.Context, e errand) error {
	list, err := c.Client.CoreV1().Pods(e.object.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("looking for another replica of drainer in namespace %s: %w", e.object.Namespace, err)
	}
	// Who is on a node with a request would soon have to hand over, too.
	leaving := map[string]bool{}
	for _, n := range c.View.Nodes() {
		_, asked, _ := api.RequestOf(n.Annotations)
		leaving[n.Name] = asked
	}
	var own *Pod
	pods := make([]*Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = c.PodOf(&list.Items[i])
		if pods[i].UID == e.pod {
			own = pods[i]
		}
	}
	// The errand may come late: the request may have been taken back.
	if own == nil || !leaving[own.Node] {
		return nil
	}
	name := replicaOf(pods, own, leaving)
	now := time.Now()
	c.found(func(m *Memory) { m.Replica.AnsweredAt, m.Replica.Name = now, name })
	if name != "" {
		klog.FromContext(ctx).Info("Handing over: drainer's own pod leaves its node next", "node", own.Node, "pod", klog.KRef(own.Namespace, own.Name), "to", name)
		c.HandOver()
	}
	return nil
}

// replicaOf is the key of a pod that can take over from the own one: of the
// same controller, Ready, and on another node that is not leaving. Empty if
// there is none.
func replicaOf(pods []*Pod, own *Pod, leaving map[string]bool) string {
	for _, pod := range pods {
		if own.Controller.UID != "" && pod.Controller.UID == own.Controller.UID && pod.Node != own.Node && !leaving[pod.Node] &&
			pod.Ready && pod.Deadline.IsZero() {
			return pod.Key()
		}
	}
	return ""
}
