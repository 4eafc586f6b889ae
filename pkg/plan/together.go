package plan

import (
	"fmt"
	"slices"

	"drainer.dev/drainer/pkg/api"
)

// together warns of pods of a queued node that could go only to other queued nodes:
// drained at the same time, these nodes wait for each other. Whether they are depends
// on which are released in between, so this is a warning and not an obstacle.
type together struct {
	first *PodState
	pods  int
}

// add counts a pod. The one that comes first by name is named.
func (w *together) add(s *PodState) {
	if w.pods++; w.first == nil || s.Pod.Key() < w.first.Pod.Key() {
		w.first = s
	}
}

func (w *together) text() string {
	if w.pods == 0 {
		return ""
	}
	pod := w.first.Pod.Key()
	if w.pods > 1 {
		pod += fmt.Sprintf(" (and %d more)", w.pods-1)
	}
	return fmt.Sprintf("this drain and others can wait for each other: besides this node, only nodes that also have drain requests (%s) admit %s under PDB %s; "+
		"to fix: cancel one of the requests until another node is released, or add a node that admits the pods",
		namesText(w.first.nowhere.queued), pod, w.first.budgets[0].Key())
}

// warnTogether notes a pod of a queued node that could go only to other queued nodes,
// once that has lasted: requests come and go.
func (p *planner) warnTogether(n *nodeWork, s *PodState) {
	at := s.Since.Add(p.Config.StuckAfter)
	p.wakeAt(at)
	if p.Now.Before(at) || p.willDelete(n, s) && p.protects(s) == "" {
		return
	}
	n.together.add(s)
}

// queuedFor is nil unless all schedulable nodes that admit the pod wait to be drained,
// and one of them is not its own.
func (p *planner) queuedFor(s *PodState, own string) *nowhere {
	if s.Pod.Placement == "" {
		return nil
	}
	names, found := p.queuedOnly[s.Pod.Placement]
	if !found {
		names = p.findQueued(s.Pod.Placement)
		if p.queuedOnly == nil {
			p.queuedOnly = map[string][]string{}
		}
		p.queuedOnly[s.Pod.Placement] = names
	}
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == own })
	if len(others) == 0 {
		return nil
	}
	return &nowhere{queued: others}
}

// findQueued names the nodes that take pods of the placement; none if one of them does
// not wait to be drained.
func (p *planner) findQueued(text string) []string {
	place, ok := parsePlacement(text)
	if !ok {
		return nil
	}
	var names []string
	for _, n := range p.Nodes {
		if place.standingOf(n) != nodeTakes {
			continue
		}
		if !p.waits(n) {
			return nil
		}
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

// waits is true for a node whose drain has been requested and has not begun. Without
// the memory, the Node's own annotations decide.
func (p *planner) waits(node *Node) bool {
	if p.waiting == nil {
		p.waiting = make(map[*Node]bool, len(p.nodes))
		for _, n := range p.nodes {
			p.waiting[n.node] = !n.memory.started() && n.invalid == nil && n.memory.DryRun == nil
		}
	}
	if waits, known := p.waiting[node]; known {
		return waits
	}
	request, asked, err := api.RequestOf(node.Annotations)
	return node.Served && asked && err == nil && !request.DryRun
}
