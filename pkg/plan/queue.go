package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// Queueing is what a queued node waits for.
type Queueing string

// What nodes wait for.
const (
	// QueuedForTime: its drainer.dev/not-before has not come.
	QueuedForTime Queueing = "not_before"
	// QueuedForRemoval: the node is being removed from the cluster.
	QueuedForRemoval Queueing = "removal"
	// QueuedForWindow: none of its windows is open.
	QueuedForWindow Queueing = "window"
	// QueuedForFreeze: nothing is started at the time.
	QueuedForFreeze Queueing = "freeze"
	// QueuedForSlot: --max-draining nodes are being drained.
	QueuedForSlot Queueing = "slot"
	// QueuedForGroup: the allowed number of nodes of its group, or of groups, is being
	// drained already.
	QueuedForGroup Queueing = "group"
	// QueuedForAvailability: --max-unavailable nodes are unavailable.
	QueuedForAvailability Queueing = "unavailable"
	// QueuedForPods: more pods than allowed are unschedulable.
	QueuedForPods Queueing = "pending_pods"
	// QueuedAsLast: it is the last schedulable Ready node.
	QueuedAsLast Queueing = "last_node"
)

// Queueings are all of them.
func Queueings() []Queueing {
	return []Queueing{
		QueuedForTime, QueuedForWindow, QueuedForFreeze, QueuedForRemoval, QueuedForSlot, QueuedForGroup, QueuedForAvailability,
		QueuedForPods, QueuedAsLast,
	}
}

// gather finds the nodes that concern drainer.
func (p *planner) gather() {
	p.limits = newLimits(&p.Config)
	for _, node := range p.Nodes {
		if !node.Served {
			continue
		}
		request, asked, err := api.RequestOf(node.Annotations)
		if !asked {
			p.gatherUnasked(node)
			continue
		}
		if err == nil {
			err = p.disallowed(request)
		}
		memory, known := p.Memory.Nodes[node.UID]
		n := &nodeWork{node: node, request: request, invalid: err, memory: nodeMemoryOf(node, request.ID, memory, known, p.Now)}
		p.nodes = append(p.nodes, n)
		n.memory.Node = node
		n.followDryRun()
		p.halt(n)
		n.memory = n.memory.paused(n.halts(), p.Now)
		n.timedOut = p.overdue(n)
		if n.timedOut && p.onTimeout(n) == api.Release && !n.halts() && !n.memory.released() {
			n.memory.ReleasedAt = p.Now
		}
		n.yields = p.yields(n)
		p.limits.add(node, p.absence(node, n), n.holdsSlot(p.onTimeout(n)))
		if !n.memory.working() && schedulable(node) {
			p.schedulable++
		}
	}
	slices.SortFunc(p.nodes, func(a, b *nodeWork) int {
		return cmp.Or(a.memory.RequestedAt.Compare(b.memory.RequestedAt), cmp.Compare(a.node.Name, b.node.Name))
	})
}

// gatherUnasked takes in a node without a request.
func (p *planner) gatherUnasked(node *Node) {
	if node.OwnCordon || node.OwnStatus || node.QueuedTaint {
		p.released = append(p.released, node)
	}
	p.limits.add(node, p.absence(node, nil), false)
	if schedulable(node) {
		p.schedulable++
	}
}

// schedulable is true for a node that takes any new pod.
func schedulable(n *Node) bool { return n.Ready && !n.Unschedulable && !n.Repelling }

// onTimeout is what happens when the drain takes too long. A node that disappears is
// not released before, and its pods are not left to be lost with it.
func (p *planner) onTimeout(n *nodeWork) api.OnTimeout {
	action := cmp.Or(n.request.OnTimeout, p.Config.pool(n.node.Pool).OnTimeout, p.Config.OnTimeout)
	if n.urgent() && (action == api.Stop || action == api.Release) {
		return api.Wait
	}
	return action
}

// timeout is how long the drain may take; 0 for as long as it needs.
func (p *planner) timeout(n *nodeWork) time.Duration {
	for _, set := range []*time.Duration{n.request.Timeout, p.Config.pool(n.node.Pool).Timeout} {
		if set != nil {
			return *set
		}
	}
	return p.Config.Timeout
}

