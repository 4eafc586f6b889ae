package plan

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
	// ours has to be removed, sorted by name.
	Nodes []NodePlan
	// Grants are the pods to send, in order. No pod is in it twice, and none
	// that is being sent.
	Grants []Grant
	// Polls are the budgets to read although no event came.
	Polls []types.NamespacedName
	// Marks is what the rules for marked nodes want changed, sorted by the names of
	// the nodes, MarkStates how these rules stand, in the order of Config.Requests.
	Marks      []MarkPlan
	MarkStates []MarkState
	// Budgets is what to remember of the budgets that block.
	Budgets map[types.UID]BudgetMemory
	// Scales is what to remember of the scales of controllers, ScaleReads are those to
	// read.
	Scales     map[types.UID]ScaleMemory
	ScaleReads []ScaleRead
	// Paces is what to remember of the controllers whose pods leave one at a time,
	// SiblingReads are those whose pods are to be listed.
	Paces        map[types.UID]PaceMemory
	SiblingReads []SiblingRead
	// Lookups are the pods to look up at the API server.
	Lookups []*Pod
	// ListVolumes says that what is attached to nodes has to be listed now.
	ListVolumes bool
	// HandOver is drainer's own pod if it is the last on its node: another
	// replica is to be found that takes over and evicts it; nil otherwise.
	HandOver *Pod
	// Wake is when to plan again if nothing happens; zero for never.
	Wake time.Time
}

// NodePlan is what is to be done about one node. It does not change once made.
type NodePlan struct {
	Node    *Node
	Request api.Request
	Memory  NodeMemory
	// Phase is empty for a node that is to be released.
	Phase api.Phase
	// Facts is the report without the words that take long to find: reason,
	// blockers and message. Report has them.
	Facts Report
	Pods  []PodState
	// Ahead are the pods of a queued node that will keep its drain from finishing.
	Ahead []PodState
	// Watch says whether the node's pods have to be watched.
	Watch bool

	// The rest is what to do now. What was done, but does not show on the Node as it is
	// known, is not done again.

	// Release says that everything of ours has to be removed from the node.
	Release bool
	// Write says that Report has to be written.
	Write bool
	// Guarded says that it may be written only to the Node as the plan knows it:
	// the Node may say by now that it is drained, by a write that was not answered.
	Guarded bool
	// Taint and Untaint say that the queued taint has to be added or removed.
	Taint, Untaint bool
	// Foresee says that the pods of a waiting node have to be listed.
	Foresee bool
	// Cordon says that the node has to be cordoned.
	Cordon bool
	// Uncordon says that the cordon has to be removed although the request
	// stays: it has timed out.
	Uncordon bool
	// Confirm says that the node looks drained: a live list decides.
	Confirm bool
	// AwaitsVolumes says that the pods are gone, and that a list of what is still
	// attached to the node is missing.
	AwaitsVolumes bool
	// Judge says that the pods of a dry run have to be judged.
	Judge bool
	// Read says that the node has to be read: our last write does not show.
	Read bool

	words words
	// ended is true in the plan in which the request came to its end.
	ended bool
}

// Acts is true if there is something to do other than writing the report,
// releasing the node, or judging its pods.
func (n *NodePlan) Acts() bool {
	return n.Taint || n.Untaint || n.Cordon || n.Uncordon || n.Confirm || n.Read
}

// Grant is the permission to evict or to delete one pod, good until the next plan.
type Grant struct {
	Pod *Pod
	// Budget is the budget of which a disruption will be spent; zero if none.
	Budget types.NamespacedName
	// GracePeriod overrides the pod's own, in seconds.
	GracePeriod *int64
	// Request is the ID for which the pod is evicted.
	Request string
	// Probe is true for a pod that is expected to be refused.
	Probe bool
	// Repeated is true for a pod that was refused before, by something other
	// than a budget.
	Repeated bool
	// paced is true for a pod that must not be sent beside another one of its
	// controller.
	paced bool
	// urgent is true for a pod of a node that disappears.
	urgent bool
	// Budgets and Versions are the budgets by which the pod was judged.
	Budgets, Versions string
	// budgetUIDs are those budgets, for a probe and a deletion.
	budgetUIDs []types.UID
	// Deletion is set for a pod to delete, past the budgets that hold it, instead
	// of evicting it: the event to report then.
	Deletion *PodDeleted
	// healthy are the healthy pods under budgetUIDs when the deletion was decided.
	healthy []int32
	// rounds is how often the budget has to recover until all pods under it
	// have been sent; 0 without one.
	rounds int
	// generation is when the drain began, in steps of starvedAfter.
	generation int64
}

// blockedAfter is how long nothing may terminate or be sendable before a drain
// is called Blocked: a short wait for a budget is not a change of phase.
const blockedAfter = 10 * time.Second

