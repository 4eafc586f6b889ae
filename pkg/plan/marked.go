package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// MarkState is what a rule for marked nodes sees, and whether it acts.
type MarkState struct {
	// Rule is the rule's name.
	Rule string
	// Marked are the nodes that are marked, Requested those that hold a request of
	// the rule, and Silent those of Marked whose request somebody removed.
	Marked, Requested, Silent int
	// MaxNodes is how many nodes may be marked or hold a request.
	MaxNodes int
	// Latched is true for a rule that requests nothing until somebody resumes it.
	Latched bool

	// counted are the nodes that hold a request of the rule, or have been marked for
	// long enough, over is true if they are too many.
	counted int
	over    bool
	// waits is true while so many nodes are marked that they will be too many if it
	// lasts.
	waits bool
}

// MarkPlan is what the rules for marked nodes want changed at one node.
type MarkPlan struct {
	// Node is the node as the plan knows it: only that may be changed.
	Node *Node
	// Annotations are to be written, or removed where there is no value.
	Annotations map[string]*string
	// Events follow once they are written.
	Events []Event
}

// markedNode is the work on the marks of a node.
type markedNode struct {
	node *Node
	// id is the request's; empty if there is none. taken is true if anything is written
	// there, even a value that says no.
	id    string
	taken bool
	// records are those of the node; locked is true if they cannot be read, so that
	// nothing is known of what was requested.
	records api.Marks
	locked  bool
	latched []string
	// set are the annotations to change besides the records and latches.
	set    map[string]*string
	events []Event
}

// marks decides which drains to request, and which requests to remove, because of
// the marks of nodes.
func (p *planner) marks() ([]MarkState, []MarkPlan) {
	if len(p.Config.Requests) == 0 {
		return nil, nil
	}
	nodes := p.markedNodes()
	states := make([]MarkState, len(p.Config.Requests))
	for i := range states {
		states[i] = p.markState(i, nodes)
	}
	for _, n := range nodes {
		if n.locked || n.node.Deleting {
			continue
		}
		for i := range states {
			p.followMark(n, i)
		}
		p.releaseMarked(n)
		for i := range states {
			p.requestMarked(n, i, &states[i])
		}
	}
	for i := range states {
		latch(nodes, i, &states[i])
	}
	var plans []MarkPlan
	for _, n := range nodes {
		if plan := n.plan(); len(plan.Annotations) > 0 {
			plans = append(plans, plan)
		}
	}
	return states, plans
}

// markedNodes are the nodes served, by name.
func (p *planner) markedNodes() []*markedNode {
	var nodes []*markedNode
	for _, node := range p.Nodes {
		if !node.Served || len(node.Marks) != len(p.Config.Requests) {
			continue
		}
		value, taken := node.Annotations[api.DrainAnnotation]
		records, err := api.ParseMarks(node.Annotations[api.MarksAnnotation])
		n := &markedNode{
			node: node, taken: taken, records: records, locked: err != nil,
			latched: api.LatchedRules(node.Annotations[api.LatchedAnnotation]),
		}
		if api.IsRequestID(value) {
			n.id = value
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b *markedNode) int { return cmp.Compare(a.node.Name, b.node.Name) })
	return nodes
}

// holds is true for a node with a request of the rule, whoever may have written it.
func (n *markedNode) holds(rule string) bool {
	return n.id != "" && (n.records[rule].Request == n.id || api.RuleOfRequest(n.id) == rule)
}

// markState counts the nodes of a rule. Drained nodes count, and those whose mark
// has cleared, for as long as they hold the request.
func (p *planner) markState(rule int, nodes []*markedNode) MarkState {
	r := &p.Config.Requests[rule]
	s := MarkState{Rule: r.Key(), MaxNodes: r.MaxNodes}
	all := 0
	for _, n := range nodes {
		present, holds := n.node.Marks[rule].Present, n.holds(s.Rule)
		if record, known := n.records[s.Rule]; known && present && record.ClearedAt == nil && record.Request != n.id {
			s.Silent++
		}
		if present {
			s.Marked++
		}
		if holds {
			s.Requested++
		}
		if holds || present {
			all++
		}
		if holds || present && p.marksEnough(n, rule) {
			s.counted++
		}
		s.Latched = s.Latched || slices.Contains(n.latched, s.Rule)
	}
	s.over, s.waits = s.counted > r.MaxNodes, all > r.MaxNodes
	s.Latched = s.Latched || s.over
	return s
}

