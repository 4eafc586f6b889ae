package drain

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/api"
)

// forgetGone drops what is remembered of pods and nodes that are not there any
// more, and counts them.
func (c *Controller) forgetGone(ctx context.Context, s *Snapshot) {
	nodes := map[types.UID]*Node{}
	byName := map[string]*Node{}
	for _, n := range s.Nodes {
		nodes[n.UID], byName[n.Name] = n, n
	}
	for uid, m := range c.memory.Nodes {
		if nodes[uid] == nil {
			c.ended(ctx, c.plan[uid].Node, m, EndedNodeDeleted, s.Now)
			delete(c.memory.Nodes, uid)
		}
	}
	c.markSeen(s, byName)
	for uid, m := range c.memory.Pods {
		if m.seen == c.steps || isSent(s, uid) {
			// The result of one that is being sent is booked first.
			continue
		}
		node := byName[m.Pod.Node]
		_, listed := s.Pods[m.Pod.Node]
		switch {
		case node == nil || c.memory.Nodes[node.UID].Request == "":
			c.forget(uid, m)
		case listed:
			c.podGone(m, node.UID, s.Now)
			c.forget(uid, m)
		}
	}
}

// markSeen notes which of the pods that are remembered are there, on a node
// with a request.
func (c *Controller) markSeen(s *Snapshot, byName map[string]*Node) {
	for name, pods := range s.Pods {
		if node := byName[name]; node == nil || c.memory.Nodes[node.UID].Request == "" {
			continue
		}
		for _, pod := range pods {
			if pod.memory == nil || pod.memory.forgotten {
				pod.memory = c.memory.Pods[pod.UID]
			}
			if pod.memory != nil {
				pod.memory.seen = c.steps
			}
		}
	}
}

func (c *Controller) forget(uid types.UID, m *PodMemory) {
	m.forgotten = true
	delete(c.memory.Pods, uid)
}

func isSent(s *Snapshot, uid types.UID) bool {
	_, sent := s.InFlight[uid]
	return sent
}

func (c *Controller) podGone(m *PodMemory, node types.UID, now time.Time) {
	if memory, known := c.memory.Nodes[node]; known {
		memory.Gone++
		c.memory.Nodes[node] = memory
	}
	if !m.AdmittedAt.IsZero() {
		c.Observer.PodGone(now.Sub(m.AdmittedAt))
	}
}

// remember keeps what the plan says is to be remembered, and tells of what
// changed.
func (c *Controller) remember(ctx context.Context, s *Snapshot, plan *Plan) {
	byUID := map[types.UID]NodePlan{}
	for i := range plan.Nodes {
		n := &plan.Nodes[i]
		n.step = c.steps
		byUID[n.Node.UID] = *n
		was, known := c.memory.Nodes[n.Node.UID]
		if n.Release {
			if was.Request != "" {
				c.ended(ctx, n.Node, was, EndedCancelled, s.Now)
				c.nodeEvent(ctx, n.Node, was.Request, "Released", "The drain request was taken back; the node is given back", false)
			}
			// Nothing is recalled from what the Node still says.
			c.memory.Nodes[n.Node.UID] = NodeMemory{}
			continue
		}
		if known && was.Request != n.Request.ID {
			c.ended(ctx, n.Node, was, EndedSuperseded, s.Now)
		}
		c.tellPhase(ctx, *n, was.Uncordons)
		n.Memory = c.countEnds(n.Memory, n.Phase, s.Now)
		n.Memory.Phase = n.Phase
		c.memory.Nodes[n.Node.UID] = n.Memory
		for i := range n.Pods {
			c.rememberPod(ctx, n, &n.Pods[i], s.Now)
		}
	}
	for uid := range c.memory.Nodes {
		if _, planned := byUID[uid]; !planned {
			delete(c.memory.Nodes, uid)
		}
	}
	c.memory.Budgets = plan.Budgets
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan = byUID
	for uid := range c.written {
		if _, planned := byUID[uid]; !planned {
			delete(c.written, uid)
		}
	}
}