// Make decides what to do about a snapshot. The pods have to be matched with
// the snapshot's budgets before.
func Make(s *Snapshot) Plan {
	p := newPlanner(s)
	p.lookAtTime()
	p.gather()
	p.start()
	p.group()
	for _, n := range p.nodes {
		p.assess(n)
	}
	p.followPaces()
	p.share()
	p.force()
	p.probe()
	p.urgentFirst()
	plan := Plan{Grants: p.grants, Polls: p.poll(), Lookups: p.lookups, HandOver: p.handOver, Budgets: p.budgets, Scales: p.scales, ScaleReads: p.scaleReads, Paces: p.keptPaces(), SiblingReads: p.siblingReads}
	for _, n := range p.nodes {
		plan.Nodes = append(plan.Nodes, p.conclude(n))
	}
	for _, n := range p.released {
		plan.Nodes = append(plan.Nodes, p.letGo(n))
	}
	plan.ListVolumes = p.listsVolumes(plan.Nodes)
	plan.MarkStates, plan.Marks = p.marks()
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
	// lastNamespace is the name of last, the namespace that was looked for last.
	lastNamespace string
	last          *namespaceWork
	// matches is the array that PodState.budgets are cut from.
	matches []*budgetWork
	// schedulable counts the nodes that take new pods and are not started.
	schedulable int
	limits      *limits
	grants      []Grant
	budgets     map[types.UID]BudgetMemory
	lookups     []*Pod
	scales      map[types.UID]ScaleMemory
	scaleReads  []ScaleRead
	// paces are the controllers whose pods leave one at a time; nil if none do.
	paces        map[types.UID]*pace
	siblingReads []SiblingRead
	// looksAtScales is true if a rule does. around is what decides about the pods of
	// the node at which the planner is.
	looksAtScales bool
	around        Surroundings
	handOver      *Pod
	wake          time.Time
	// nowhere is what was found out about placements: nil where a node takes pods.
	nowhere map[string]*nowhere
	// queuedOnly is, by placement, the nodes that take pods if all of these wait to be
	// drained; waiting says which nodes do.
	queuedOnly map[string][]string
	waiting    map[*Node]bool
	// windows are the windows as they are now, opening is what nodes say about when
	// theirs open next, by their places.
	windows []window
	opening map[string]string
}

func newPlanner(s *Snapshot) *planner {
	pods := 0
	for _, list := range s.Pods {
		pods += len(list)
	}
	around := Surroundings{DaemonSets: s.DaemonSets, Budgets: s.Budgets, NamespaceLabels: s.NamespaceLabels, Scales: s.Scales}
	return &planner{
		looksAtScales: s.Config.Rules.LooksAtScales(), scales: map[types.UID]ScaleMemory{}, around: around,
		Snapshot: s, namespaces: namespacesOf(s), budgets: map[types.UID]BudgetMemory{}, matches: make([]*budgetWork, 0, pods),
	}
}

// nodeWork is the work on one node.
type nodeWork struct {
	node    *Node
	request api.Request
	invalid error
	memory  NodeMemory
	// detail is the message of a phase that no pod explains.
	detail string
	// queued is what the node waits for, waits is true if that is its turn in the queue.
	queued Queueing
	waits  bool
	// halted is what stops the node besides its own request; empty if nothing does.
	halted string
	// shut is what the time stops it for: a window or a freeze.
	shut     Queueing
	timedOut bool
	// disappears is when the node does, zero if that is not known or no longer
	// counts; expired is true in the last case. deadline is what the status says.
	disappears time.Time
	expired    bool
	deadline   *api.Deadline
	// yields is true while another node may have its slot.
	yields bool
	listed bool
	// gathering is true while nodes that began together are not cordoned yet.
	gathering bool
	pods      []PodState
	// ahead are pods of a waiting node that will keep its drain from finishing.
	ahead []PodState
	// together are pods of a waiting node that only other waiting nodes admit.
	together together
	counts   api.PodCounts
	// others is true while pods other than drainer's own have to leave, lowest says
	// which leave first.
	others bool
	lowest lowestOrder
	// active is true if something terminates or is being sent, or waits for
	// nobody but drainer itself.
	active bool
	// ignoredAnnotations are the pods with annotations that do not count.
	ignoredAnnotations []*Pod
	// unasked are those whose eviction responders are not asked.
	unasked unasked
	// unscaled are those whose rules look at a scale that cannot be known.
	unscaled unscaled
	// unprotected are the workloads to name that no budget protects.
	unprotected []unprotected
}

func (p *planner) wakeAt(t time.Time) {
	if p.Now.Before(t) && (p.wake.IsZero() || t.Before(p.wake)) {
		p.wake = t
	}
}
