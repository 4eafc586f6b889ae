package plan

import (
	"fmt"
	"slices"
	"strings"
)

// nowhere describes pods that no schedulable node admits, or only their own: their
// replacements stay Pending, and their budget does not recover. It names the nodes that
// would admit them.
type nowhere struct {
	draining, cordoned, unhealthy []string
	// sole is the only schedulable node that admits them; empty if there is none.
	sole string
	// queued are the other nodes that admit them, if all of them wait to be drained.
	queued []string
}

// nowhereFor is nil if a schedulable node besides the other one admits the pod, or if that
// is not known. The name is empty to consider all nodes.
func (p *planner) nowhereFor(s *PodState, other string) *nowhere {
	if s.Pod.Placement == "" {
		return nil
	}
	known, ok := p.nowhere[s.Pod.Placement]
	if !ok {
		known = findNowhere(p.Nodes, s.Pod.Placement)
		if p.nowhere == nil {
			p.nowhere = map[string]*nowhere{}
		}
		p.nowhere[s.Pod.Placement] = known
	}
	if known == nil || known.sole != "" && known.sole != other {
		return nil
	}
	return known
}

// findNowhere is nil if several of the nodes take pods of the placement.
func findNowhere(nodes []*Node, text string) *nowhere {
	p, ok := parsePlacement(text)
	if !ok {
		return nil
	}
	found := &nowhere{}
	for _, n := range nodes {
		switch p.standingOf(n) {
		case nodeTakes:
			if found.sole != "" {
				return nil
			}
			found.sole = n.Name
		case nodeDrains:
			found.draining = append(found.draining, n.Name)
		case nodeCordoned:
			found.cordoned = append(found.cordoned, n.Name)
		case nodeUnhealthy:
			found.unhealthy = append(found.unhealthy, n.Name)
		}
	}
	for _, names := range [][]string{found.draining, found.cordoned, found.unhealthy} {
		slices.Sort(names)
	}
	return found
}

// What follows what is said about the pod's budget.
const (
	admitsText  = "schedulable node admits the pod (by node selector, required affinity and taints; requests and volumes are not checked)"
	nowhereText = ", and no " + admitsText
)

// nowhereText is what is said of the pod besides its budget.
func (s *PodState) nowhereText() string {
	switch {
	case s.nowhere == nil:
		return ""
	case s.stranded == 0:
		return nowhereText
	default:
		return fmt.Sprintf(", which can spare at most %d and has %d here, and no other %s", s.budgets[0].spare(), s.stranded, admitsText)
	}
}

// fix says what to do, and names the nodes.
func (w *nowhere) fix() string {
	var ways []string
	for _, way := range []struct {
		names     []string
		one, many string
	}{
		{w.draining, "release %s, which has a drain request", "%s have drain requests: release one"},
		{w.cordoned, "uncordon %s", "uncordon %s"},
		{w.unhealthy, "make %s Ready", "make %s Ready"},
	} {
		if len(way.names) == 0 {
			continue
		}
		format := way.many
		if len(way.names) == 1 {
			format = way.one
		}
		ways = append(ways, fmt.Sprintf(format, namesText(way.names)))
	}
	return strings.Join(append(ways, "add a node that admits the pod"), ", or ")
}

// mostNamed is how many nodes are named.
const mostNamed = 2

func namesText(names []string) string {
	switch {
	case len(names) <= 1:
		return strings.Join(names, "")
	case len(names) <= mostNamed:
		return strings.Join(names, " and ")
	default:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), len(names)-mostNamed)
	}
}