// marksEnough is true for a node that has been marked for as long as the rule
// requires.
func (p *planner) marksEnough(n *markedNode, rule int) bool {
	at := p.markedSince(n.node, rule).Add(p.Config.Requests[rule].For)
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// followMark keeps the record of a rule's last request up to date. It is
// dropped once it no longer holds anything back.
func (p *planner) followMark(n *markedNode, rule int) {
	r, mark := &p.Config.Requests[rule], n.node.Marks[rule]
	record, known := n.records[r.Key()]
	live := n.id != "" && record.Request == n.id
	switch {
	case !known:
		return
	case mark.Cleared && record.ClearedAt == nil:
		at := p.Now.UTC().Truncate(time.Second)
		record.ClearedAt = &at
	case live && !mark.Cleared && record.ClearedAt != nil:
		record.ClearedAt = nil
	case !live && record.ClearedAt != nil:
		if next := record.RequestedAt.Add(r.MinInterval); p.Now.Before(next) {
			p.wakeAt(next)
			return
		}
		delete(n.records, r.Key())
		return
	}
	n.records[r.Key()] = record
}

// releaseMarked removes a request whose mark has cleared. If several rules wanted
// it, all of them have to agree.
func (p *planner) releaseMarked(n *markedNode) {
	if n.id == "" {
		return
	}
	wanted := false
	for key, record := range n.records {
		if record.Request != n.id {
			continue
		}
		wanted = true
		i := slices.IndexFunc(p.Config.Requests, func(r MarkRule) bool { return r.Key() == key })
		if i < 0 || !p.Config.Requests[i].ReleaseWhenCleared || record.ClearedAt == nil {
			return
		}
		if at := record.ClearedAt.Add(p.Config.Requests[i].For); p.Now.Before(at) {
			p.wakeAt(at)
			return
		}
	}
	if !wanted || p.marked(n) {
		return
	}
	for _, key := range api.UserAnnotations() {
		if _, has := n.node.Annotations[key]; has {
			n.change(key, nil)
		}
	}
	n.events = append(n.events, MarkCleared{Node: n.node, Request: n.id})
	n.id, n.taken = "", false
}

// marked is true for a node that any rule's mark is on.
func (p *planner) marked(n *markedNode) bool {
	return slices.ContainsFunc(n.node.Marks, func(m Mark) bool { return m.Present })
}

// requestMarked requests the drain of a node that the rule finds marked, or joins
// another rule that has.
func (p *planner) requestMarked(n *markedNode, rule int, s *MarkState) {
	r := &p.Config.Requests[rule]
	if !n.node.Marks[rule].Present || !p.marksEnough(n, rule) || s.Latched || s.waits || p.Control.Paused != "" {
		return
	}
	record, known := n.records[s.Rule]
	if known && record.ClearedAt == nil || p.Now.Before(record.RequestedAt.Add(r.MinInterval)) {
		return
	}
	since := p.markedSince(n.node, rule)
	switch {
	case n.ruled():
	case n.taken:
		return
	default:
		n.id, n.taken = api.MarkRequest(s.Rule, since), true
		reason := fmt.Sprintf("%s %s=%s since %s", r.Kind, r.Name, n.node.Marks[rule].Value, clock(since))
		n.ask(r, reason)
		n.events = append(n.events, MarkRequested{Node: n.node, Request: n.id, Rule: s.Rule, Text: reason, Paused: r.StartPaused})
	}
	n.records[s.Rule] = api.MarkRecord{Request: n.id, RequestedAt: p.Now.UTC().Truncate(time.Second)}
}

// ruled is true for a node with a request that a rule has made.
func (n *markedNode) ruled() bool {
	for _, record := range n.records {
		if record.Request == n.id {
			return n.id != ""
		}
	}
	return false
}

// ask writes the rule's request. What else people have prepared stays.
func (n *markedNode) ask(r *MarkRule, reason string) {
	n.change(api.DrainAnnotation, new(n.id))
	n.change(api.ReasonAnnotation, &reason)
	n.change(api.RequestedByAnnotation, new("drainer, by its rule "+r.Key()))
	if r.StartPaused {
		n.change(api.PausedAnnotation, new("true"))
	}
}

func (n *markedNode) change(key string, value *string) {
	if n.set == nil {
		n.set = map[string]*string{}
	}
	n.set[key] = value
}

// plan is what is to be changed at the node.
func (n *markedNode) plan() MarkPlan {
	if !n.locked {
		n.changeTo(api.MarksAnnotation, n.records.Format())
	}
	if len(n.latched) > len(api.LatchedRules(n.node.Annotations[api.LatchedAnnotation])) {
		n.changeTo(api.LatchedAnnotation, strings.Join(n.latched, ","))
	}
	return MarkPlan{Node: n.node, Annotations: n.set, Events: n.events}
}

// changeTo lets an annotation have the value, which is removed if that is empty.
func (n *markedNode) changeTo(key, value string) {
	was := n.node.Annotations[key]
	switch {
	case was == value:
	case value == "":
		n.change(key, nil)
	default:
		n.change(key, &value)
	}
}
