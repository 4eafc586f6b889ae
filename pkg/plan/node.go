package plan

import (
	"cmp"
	"slices"
	"time"
)

// assess classifies the node's pods and keeps the node's memory up to date.
func (p *planner) assess(n *nodeWork) {
	p.lookAhead(n)
	if !n.memory.working() && !n.memory.ReleasedAt.Equal(p.Now) {
		return
	}
	entries, listed := p.Pods[n.node.Name]
	if n.listed = listed; !listed {
		return
	}
	n.pods = make([]PodState, len(entries))
	for i, e := range entries {
		state := &n.pods[i]
		state.Pod, state.entry, state.ownDeadline = e.Pod, e, e.ownDeadline()
		p.rule(n, state)
	}
	for i := range n.pods {
		state := &n.pods[i]
		p.classify(n, state)
		if state.State == Ignored {
			continue
		}
		p.lookUp(state)
		n.unasked.add(state)
		if state.unheard() {
			n.ignoredAnnotations = append(n.ignoredAnnotations, state.Pod)
		}
	}
}

// lookUp requests a lookup, if one is due, of a pod that was sent and was not seen to leave.
func (p *planner) lookUp(s *PodState) {
	pod, at := s.Pod, s.entry.Memory.Tries().LookupAt
	if at.IsZero() || !pod.Deadline.IsZero() || s.entry.Memory.ConfirmedGone {
		return
	}
	if p.Now.Before(at) {
		p.wakeAt(at)
		return
	}
	p.lookups = append(p.lookups, pod)
}

const (
	recordonDelay     = 5 * time.Second
	recordonDelayMost = 5 * time.Minute
)

// followCordon notes since when the cordon is seen, and when somebody else
// removed it.
func (p *planner) followCordon(n *nodeWork) {
	m := &n.memory
	if !n.cordoned() {
		n.memory = m.reopened(p.Now)
	}
	switch {
	case n.cordoned() && m.CordonSeen.IsZero():
		m.CordonSeen = p.Now
	case !n.cordoned() && !m.CordonSeen.IsZero():
		m.CordonSeen = time.Time{}
		m.Uncordons++
		if m.Uncordons > 1 {
			m.RecordonAt = p.Now.Add(doubled(recordonDelay, m.Uncordons-2, recordonDelayMost))
		}
	}
	p.wakeAt(m.RecordonAt)
}

// cordoned is true if the node is unschedulable and our own cordon is on it.
func (n *nodeWork) cordoned() bool { return n.node.Unschedulable && n.node.OwnCordon }

// sends is true if evictions may be sent from the node.
func (p *planner) sends(n *nodeWork) bool {
	return n.listed && n.cordoned() && n.invalid == nil && !n.paused() && n.halted == "" && !n.stopped(p.onTimeout(n)) && !n.gathering
}

const (
	// togetherWithin is how long after the first a node may begin to count as
	// having begun together with it.
	togetherWithin = time.Second
	// togetherGap is how far apart the requests of one command may come.
	togetherGap = 100 * time.Millisecond
	// togetherPatience is how long the others wait while no further node is
	// cordoned.
	togetherPatience = 2 * time.Second
)

// group holds the evictions of nodes that began together until all of them are
// cordoned: otherwise pods would move to nodes from which they would soon be evicted
// again.
func (p *planner) group() {
	var started []*nodeWork
	for _, n := range p.nodes {
		if n.memory.working() {
			p.followCordon(n)
			started = append(started, n)
		}
	}
	slices.SortFunc(started, func(a, b *nodeWork) int {
		return cmp.Or(a.memory.StartedAt.Compare(b.memory.StartedAt), cmp.Compare(a.node.Name, b.node.Name))
	})
	for len(started) > 0 {
		until := started[0].memory.StartedAt.Add(togetherWithin)
		end, _ := slices.BinarySearchFunc(started, until, func(n *nodeWork, t time.Time) int {
			if n.memory.StartedAt.After(t) {
				return 1
			}
			return -1
		})
		p.gatherGroup(started[:end])
		started = started[end:]
	}
}

// gatherGroup says whether the nodes of one group, sorted by their start, still
// wait for each other.
func (p *planner) gatherGroup(group []*nodeWork) {
	newest := group[len(group)-1].memory.StartedAt
	progress, complete := newest, true
	for _, n := range group {
		progress = latest(progress, n.memory.CordonSeen)
		if !n.cordoned() && n.memory.Uncordons == 0 && n.invalid == nil {
			complete = false
		}
	}
	until := newest.Add(togetherGap)
	if !complete {
		until = progress.Add(togetherPatience)
	}
	p.wakeAt(until)
	if !p.Now.Before(until) {
		return
	}
	for _, n := range group {
		n.gathering = true
	}
}

// latest is the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
