package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// daemonSetGrace is how long the DaemonSet of a pod may be missing from the
// cache before it counts as gone: the two are watched apart.
const daemonSetGrace = 10 * time.Second

// Orphan is a DaemonSet that a plan did not find for one of its pods.
type Orphan struct {
	DaemonSet types.UID
	// Since is when a plan first did not find it.
	Since time.Time
}

// orphaned is true for a pod whose DaemonSet counts as gone. A pod that another
// DaemonSet has adopted may be seen before that one is.
func (p *planner) orphaned(s *PodState) bool {
	owner := s.Pod.Controller.UID
	if s.orphan = s.entry.Memory.Orphan; s.orphan == nil || s.orphan.DaemonSet != owner {
		s.orphan = &Orphan{DaemonSet: owner, Since: p.Now}
	}
	at := s.orphan.Since.Add(daemonSetGrace)
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// classify decides about one pod, whose rule is known, without looking at any
// other.
func (p *planner) classify(n *nodeWork, s *PodState) {
	pod, memory := s.Pod, &s.entry.Memory
	budgets := s.budgets
	if s.budgets = nil; s.State == Ignored || s.State == UnconfirmedPod {
		return
	}
	s.State, s.Since = Eligible, memory.FirstSeen
	if !pod.Deadline.IsZero() {
		p.terminating(n, s)
		return
	}
	if at := memory.Tries().AdmittedAt; !at.IsZero() {
		s.State, s.Reason, s.Since, s.send = Terminating, GracePeriod, at, underway
		return
	}
	if budgetApplies(pod) {
		if s.budgets = budgets; budgets == nil {
			s.budgets = p.matching(s.entry)
		}
	}
	if p.underway(n, s) {
		return
	}
	if pod.OfDaemonSet() && !p.orphaned(s) {
		return
	}
	if reason, message := p.policy(n, s); reason != "" {
		p.block(n, s, reason, message)
		return
	}
	if p.returns(n, s) {
		return
	}
	p.admission(n, s)
}

// returns blocks a pod that has come back to the cordoned node and has to wait.
func (p *planner) returns(n *nodeWork, s *PodState) bool {
	pod, memory := s.Pod, &s.entry.Memory
	if p.replaces(pod, memory) {
		p.block(n, s, Returning, "comes back to this node, where the eviction of its predecessor is under way")
		return true
	}
	until, back := p.returning(n, pod, memory)
	if back {
		s.Until = until
		p.wakeAt(until)
		p.block(n, s, Returning, fmt.Sprintf("comes back to this node, next eviction at %s", clock(until)))
	}
	return back
}

// underway is true for a pod whose eviction is being sent, or whose outcome has
// to be looked up.
func (p *planner) underway(n *nodeWork, s *PodState) bool {
	memory := &s.entry.Memory
	post, sent := p.InFlight[s.Pod.UID]
	if !sent && !memory.Tries().Uncertain && !memory.ConfirmedGone {
		return false
	}
	if sent {
		for _, b := range s.budgets {
			b.sent = latest(b.sent, post.Sent)
		}
	}
	if memory.staysBlocked(post.Probe) {
		p.block(n, s, memory.BlockedBy, memory.Tries().Outcome.Message)
	}
	s.send = underway
	return true
}

func (p *planner) terminating(n *nodeWork, s *PodState) {
	pod := s.Pod
	s.State, s.Since = Terminating, pod.Deadline.Add(-pod.Grace)
	p.wakeAt(p.Config.unconfirmedFrom(pod, n.node))
	switch {
	case pod.heldByFinalizer():
		s.Reason = Finalizer
		s.Message = "finalizers " + pod.Finalizers
	case p.Now.Before(s.deadline()):
		s.Reason = GracePeriod
	case n.node.Unreachable:
		s.Reason, s.Message = NodeUnreachable, p.Config.unreachableText(pod, n.node)
	default:
		s.Reason = Kubelet
	}
}

// policy is why drainer itself does not send the pod.
func (p *planner) policy(n *nodeWork, s *PodState) (Reason, string) {
	if reason, message := p.ruled(n, s); reason != "" {
		return reason, message
	}
	if s.Pod.UID == p.Config.OwnPod && !s.Pod.Finished() {
		return p.ownPod(n, s.Pod)
	}
	return "", ""
}

// returning is true for a pod that came back after one of its controller was
// evicted from the cordoned node, and has to wait.
func (p *planner) returning(n *nodeWork, pod *Pod, memory *PodMemory) (time.Time, bool) {
	r, ever := n.memory.Returns[pod.Controller.UID]
	if !ever || !memory.Late || !memory.FirstSeen.After(r.SentAt) {
		return time.Time{}, false
	}
	until := r.AdmittedAt.Add(r.delay())
	return until, p.Now.Before(until)
}

// replaces is true for a pod that came while another one of its controller was
// being evicted from the cordoned node: it is too early to tell for how long it has
// to wait.
func (p *planner) replaces(pod *Pod, memory *PodMemory) bool {
	if !memory.Late || pod.Controller.UID == "" {
		return false
	}
	for uid, post := range p.InFlight {
		e := p.Memory.entry(uid)
		if e != nil && e.Memory.Late && e.Node == pod.Node && e.Controller.UID == pod.Controller.UID && memory.FirstSeen.After(post.Sent) {
			return true
		}
	}
	return false
}

// block says that the pod is blocked, and since when it began to be.
func (p *planner) block(n *nodeWork, s *PodState, reason Reason, message string) {
	s.State, s.Reason, s.Message, s.send = Blocked, reason, message, hold
	s.Since = s.entry.Memory.BlockedSince
	if !s.Since.IsZero() {
		return
	}
	s.Since = p.Now
	if !n.memory.Counted {
		if since, restored := n.memory.restored.blockedSince(reason); restored {
			s.Since = since
		}
	}
}

// budgetApplies is false for pods that the eviction API deletes without
// checking budgets.
func budgetApplies(pod *Pod) bool {
	return !pod.Finished() && pod.Phase != corev1.PodPending && pod.Deadline.IsZero()
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
