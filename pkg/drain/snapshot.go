package drain

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is everything that a plan is made from. A plan only reads it.
type Snapshot struct {
	Now    time.Time
	Config Config
	// Nodes are all nodes that drainer serves, in any order.
	Nodes []*Node
	// Pods are the pods of the nodes that are watched, by node name. A node
	// whose list is not complete yet is absent.
	Pods map[string][]*Pod
	// DaemonSets are the DaemonSets that exist.
	DaemonSets map[types.UID]bool
	// Budgets are the PodDisruptionBudgets by namespace. Without policy/v1 there
	// are none, and nothing is predicted.
	Budgets map[string]NamespaceBudgets
	// Unsettled are the budgets that do not show an eviction of ours yet.
	Unsettled []Unsettled
	// Throttled is until when the API server asked for no evictions.
	Throttled time.Time
	// Careful is true from then on until the server admits or refuses one
	// eviction for another reason: they are sent one at a time.
	Careful bool
	// InFlight are the pods whose eviction is being sent.
	InFlight map[types.UID]Post

	// Memory is what earlier plans and outcomes left behind. Losing it costs
	// time, never correctness: it is rebuilt from the Nodes and the API server.
	Memory Memory
}

// Post is an eviction under way.
type Post struct {
	// Sent is when it was sent.
	Sent time.Time
	// Proof is true if it is expected to be refused.
	Proof bool
}

// Memory is what the controller remembers between two plans.
type Memory struct {
	Nodes   map[types.UID]NodeMemory
	Pods    map[types.UID]*PodMemory
	Budgets map[types.UID]BudgetMemory
	// Replica is what is known of drainer's other replicas.
	Replica ReplicaMemory
}

// Node is what a plan knows of a Node.
type Node struct {
	Name            string
	UID             types.UID
	ResourceVersion string
	// Annotations are those under api.Prefix.
	Annotations   map[string]string
	Unschedulable bool
	Ready         bool
	// Repelling is true for a node with a NoSchedule or NoExecute taint other
	// than the one that follows from being unschedulable.
	Repelling bool
	// OwnCordon is true if spec.unschedulable is (also) our own wish.
	OwnCordon bool
	// OwnStatus is true if conditions or annotations of ours are on the node.
	OwnStatus bool
	// QueuedTaint is true if the node has our taint.
	QueuedTaint bool
	// InProgress and Drained are the two conditions as they stand.
	InProgress, Drained Condition
}

// Condition is a node condition as it stands on the Node.
type Condition struct {
	Status     corev1.ConditionStatus
	Transition time.Time
}

// Pod is what a plan knows of a pod. It is never changed once made, but for
// what plans remember in it, one after the other, to be found again.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	Node            string
	Labels          labels.Set
	Phase           corev1.PodPhase
	Ready           bool
	// Deadline is the deletion timestamp: when the grace period ends. Zero
	// for a pod that is not terminating.
	Deadline time.Time
	// Grace is the grace period that the deletion was given.
	Grace      time.Duration
	Finalizers []string
	// Stopped is true once no container runs any more.
	Stopped bool
	// Static is true for the mirror of a static pod.
	Static bool
	// Controller is the controlling owner, zero if there is none.
	Controller Owner
	EmptyDir   bool
	// Instructions are the annotations under api.Prefix, sorted.
	Instructions []string

	// matched are the places of the budgets that select the pod, in the list
	// of the epoch; 0 if they have not been looked for.
	matched      []int
	matchedEpoch uint64
	// memory is what is remembered of the pod, to be found without a search;
	// nil if it has to be searched for.
	memory *PodMemory
}

// Owner is a pod's controller.
type Owner struct {
	APIVersion, Kind, Name string
	UID                    types.UID
}

// Key is namespace/name, for messages.
func (p *Pod) Key() string { return p.Namespace + "/" + p.Name }

// Finished is true once the pod's containers will never run again.
func (p *Pod) Finished() bool {
	return p.Phase == corev1.PodSucceeded || p.Phase == corev1.PodFailed
}

// OfDaemonSet is true if a DaemonSet controls the pod.
func (p *Pod) OfDaemonSet() bool {
	return p.Controller.Kind == "DaemonSet" && strings.HasPrefix(p.Controller.APIVersion, "apps/")
}

// Budget is what a plan knows of a PodDisruptionBudget. It is never changed
// once made.
type Budget struct {
	Namespace, Name string
	UID             types.UID
	ResourceVersion string
	Selector        labels.Selector
	// AlwaysAllow is the unhealthyPodEvictionPolicy AlwaysAllow.
	AlwaysAllow bool
	// ZeroBySpec is true if the spec itself leaves no room: maxUnavailable 0,
	// or minAvailable 100%.
	ZeroBySpec bool
	// Observed is false until the disruption controller has seen the spec.
	Observed bool
	// SyncFailed is why the disruption controller cannot compute the budget.
	SyncFailed string

	Allowed, CurrentHealthy, DesiredHealthy, ExpectedPods int32
	// Disrupted are the names of the pods whose disruption is not settled yet.
	Disrupted map[string]bool
}

// Key is namespace/name.
func (b *Budget) Key() string { return b.Namespace + "/" + b.Name }

// NeverAllows is true if no pod under the budget becoming ready can ever make
// room: every pod has to be healthy.
func (b *Budget) NeverAllows() bool {
	if b.ZeroBySpec {
		return true
	}
	return b.Observed && b.SyncFailed == "" && b.ExpectedPods > 0 &&
		b.DesiredHealthy >= b.ExpectedPods && b.CurrentHealthy >= b.ExpectedPods
}

// NamespaceBudgets are the budgets of a namespace.
type NamespaceBudgets struct {
	// Epoch changes whenever a budget comes, goes or selects other pods: while
	// it is the same, a pod is under the same places of List. It is not 0.
	Epoch uint64
	// List is sorted by name.
	List []BudgetView
}

// BudgetView is a budget and how many of its disruptions nobody has reserved.
type BudgetView struct {
	*Budget
	// Free is what a plan may give out: allowed, less our reservations.
	Free int
}
