package drain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// Plan is what is to be done about a snapshot.
type Plan struct {
	// Nodes are the nodes with a request, and those from which something of
	// ours has to be taken away, sorted by name.
	Nodes []NodePlan
	// Grants are the pods to send, in order.
	Grants []Grant
	// Polls are the budgets to read although nothing was heard of them.
	Polls []types.NamespacedName
	// Budgets is what to remember of the budgets that block.
	Budgets map[types.UID]BudgetMemory
	// LookUps are the pods whose fate has to be found out.
	LookUps []*Pod
	// Wake is when to plan again if nothing happens; zero for never.
	Wake time.Time
}

// NodePlan is what is to be done about one node.
type NodePlan struct {
	Node    *Node
	Request api.Request
	Memory  NodeMemory
	// Phase is empty for a node that is to be released.
	Phase  api.Phase
	Report Report
	Pods   []PodState
	// Watch says whether the node's pods have to be watched.
	Watch bool
	// Cordon says whether the cordon has to be applied now.
	Cordon bool
	// Taint says whether the node should have the queued taint.
	Taint bool
	// Release says that everything of ours has to be taken from the node.
	Release bool
	// Confirm says that the node looks drained: a live list decides.
	Confirm bool
	// step numbers the plan.
	step int
}

// Grant is the leave to evict one pod, good until the next plan.
type Grant struct {
	Pod *Pod
	// Budget is the budget of which a disruption will be spent; zero if none.
	Budget types.NamespacedName
	// GracePeriod overrides the pod's own, in seconds.
	GracePeriod *int64
	// Request is the ID for which the pod is evicted.
	Request string
	// Proof is true for a pod that is expected to be refused.
	Proof bool
	// Sets and Versions are the budgets by which the pod was judged.
	Sets, Versions string
}

// blockedAfter is how long nothing may terminate or be sendable before a drain
// is called Blocked: a budget's turn is not a change of phase.
const blockedAfter = 10 * time.Second

// Make decides what to do about a snapshot. It reads nothing else and changes
// nothing: the same snapshot gives the same plan.
func Make(s *Snapshot) Plan {
	p := &planner{
		Snapshot: s, namespaces: namespacesOf(s), budgets: map[types.UID]BudgetMemory{}, recalled: map[string]time.Time{},
	}
	p.gather()
	p.start()
	for _, n := range p.nodes {
		p.look(n)
	}
	p.share()
	p.prove()
	plan := Plan{Grants: p.grants, Polls: p.poll(), LookUps: p.lookUps, Budgets: p.budgets}
	for _, n := range p.nodes {
		plan.Nodes = append(plan.Nodes, p.conclude(n))
	}
	for _, n := range p.released {
		plan.Nodes = append(plan.Nodes, NodePlan{Node: n, Release: true, Memory: s.Memory.Nodes[n.UID]})
	}
	slices.SortFunc(plan.Nodes, func(a, b NodePlan) int { return cmp.Compare(a.Node.Name, b.Node.Name) })
	plan.Wake = p.wake
	return plan
}

// planner is the work on one plan.
type planner struct {
	*Snapshot
	nodes      []*nodeWork
	released   []*Node
	namespaces map[string]*namespaceWork
	// matches is the array that PodState.budgets are cut from.
	matches []*budgetWork
	// schedulable counts the nodes that take new pods and are not started.
	schedulable int
	// draining counts the nodes that hold a slot.
	draining int
	grants   []Grant
	budgets  map[types.UID]BudgetMemory
	lookUps  []*Pod
	// recalled says since when pods are blocked that are looked at for the
	// first time, by key.
	recalled map[string]time.Time
	wake     time.Time
}

// nodeWork is the work on one node.
type nodeWork struct {
	node    *Node
	request api.Request
	invalid error
	memory  NodeMemory
	// detail is the message of a phase that no pod explains.
	detail string
	// waits is true for a node that only waits for its turn.
	waits    bool
	timedOut bool
	listed   bool
	pods     []PodState
	counts   api.PodCounts
	// others is true while pods other than drainer's own have to leave.
	others bool
	// active is true if something terminates or is being sent.
	active bool
}

func (p *planner) wakeAt(t time.Time) {
	if p.Now.Before(t) && (p.wake.IsZero() || t.Before(p.wake)) {
		p.wake = t
	}
}

// podMemory is what is remembered of the pod; it may be the first look.
func (p *planner) podMemory(pod *Pod) *PodMemory {
	if memory, known := p.Memory.Pods[pod.UID]; known {
		return memory
	}
	return firstLook(pod, p.Now, p.recalled)
}

// firstLook is the memory of a pod that was not seen before by this process.
func firstLook(pod *Pod, now time.Time, recalled map[string]time.Time) *PodMemory {
	return &PodMemory{Pod: pod, FirstSeen: now, BlockedSince: recalled[pod.Key()]}
}