// rememberPod keeps since when a pod is wanted and blocked, and writes the
// events that tell of it.
func (c *Controller) rememberPod(ctx context.Context, n *NodePlan, s *PodState, now time.Time) {
	if s.State == Left {
		return
	}
	m := s.memory
	if s.Pod.memory != m {
		// The first look. The process before has told.
		m.ToldBlocked = !m.BlockedSince.IsZero()
		m.ToldStuck = m.ToldBlocked && now.Sub(m.BlockedSince) >= c.Config.StuckAfter
		c.memory.Pods[s.Pod.UID], s.Pod.memory = m, m
	}
	m.Pod = s.Pod
	switch {
	case s.State == BlockedPod:
		m.BlockedSince, m.BlockedBy = s.Since, s.Reason
	case s.State == Terminating || m.Outcome.Reason == "":
		m.BlockedSince = time.Time{}
	}
	if s.State == Terminating && m.AdmittedAt.IsZero() && m.LookUp {
		c.admitted(m, s.Since)
	}
	if s.State == BlockedPod && !m.ToldBlocked && now.Sub(s.Since) >= blockedAfter {
		m.ToldBlocked = true
		c.events.podWarning(s.Pod, "Blocked", fmt.Sprintf("Drain request %s waits: %s", n.Request.ID, s.explanation()))
	}
	if s.Stuck(now, c.Config.StuckAfter) && !m.ToldStuck {
		m.ToldStuck = true
		c.events.podWarning(s.Pod, "Stuck", fmt.Sprintf("Drain request %s is stuck since %s: %s", n.Request.ID, clock(s.Since), s.explanation()))
		klog.FromContext(ctx).Info("Pod is stuck", "node", n.Node.Name, "pod", klog.KRef(s.Pod.Namespace, s.Pod.Name),
			"request", n.Request.ID, "reason", s.Reason, "message", s.explanation())
	}
}

// tellPhase writes the event and the log line of a change of phase.
func (c *Controller) tellPhase(ctx context.Context, n NodePlan, uncordons int) {
	if n.Memory.Uncordons == 1 && uncordons == 0 {
		c.nodeEvent(ctx, n.Node, n.Request.ID, "CordonRestored", "Somebody uncordoned the node; it is cordoned again while the drain request stands", true)
	}
	if n.Memory.Phase == n.Phase {
		return
	}
	warning := n.Phase == api.Blocked || n.Phase == api.TimedOut || n.Phase == api.InvalidRequest
	c.nodeEvent(ctx, n.Node, n.Request.ID, string(n.Phase), fmt.Sprintf("Drain request %s: %s", n.Request.ID, n.Report().Message), warning)
}

// countEnds counts that a drain is done or has timed out, once.
func (c *Controller) countEnds(m NodeMemory, phase api.Phase, now time.Time) NodeMemory {
	switch {
	case phase == api.TimedOut && !m.CountedTimeout:
		m.CountedTimeout = true
		c.Observer.DrainEnded(EndedTimedOut, m.active(now))
	case phase == api.Drained && !m.CountedFinish.Equal(m.FinishedAt):
		m.CountedFinish = m.FinishedAt
		c.Observer.DrainEnded(EndedDrained, m.FinishedAt.Sub(m.StartedAt)-m.PausedFor)
	}
	return m
}

func (c *Controller) nodeEvent(ctx context.Context, n *Node, request, reason, note string, warning bool) {
	klog.FromContext(ctx).Info("Node "+reason, "node", n.Name, "request", request, "message", note)
	c.events.node(n, reason, note, warning)
}

// ended counts a drain that began and ends before it was done.
func (c *Controller) ended(ctx context.Context, n *Node, m NodeMemory, how Ending, now time.Time) {
	if m.started() && m.FinishedAt.IsZero() {
		c.Observer.DrainEnded(how, m.active(now))
		if n != nil {
			klog.FromContext(ctx).Info("Drain ended", "node", n.Name, "request", m.Request, "result", how)
		}
	}
}
