package drain

import (
	"fmt"
	"strings"
	"time"
)

// look classifies the node's pods and keeps the node's memory up to date.
func (p *planner) look(n *nodeWork) {
	if !n.memory.started() {
		return
	}
	p.followCordon(n)
	if !n.cordoned() && n.memory.Uncordons == 0 && n.invalid == nil {
		p.cordoning = true
	}
	if p.newest.Before(n.memory.StartedAt) {
		p.newest = n.memory.StartedAt
	}
	pods, listed := p.Pods[n.node.Name]
	if n.listed = listed; !listed {
		return
	}
	for _, pod := range pods {
		if leaves(pod, p.DaemonSets, p.Config.BarePods) && pod.UID != p.Config.OwnPod {
			n.others = true
		}
	}
	n.memory.Instructed = false
	n.pods = make([]PodState, len(pods))
	for i, pod := range pods {
		state := &n.pods[i]
		state.Pod = pod
		p.classify(n, state)
		if state.State == Left {
			continue
		}
		p.lookUp(state)
		if len(pod.Instructions) > 0 && n.invalid == nil {
			n.memory.Instructed = true
			n.invalid = fmt.Errorf("pod %s has the annotation %s, which this version does not carry out: remove it",
				pod.Key(), strings.Join(pod.Instructions, ", "))
		}
	}
	n.memory = n.memory.paused(n.invalid != nil || n.request.Paused, p.Now)
}

// lookUp asks for the pods that were sent and of which nothing is known.
func (p *planner) lookUp(s *PodState) {
	pod, memory := s.Pod, s.memory
	if memory.LookAt.IsZero() || !pod.Deadline.IsZero() || memory.ConfirmedGone {
		return
	}
	if p.Now.Before(memory.LookAt) {
		p.wakeAt(memory.LookAt)
		return
	}
	p.lookUps = append(p.lookUps, pod)
}

const (
	recordonDelay     = 5 * time.Second
	recordonDelayMost = 5 * time.Minute
)

// followCordon notes since when the cordon is seen, and when somebody else
// took it away.
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

// cordoned is true if the node is unschedulable and it is our wish, too.
func (n *nodeWork) cordoned() bool { return n.node.Unschedulable && n.node.OwnCordon }

// sends is true if evictions may be sent from the node.
func (p *planner) sends(n *nodeWork) bool {
	return n.listed && n.cordoned() && n.invalid == nil && !n.request.Paused && !n.stopped(p.onTimeout(n)) && !p.assembling(n)
}

const (
	// assembleMost is how long a node that begins waits for those that begin
	// with it.
	assembleMost = time.Second
	// assembleGap is how far apart the requests of one command may come.
	assembleGap = 100 * time.Millisecond
)

// assembling is true while other nodes that begin together with this one are
// not cordoned yet: its pods would be moved there and soon be moved again.
func (p *planner) assembling(n *nodeWork) bool {
	end := n.memory.StartedAt.Add(assembleMost)
	if gap := p.newest.Add(assembleGap); !p.cordoning && gap.Before(end) {
		end = gap
	}
	p.wakeAt(end)
	return p.Now.Before(end)
}