// overdue is true once the drain has taken longer than it may, and stays true if the
// node was released for that. The time does not count for a drained node, nor for one
// that says that it is drained: the answer to that write may have been lost.
func (p *planner) overdue(n *nodeWork) bool {
	if n.memory.released() {
		return true
	}
	timeout := p.timeout(n)
	if timeout == 0 || !n.memory.started() || !n.memory.FinishedAt.IsZero() || n.node.saysDrained(n.request.ID) {
		return false
	}
	left := timeout - n.memory.active(p.Now)
	if n.memory.PausedAt.IsZero() {
		p.wakeAt(p.Now.Add(left))
	}
	return left <= 0
}

// holdsSlot is true for a node that counts against --max-draining. A request that
// became invalid no longer says whether the drain gave up: the last known state stays.
func (n *nodeWork) holdsSlot(onTimeout api.OnTimeout) bool {
	if n.invalid != nil {
		return n.memory.HeldSlot
	}
	return n.memory.started() && n.memory.FinishedAt.IsZero() && !n.stopped(onTimeout) && !n.yields
}

// yields is true for a drain that has made no progress for so long that another
// one may have its slot. It continues beside that one when it can.
func (p *planner) yields(n *nodeWork) bool {
	since := n.memory.noProgressSince()
	if p.Config.YieldAfter == 0 || since.IsZero() {
		return false
	}
	at := since.Add(p.Config.YieldAfter)
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// stopped is true for a drain that has given up.
func (n *nodeWork) stopped(onTimeout api.OnTimeout) bool {
	return n.memory.released() || n.timedOut && onTimeout == api.Stop
}

// start begins the requests that may begin, in the order of the queue.
func (p *planner) start() {
	for _, n := range p.queue() {
		switch {
		case n.memory.started() || n.invalid != nil || n.memory.DryRun != nil:
			continue
		case n.paused():
			n.detail = "paused before it began"
			continue
		case n.halted != "":
			n.detail = n.halted
			continue
		case p.Now.Before(n.notBefore()):
			n.queued = QueuedForTime
			n.detail = "not before " + clock(n.request.NotBefore)
			p.wakeAt(n.request.NotBefore)
			continue
		case n.node.Deleting:
			n.queued = QueuedForRemoval
			n.detail = "does not start: the Node is being deleted"
			continue
		case n.node.RemovalTaint != "":
			n.queued = QueuedForRemoval
			n.detail = "does not start: an autoscaler is removing the node (taint " + n.node.RemovalTaint + ")"
			continue
		case n.urgent():
			p.begin(n)
			continue
		}
		if n.queued, n.detail = p.closed(n); n.queued == "" {
			p.startOrWait(n)
		}
	}
}

// startOrWait begins a request, unless a limit over nodes is in its way.
func (p *planner) startOrWait(n *nodeWork) {
	n.queued, n.detail = p.limits.holdsBack(n.node, p.absence(n.node, n))
	slots, _ := p.limits.slots(n.node)
	switch most := p.Config.PendingPods; {
	case n.queued != "":
	case most != nil && p.Pending > *most:
		n.queued = QueuedForPods
		n.detail = fmt.Sprintf("waits for pods to be scheduled, place %d in the queue: %d pods are unschedulable, and drains begin while there are at most %d",
			p.limits.place(slots), p.Pending, *most)
	case p.wouldBeLast(n.node):
		n.queued = QueuedAsLast
		n.detail = fmt.Sprintf("place %d in the queue: it is the last schedulable Ready node, its pods would have nowhere to go",
			p.limits.place(slots))
	}
	if n.waits = n.queued != ""; !n.waits {
		p.begin(n)
	}
}

// begin begins a request. From now on its node counts against all limits.
func (p *planner) begin(n *nodeWork) {
	counts := p.absence(n.node, n)
	n.memory.StartedAt = p.Now
	p.limits.begin(n.node, counts)
	if schedulable(n.node) {
		p.schedulable--
	}
}

// queue is the order in which nodes begin: those that disappear, which wait for no
// others, and then by priority and age.
func (p *planner) queue() []*nodeWork {
	queue := slices.Clone(p.nodes)
	slices.SortStableFunc(queue, func(a, b *nodeWork) int {
		return cmp.Or(a.byDeadline(b), cmp.Compare(b.request.Priority, a.request.Priority))
	})
	return queue
}

func (p *planner) wouldBeLast(n *Node) bool {
	return schedulable(n) && p.schedulable <= 1 && !p.Config.AllowLastNode
}