// gather finds the nodes that concern drainer.
func (p *planner) gather() {
	for _, node := range p.Nodes {
		request, asked, err := api.RequestOf(node.Annotations)
		if !asked {
			if node.OwnCordon || node.OwnStatus || node.QueuedTaint {
				p.released = append(p.released, node)
			}
			if schedulable(node) {
				p.schedulable++
			}
			continue
		}
		n := &nodeWork{node: node, request: request, invalid: err, memory: p.remembered(node, request.ID)}
		p.nodes = append(p.nodes, n)
		n.memory = n.memory.paused(err != nil || request.Paused || n.memory.Instructed, p.Now)
		if !n.memory.looked {
			maps.Copy(p.recalled, n.memory.recalled)
		}
		n.timedOut = p.overdue(n)
		switch {
		case n.holdsSlot(p.onTimeout(n)):
			p.draining++
		case !n.memory.started() && schedulable(node):
			p.schedulable++
		}
	}
	slices.SortFunc(p.nodes, func(a, b *nodeWork) int {
		return cmp.Or(a.memory.RequestedAt.Compare(b.memory.RequestedAt), cmp.Compare(a.node.Name, b.node.Name))
	})
}

// schedulable is true for a node that takes any new pod.
func schedulable(n *Node) bool { return n.Ready && !n.Unschedulable && !n.Repelling }

func (p *planner) remembered(node *Node, id string) NodeMemory {
	memory, known := p.Memory.Nodes[node.UID]
	if known && memory.Request == id {
		return memory
	}
	if old, written := recall(node, id); written && !known {
		return old
	}
	return NodeMemory{Request: id, RequestedAt: p.Now, CordonSeen: memory.CordonSeen, looked: true}
}

func (p *planner) onTimeout(n *nodeWork) api.OnTimeout {
	return cmp.Or(n.request.OnTimeout, p.Config.OnTimeout)
}

// overdue is true once the drain took longer than it may. A drained node does
// not grow older.
func (p *planner) overdue(n *nodeWork) bool {
	timeout := p.Config.Timeout
	if n.request.Timeout != nil {
		timeout = *n.request.Timeout
	}
	if timeout == 0 || !n.memory.started() || !n.memory.FinishedAt.IsZero() {
		return false
	}
	left := timeout - n.memory.active(p.Now)
	if left > 0 && n.memory.PausedAt.IsZero() {
		p.wakeAt(p.Now.Add(left))
	}
	return left <= 0
}

// holdsSlot is true for a node that counts against --max-draining.
func (n *nodeWork) holdsSlot(onTimeout api.OnTimeout) bool {
	return n.memory.started() && n.memory.FinishedAt.IsZero() && !n.stopped(onTimeout)
}

// stopped is true for a drain that has given up.
func (n *nodeWork) stopped(onTimeout api.OnTimeout) bool { return n.timedOut && onTimeout == api.Stop }

// start begins the requests that may begin, in the order of the queue.
func (p *planner) start() {
	limit := p.Config.MaxDraining.Of(len(p.Nodes))
	place := 0
	for _, n := range p.nodes {
		switch {
		case n.memory.started() || n.invalid != nil:
			continue
		case n.request.Paused:
			n.detail = "paused before it began"
			continue
		case p.Now.Before(n.request.NotBefore):
			n.detail = "not before " + clock(n.request.NotBefore)
			p.wakeAt(n.request.NotBefore)
			continue
		}
		switch {
		case p.draining >= limit:
			place++
			n.waits, n.detail = true, fmt.Sprintf("waits for a slot, place %d in the queue: %d of at most %d nodes are being drained",
				place, p.draining, limit)
		case p.wouldBeLast(n.node):
			place++
			n.waits, n.detail = true, fmt.Sprintf("place %d in the queue: it is the last schedulable Ready node, its pods would have nowhere to go",
				place)
		default:
			n.memory.StartedAt = p.Now
			p.draining++
			if schedulable(n.node) {
				p.schedulable--
			}
		}
	}
}

func (p *planner) wouldBeLast(n *Node) bool {
	return schedulable(n) && p.schedulable <= 1 && !p.Config.AllowLastNode
}

// look classifies the node's pods and keeps the node's memory up to date.
func (p *planner) look(n *nodeWork) {
	if !n.memory.started() {
		return
	}
	p.followCordon(n)
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
	return n.listed && n.cordoned() && n.invalid == nil && !n.request.Paused && !n.stopped(p.onTimeout(n))
}

