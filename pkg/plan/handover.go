package plan

import (
	"fmt"
	"time"
)

// known is true for an answer that is not out of date.
func (m ReplicaMemory) known(now time.Time) bool {
	return !m.AnsweredAt.IsZero() && now.Sub(m.AnsweredAt) < 3*lookupInterval
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
			unknown := last + ", and it is not known yet whether another replica can take over"
			if replica.Problem != "" {
				unknown += ": " + cut(replica.Problem, mostWords)
			}
			return Order, unknown
		}
		if replica.Name != "" {
			return Order, fmt.Sprintf("%s, and %s takes over first", last, replica.Name)
		}
	}
	if p.schedulable == 0 {
		return Order, last + ": no other replica takes over, and no node accepts a new pod"
	}
	return "", ""
}

// askForReplica requests a search for another replica from time to time.
func (p *planner) askForReplica(own *Pod) {
	again := p.Memory.Replica.AskedAt.Add(lookupInterval)
	if p.Now.Before(again) {
		p.wakeAt(again)
		return
	}
	p.handOver = own
}

// ReplicaOf is the key of a pod that can take over from our own pod: of the
// same controller, Ready, and on another node that is not leaving. Empty if
// there is none.
func ReplicaOf(pods []*Pod, own *Pod, leaving map[string]bool) string {
	for _, pod := range pods {
		if own.Controller.UID != "" && pod.Controller.UID == own.Controller.UID && pod.Node != own.Node && !leaving[pod.Node] &&
			pod.Ready && pod.Deadline.IsZero() {
			return pod.Key()
		}
	}
	return ""
}
