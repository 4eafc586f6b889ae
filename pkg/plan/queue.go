package plan

import (
	"cmp"
	"fmt"
	"slices"

	"drainer.dev/drainer/pkg/api"
)

// Queueing is what a queued node waits for.
type Queueing string

// What nodes wait for.
const (
	// QueuedForTime: its drainer.dev/not-before has not come.
	QueuedForTime Queueing = "not_before"
	// QueuedForSlot: --max-draining nodes are being drained.
	QueuedForSlot Queueing = "slot"
	// QueuedAsLast: it is the last schedulable Ready node.
	QueuedAsLast Queueing = "last_node"
)

// Queueings are all of them.
func Queueings() []Queueing { return []Queueing{QueuedForTime, QueuedForSlot, QueuedAsLast} }

// gather finds the nodes that concern drainer.
func (p *planner) gather() {
	for _, node := range p.Nodes {
		if !node.Served {
			continue
		}
		p.served++
		request, asked, err := api.RequestOf(node.Annotations)
		if !asked {
			if node.OwnCordon || node.OwnStatus || node.QueuedTaint {
				p.released = append(p.released, node)
			}
			if schedulable(node) {
				p.schedulable++
			}
			continue
		}
		memory, known := p.Memory.Nodes[node.UID]
		n := &nodeWork{node: node, request: request, invalid: err, memory: nodeMemoryOf(node, request.ID, memory, known, p.Now)}
		p.nodes = append(p.nodes, n)
		n.memory.Node = node
		n.followDryRun()
		n.memory = n.memory.paused(n.invalid != nil || request.Paused, p.Now)
		n.timedOut = p.overdue(n)
		switch {
		case n.holdsSlot(p.onTimeout(n)):
			p.draining++
		case !n.memory.started() && schedulable(node):
			p.schedulable++
		}
	}
	slices.SortFunc(p.nodes, func(a, b *nodeWork) int {
		return cmp.Or(a.memory.RequestedAt.Compare(b.memory.RequestedAt), cmp.Compare(a.node.Name, b.node.Name))
	})
}

// schedulable is true for a node that takes any new pod.
func schedulable(n *Node) bool { return n.Ready && !n.Unschedulable && !n.Repelling }

func (p *planner) onTimeout(n *nodeWork) api.OnTimeout {
	return cmp.Or(n.request.OnTimeout, p.Config.OnTimeout)
}

// overdue is true once the drain took longer than it may. A drained node does
// not grow older.
func (p *planner) overdue(n *nodeWork) bool {
	timeout := p.Config.Timeout
	if n.request.Timeout != nil {
		timeout = *n.request.Timeout
	}
	if timeout == 0 || !n.memory.started() || !n.memory.FinishedAt.IsZero() {
		return false
	}
	left := timeout - n.memory.active(p.Now)
	if n.memory.PausedAt.IsZero() {
		p.wakeAt(p.Now.Add(left))
	}
	return left <= 0
}

// holdsSlot is true for a node that counts against --max-draining. A request that
// became invalid no longer says whether the drain gave up: what was, stays.
func (n *nodeWork) holdsSlot(onTimeout api.OnTimeout) bool {
	if n.invalid != nil {
		return n.memory.HeldSlot
	}
	return n.memory.started() && n.memory.FinishedAt.IsZero() && !n.stopped(onTimeout)
}

// stopped is true for a drain that has given up.
func (n *nodeWork) stopped(onTimeout api.OnTimeout) bool { return n.timedOut && onTimeout == api.Stop }

// start begins the requests that may begin, in the order of the queue.
func (p *planner) start() {
	limit := p.Config.MaxDraining.Of(p.served)
	place := 0
	for _, n := range p.nodes {
		switch {
		case n.memory.started() || n.invalid != nil || n.memory.DryRun != nil:
			continue
		case n.request.Paused:
			n.detail = "paused before it began"
			continue
		case p.Now.Before(n.request.NotBefore):
			n.queued = QueuedForTime
			n.detail = "not before " + clock(n.request.NotBefore)
			p.wakeAt(n.request.NotBefore)
			continue
		}
		switch {
		case p.draining >= limit:
			place++
			n.queued, n.waits = QueuedForSlot, true
			n.detail = fmt.Sprintf("waits for a slot, place %d in the queue: %d of at most %d nodes are being drained",
				place, p.draining, limit)
		case p.wouldBeLast(n.node):
			place++
			n.queued, n.waits = QueuedAsLast, true
			n.detail = fmt.Sprintf("place %d in the queue: it is the last schedulable Ready node, its pods would have nowhere to go",
				place)
		default:
			n.memory.StartedAt = p.Now
			p.draining++
			if schedulable(n.node) {
				p.schedulable--
			}
		}
	}
}

func (p *planner) wouldBeLast(n *Node) bool {
	return schedulable(n) && p.schedulable <= 1 && !p.Config.AllowLastNode
}
