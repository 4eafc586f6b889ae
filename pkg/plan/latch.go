package plan

import (
	"fmt"
	"slices"

	"drainer.dev/drainer/pkg/api"
)

// text says to people why a rule is latched.
func (s *MarkState) text() string {
	why := "too many nodes were marked before"
	if s.over {
		why = fmt.Sprintf("%d nodes are marked or hold its request", s.counted)
	}
	return fmt.Sprintf("rule %s requests no more drains: %s, at most %d may; to fix: correct what marks the nodes or raise maxNodes, then resume the rule with kubectl annotate nodes --all %s-",
		s.Rule, why, s.MaxNodes, api.LatchedAnnotation)
}

// latch lets nodes say that a rule is latched: enough of them that it stays latched, for the
// next process, too, until somebody resumes it or all of them are gone.
func latch(nodes []*markedNode, rule int, s *MarkState) {
	if !s.over {
		return
	}
	missing := s.MaxNodes + 1
	for _, n := range nodes {
		if slices.Contains(n.latched, s.Rule) {
			missing--
		}
	}
	for _, n := range nodes {
		if missing <= 0 {
			return
		}
		if slices.Contains(n.latched, s.Rule) || !n.node.Marks[rule].Present && !n.holds(s.Rule) {
			continue
		}
		missing--
		n.latched = append(n.latched, s.Rule)
		n.events = append(n.events, RuleLatched{Node: n.node, Rule: s.Rule, Text: s.text()})
	}
}