// count counts the node's pods by state.
func (n *nodeWork) count() {
	n.counts = api.PodCounts{Gone: n.memory.Gone}
	for i := range n.pods {
		s := &n.pods[i]
		switch s.State {
		case Left:
			n.counts.Left++
		case Wanted:
			n.counts.Wanted++
		case BlockedPod:
			n.counts.Blocked++
		case Terminating:
			n.counts.Terminating++
		}
		if s.State == Terminating || s.send == underway && s.State != BlockedPod {
			n.active = true
		}
	}
}

// conclude gives the node its phase and says what is to be done about it.
func (p *planner) conclude(n *nodeWork) NodePlan {
	n.count()
	p.recount(n)
	p.followProgress(n)
	plan := NodePlan{
		Node: n.node, Request: n.request, Pods: n.pods,
		Watch: n.memory.started(), Taint: n.waits,
		Confirm: p.looksDrained(n),
		Cordon:  n.memory.started() && n.invalid == nil && !n.cordoned() && !p.Now.Before(n.memory.RecordonAt),
	}
	plan.Phase = p.phase(n)
	plan.Memory = n.memory
	plan.Report = p.report(n, plan.Phase)
	return plan
}

// recount makes up for the pods that left while nobody looked.
func (p *planner) recount(n *nodeWork) {
	m := &n.memory
	if n.listed && !m.looked {
		m.looked = true
		m.Gone += max(0, m.before-n.counts.Remaining())
		n.counts.Gone = m.Gone
	}
}

// followProgress notes since when nothing happens, and that a drained node has
// got a wanted pod again.
func (p *planner) followProgress(n *nodeWork) {
	m := &n.memory
	if n.listed && n.counts.Remaining() > 0 {
		*m = m.reopened(p.Now)
	}
	if !p.stalls(n) {
		m.IdleSince = time.Time{}
		return
	}
	if m.IdleSince.IsZero() {
		m.IdleSince = p.Now
	}
	p.wakeAt(m.IdleSince.Add(blockedAfter))
}

// stalls is true for a drain that should go on and at the moment does not:
// its pods wait, or the node cannot be cordoned, or its pods not be read.
func (p *planner) stalls(n *nodeWork) bool {
	switch {
	case !n.memory.started() || !n.memory.FinishedAt.IsZero() || n.invalid != nil || n.request.Paused || n.stopped(p.onTimeout(n)):
		return false
	case !n.cordoned() || !n.listed:
		return true
	default:
		return !n.active && n.counts.Remaining() > 0
	}
}

// looksDrained is true if nothing but a live list is missing for Drained.
func (p *planner) looksDrained(n *nodeWork) bool {
	m := n.memory
	if !n.listed || !n.cordoned() || n.invalid != nil || n.request.Paused ||
		n.counts.Remaining() > 0 || !m.FinishedAt.IsZero() {
		return false
	}
	at := m.CordonSeen.Add(p.Config.Settle)
	if at.Before(m.RetryConfirmAt) {
		at = m.RetryConfirmAt
	}
	p.wakeAt(at)
	return !p.Now.Before(at)
}

func (p *planner) phase(n *nodeWork) api.Phase {
	m := n.memory
	switch {
	case n.invalid != nil:
		return api.InvalidRequest
	case n.request.Paused:
		return api.Paused
	case !m.started():
		return api.Queued
	case !m.FinishedAt.IsZero():
		return api.Drained
	case n.timedOut:
		return api.TimedOut
	case !m.IdleSince.IsZero() && p.Now.Sub(m.IdleSince) >= blockedAfter:
		return api.Blocked
	default:
		return api.Draining
	}
}

// report is what the node is to say.
func (p *planner) report(n *nodeWork, phase api.Phase) Report {
	r := Report{
		Status: api.Status{
			Request: n.request.ID, Phase: phase, Pods: n.counts,
			RequestedAt: timePointer(n.memory.RequestedAt), StartedAt: timePointer(n.memory.StartedAt),
			FinishedAt: timePointer(n.memory.FinishedAt), PausedAt: timePointer(n.memory.PausedAt),
			PausedSeconds: int64(n.memory.PausedFor / time.Second),
		},
		InProgress: corev1.ConditionFalse, Drained: corev1.ConditionFalse,
	}
	if n.memory.started() {
		switch phase {
		case api.Draining, api.Blocked, api.Paused:
			r.InProgress = corev1.ConditionTrue
		case api.TimedOut:
			if !n.stopped(p.onTimeout(n)) {
				r.InProgress = corev1.ConditionTrue
			}
		case api.Drained:
			r.Drained = corev1.ConditionTrue
		case api.Queued, api.InvalidRequest:
		}
	}
	worst := blockers(n.pods, p.Now)
	r.Status.Blockers = worst.listed()
	r.Status.Reason = worst.reason()
	r.Message = p.message(n, phase, &worst)
	return r
}

func timePointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
