package drain

import (
	"cmp"
	"slices"
	"time"

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
	// HandOver is drainer's own pod if it is the last on its node: another
	// replica is to be found that takes over and evicts it; nil otherwise.
	HandOver *Pod
	// Wake is when to plan again if nothing happens; zero for never.
	Wake time.Time
}

// NodePlan is what is to be done about one node.
type NodePlan struct {
	Node    *Node
	Request api.Request
	Memory  NodeMemory
	// Phase is empty for a node that is to be released.
	Phase api.Phase
	// Queued is what the node waits for in the phase Queued.
	Queued Queueing
	// Facts is the report without the words that take long to find: reason,
	// blockers and message.
	Facts Report
	Pods  []PodState
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
	// words completes Facts.
	words func() Report
}

// Report is what the node is to say, in full.
func (n NodePlan) Report() Report {
	if n.words == nil {
		return n.Facts
	}
	return n.words()
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
	// rounds is how often the budget has to come back until all pods under it
	// have been sent; 0 without one.
	rounds int
}

// blockedAfter is how long nothing may terminate or be sendable before a drain
// is called Blocked: a budget's turn is not a change of phase.
const blockedAfter = 10 * time.Second

// Make decides what to do about a snapshot. It reads nothing else and changes
// nothing: the same snapshot gives the same plan.
func Make(s *Snapshot) Plan {
	pods := 0
	for _, list := range s.Pods {
		pods += len(list)
	}
	p := &planner{
		Snapshot: s, namespaces: namespacesOf(s), budgets: map[types.UID]BudgetMemory{}, recalled: map[string]time.Time{},
		matches: make([]*budgetWork, 0, pods),
	}
	p.gather()
	p.start()
	for _, n := range p.nodes {
		p.look(n)
	}
	p.share()
	p.prove()
	plan := Plan{Grants: p.grants, Polls: p.poll(), LookUps: p.lookUps, HandOver: p.handOver, Budgets: p.budgets}
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
	// last is the namespace that was looked for last.
	lastNamespace string
	last          *namespaceWork
	// matches is the array that PodState.budgets are cut from.
	matches []*budgetWork
	// schedulable counts the nodes that take new pods and are not started.
	schedulable int
	// draining counts the nodes that hold a slot.
	draining int
	// cordoning is true while the cordon of a node is on its way, newest is
	// when the last node began.
	cordoning bool
	newest    time.Time
	grants    []Grant
	budgets   map[types.UID]BudgetMemory
	lookUps   []*Pod
	handOver  *Pod
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
	// queued is what the node waits for, waits is true if that is its turn.
	queued   Queueing
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
	if pod.memory != nil && !pod.memory.forgotten {
		return pod.memory
	}
	if memory, known := p.Memory.Pods[pod.UID]; known {
		return memory
	}
	return firstLook(pod, p.Now, p.recalled)
}

// firstLook is the memory of a pod that was not seen before by this process.
func firstLook(pod *Pod, now time.Time, recalled map[string]time.Time) *PodMemory {
	return &PodMemory{Pod: pod, FirstSeen: now, BlockedSince: recalled[pod.Key()]}
}
