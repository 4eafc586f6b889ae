package plan

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// State is the state of a pod of a draining node. The states are disjoint.
type State string

// The states of a pod. One that is gone has none.
const (
	Ignored     State = "ignored"
	Eligible    State = "eligible"
	Blocked     State = api.BlockedState
	Terminating State = "terminating"
	// UnconfirmedPod is the state of a pod that is not waited for, although nothing
	// confirms that it has ended.
	UnconfirmedPod State = "unconfirmed"
)

// PodState is what a plan decided about one pod.
type PodState struct {
	Pod   *Pod
	State State
	// Reason is why the pod is blocked or still terminating.
	Reason Reason
	// Since is when the state began; zero for pods that are ignored.
	Since time.Time
	// Message is the server's own words, if it has said anything.
	Message string
	// Spared is why the pod is not deleted although its node deletes what budgets
	// hold; empty for all others.
	Spared string
	// nowhere is set for a pod that obstructs because no schedulable node admits it.
	nowhere *nowhere
	// stranded is set for such a pod on a waiting node: how many pods there, under its
	// budget, no other node admits.
	stranded int
	// Until is when the pod may be sent again, if that is known.
	Until time.Time

	// rule decides about the pod; nil for one that no rule moves. order is when its
	// turn comes.
	rule  *Rule
	order int
	// budgets are those that select the pod, sorted by name; none for pods that
	// no budget applies to.
	budgets []*budgetWork
	// ownDeadline is when the grace period ends by this process's own clock; zero if
	// only the API server's is known.
	ownDeadline time.Time
	// entry belongs to the loop: only Make and Memory.Keep read it. Reports are
	// written while the next plan changes it.
	entry *Entry
	// orphan is set for a pod whose DaemonSet is missing.
	orphan *Orphan
	// These are together to save memory: there may be very many pods.

	// AtRisk is true for a pod that is lost when its node disappears, as things stand.
	AtRisk bool
	// Obstructs is true for a pod that keeps the drain from its end, however long
	// that waits.
	Obstructs bool
	// counts is true while the pod is held for its rule's DeleteAfter.
	counts bool
	// paced is true for a pod after which the next one of its controller waits.
	paced bool
	// obeyed is true if the pod's Claims count.
	obeyed bool
	// send is how the pod may be sent now.
	send sending
}

// sending says whether a pod may be sent, and what that spends.
type sending uint8

const (
	// hold: not now.
	hold sending = iota
	// freely: no budget is spent.
	freely
	// spending: one disruption of the only budget is spent.
	spending
	// underway: it is being sent, or its outcome is being looked up.
	underway
)

// Stuck is true if the pod has been blocked, or overdue in terminating, for at
// least after.
func (s *PodState) Stuck(now time.Time, after time.Duration) bool {
	since := s.StuckFrom()
	return !since.IsZero() && now.Sub(since) >= s.stuckAfter(after)
}

// StuckFrom is the time from which being stuck is counted: the block's
// beginning, or the end of the grace period. Zero if neither applies.
func (s *PodState) StuckFrom() time.Time {
	switch s.State {
	case Blocked:
		return s.Since
	case Terminating:
		return s.deadline()
	default:
		return time.Time{}
	}
}

// deadline is when the grace period ends; zero for a pod that does not terminate.
func (s *PodState) deadline() time.Time {
	if s.ownDeadline.IsZero() {
		return s.Pod.Deadline
	}
	return s.ownDeadline
}

// Budgets are those that select the pod, sorted by name; none for a pod that no
// budget applies to.
func (s *PodState) Budgets() []*Budget {
	list := make([]*Budget, len(s.budgets))
	for i, b := range s.budgets {
		list[i] = b.Budget
	}
	return list
}

// leaves is true for a pod that terminates, whoever waits for it.
func (s *PodState) leaves() bool { return s.State == Terminating || s.State == UnconfirmedPod }

// throttled is true for a pod that waits because the API server throttles evictions.
func (s *PodState) throttled() bool { return s.State == Blocked && s.Reason == Throttled }

// BlockedBy are the budgets that block the pod, sorted by name; none if
// something else does, or nothing.
func (s *PodState) BlockedBy() []*Budget {
	if s.State != Blocked || !s.Reason.byBudget() {
		return nil
	}
	return s.Budgets()
}

// Explanation says, for people, what holds the pod up.
func (s *PodState) Explanation() string { return s.explanation() }

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
	if !memory.AdmittedAt.IsZero() {
		s.State, s.Reason, s.Since, s.send = Terminating, GracePeriod, memory.AdmittedAt, underway
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
	if p.replaces(pod, memory) {
		p.block(n, s, Returning, "comes back to this node, where the eviction of one before is under way")
		return
	}
	if until, back := p.returning(n, pod, memory); back {
		s.Until = until
		p.wakeAt(until)
		p.block(n, s, Returning, fmt.Sprintf("comes back to this node, next eviction at %s", clock(until)))
		return
	}
	p.admission(n, s)
}

// underway is true for a pod whose eviction is being sent, or whose outcome has
// to be looked up.
func (p *planner) underway(n *nodeWork, s *PodState) bool {
	memory := &s.entry.Memory
	post, sent := p.InFlight[s.Pod.UID]
	if !sent && !memory.Uncertain && !memory.ConfirmedGone {
		return false
	}
	if sent {
		for _, b := range s.budgets {
			b.sent = latest(b.sent, post.Sent)
		}
	}
	if memory.staysBlocked(post.Probe) {
		p.block(n, s, memory.BlockedBy, memory.Outcome.Message)
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
		s.Message = "finalizers " + strings.Join(pod.Finalizers, ", ")
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
