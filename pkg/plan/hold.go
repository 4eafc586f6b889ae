package plan

import (
	"cmp"
	"fmt"

	"drainer.dev/drainer/pkg/api"
)

// heldFor is the request that was removed from a node that stays cordoned because others
// hold it: the last one that this process, or the previous one, knew.
func (m NodeMemory) heldFor(node *Node) string {
	said, _ := api.ParseStatus(node.Annotations[api.StatusAnnotation])
	return cmp.Or(m.Request, m.Held, said.Request)
}

// letGo decides about a node that has no request and something of ours: it is
// released, unless it is cordoned and others hold it.
func (p *planner) letGo(node *Node) NodePlan {
	memory := p.Memory.Nodes[node.UID]
	if holds := api.HoldsOf(node.Annotations); len(holds) > 0 && node.OwnCordon {
		return p.keepHeld(node, memory, holds)
	}
	stale := OlderVersion(node.ResourceVersion, memory.Written.Version)
	return NodePlan{Node: node, Release: !stale, Read: stale && p.unseen(&memory.Written), Memory: memory}
}

// keepHeld lets a node that is held say so. Nothing of its drain is kept: the
// same request, if it comes again, begins from its start.
func (p *planner) keepHeld(node *Node, memory NodeMemory, holds []api.Hold) NodePlan {
	id := memory.heldFor(node)
	n := &nodeWork{
		node: node, request: api.Request{ID: id},
		detail: "the drain request was removed; the node stays cordoned: " + heldText(holds),
	}
	n.memory = NodeMemory{Held: id, Node: node, Written: memory.Written, Phase: memory.Phase, Counted: true}
	plan := NodePlan{Node: node, Request: n.request, Phase: api.Held, Memory: n.memory}
	plan.Facts = p.facts(n, plan.Phase)
	plan.words = p.wordsOf(n)
	if OlderVersion(node.ResourceVersion, n.memory.Written.Version) {
		plan.Read = p.unseen(&n.memory.Written)
		return plan
	}
	plan.Write = p.writes(n, &plan)
	return plan
}

// heldText says who holds a node, and why.
func heldText(holds []api.Hold) string {
	text := "held by "
	for i, hold := range holds {
		if i == mostGroups {
			return text + fmt.Sprintf(" and %d more", len(holds)-mostGroups)
		}
		if i > 0 {
			text += ", "
		}
		text += hold.Owner
		if hold.Why != "" {
			text += " (" + hold.Why + ")"
		}
	}
	return text
}

// claimsOf says who asks for a drain and why; empty if nobody says so.
func claimsOf(r api.Request) string {
	switch {
	case r.RequestedBy != "" && r.Reason != "":
		return "requested by " + r.RequestedBy + "; reason: " + r.Reason
	case r.RequestedBy != "":
		return "requested by " + r.RequestedBy
	case r.Reason != "":
		return "reason: " + r.Reason
	default:
		return ""
	}
}
