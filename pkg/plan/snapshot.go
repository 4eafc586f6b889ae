package plan

import (
	"cmp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is everything that a plan is made from. Nobody may change it, or
// what it points to, while a plan is made.
type Snapshot struct {
	Now time.Time
	// Began is when this process, or its term as the leader, began.
	Began  time.Time
	Config Config
	// Control holds everything up, if it says so.
	Control Control
	// Nodes are all nodes of the cluster, in any order.
	Nodes []*Node
	// Pods are the pods of the watched nodes, by node name, in order of
	// namespace and name. A node whose list is not complete yet is absent.
	Pods map[string][]*Entry
	// DaemonSets are the DaemonSets that exist.
	DaemonSets map[types.UID]bool
	// NamespaceLabels are the labels of the namespaces that are known, by name, as
	// far as Config.Rules look at them: see Rules.LabelsOf.
	NamespaceLabels map[string]labels.Set
	// Scales are the scales of controllers, as far as they were read for
	// Config.Rules.
	Scales map[types.UID]ScaleMemory
	// Budgets are the PodDisruptionBudgets by namespace. Without policy/v1 there
	// are none, and nothing is predicted.
	Budgets map[string]NamespaceBudgets
	// Unconfirmed are the budgets that do not show an eviction of ours yet.
	Unconfirmed []Unconfirmed
	// Pending counts the pods that the scheduler finds no node for, where
	// Config.PendingPods limits them.
	Pending int
	// Throttled is until when the API server asked for no evictions.
	Throttled time.Time
	// Careful is true from then on until the server admits or refuses one
	// eviction for another reason: they are sent one at a time.
	Careful bool
	// InFlight are the pods whose eviction is being sent.
	InFlight map[types.UID]Post

	// Memory is what earlier plans and facts left behind. Losing it costs time,
	// never correctness: it is rebuilt from the Nodes and the API server.
	Memory *Memory
}

// Post is an eviction under way.
type Post struct {
	// Sent is when it was sent.
	Sent time.Time
	// Probe is true if it is expected to be refused.
	Probe bool
	// Budgets are those that a deletion goes past; none for an eviction.
	Budgets []types.UID
	// Slow is true once it has taken so long that others are sent beside it.
	Slow bool
}

// Unconfirmed is a budget that does not show an eviction of ours, and since
// when the oldest such eviction has been answered.
type Unconfirmed struct {
	Budget types.NamespacedName
	Since  time.Time
}

// Node is what a plan knows of a Node.
type Node struct {
	Name            string
	UID             types.UID
	ResourceVersion string
	// Served is false for a node that --node-selector does not match.
	Served bool
	// Ignored is true for a node that never counts as unavailable.
	Ignored bool
	// Pool is the name of the node's pool; empty if it is in none.
	Pool string
	// PoolValue is the value of the label that names the pools of nodes for people,
	// as Selectors.PoolLabel says; it limits nothing.
	PoolValue string
	// Groups are the values of the labels by which nodes are grouped, in the
	// order of Config.Groups; empty for a node without the label.
	Groups []string
	// Created is when the Node was created.
	Created time.Time
	// Deleting is true once somebody has deleted the Node and its finalizers
	// still hold it.
	Deleting bool
	// Windows are the places of the windows that select the node.
	Windows []int
	// Marks are what marks the node, in the order of Config.Requests.
	Marks []Mark
	// ProviderID names the machine at its cloud provider; empty if nothing does.
	ProviderID string
	// Annotations are those under api.Prefix and api.HoldPrefix.
	Annotations   map[string]string
	Unschedulable bool
	Ready         bool
	// Unreachable is true while nobody knows whether the node is Ready: its
	// kubelet does not report.
	Unreachable bool
	// ReadySince is since when Ready and Unreachable are as they are.
	ReadySince time.Time
	// RemovalTaint is the taint by which an autoscaler says that it removes the
	// node; empty if there is none.
	RemovalTaint string
	// Repelling is true for a node with a NoSchedule or NoExecute taint other
	// than the one that follows from being unschedulable.
	Repelling bool
	// Labels are all labels of the Node.
	Labels labels.Set
	// Taints are those that keep pods away, other than the one that follows from
	// being unschedulable.
	Taints []corev1.Taint
	// OwnCordon is true if spec.unschedulable is (also) set by us.
	OwnCordon bool
	// OwnStatus is true if conditions or annotations of ours are on the node.
	OwnStatus bool
	// QueuedTaint is true if the node has our taint.
	QueuedTaint bool
	// InProgress and Drained are the two conditions as they stand.
	InProgress, Drained Condition
}

// PoolName is what people call the node's pool: that of the configuration, or else
// PoolValue; empty without either.
func (n *Node) PoolName() string { return cmp.Or(n.Pool, n.PoolValue) }

// Condition is a node condition as it stands on the Node.
type Condition struct {
	Status     corev1.ConditionStatus
	Transition time.Time
}

// Pod is what a plan knows of a pod. It is never changed once made.
type Pod struct {
	Namespace, Name string
	UID             types.UID
	Node            string
	Labels          Labels
	Phase           corev1.PodPhase
	// Deadline is the deletion timestamp: when the grace period ends. Zero
	// for a pod that is not terminating.
	Deadline time.Time
	// Grace is the grace period that the deletion was given.
	Grace time.Duration
	// Finalizers are listed as in a sentence.
	Finalizers string
	// Controller is the controlling owner, zero if there is none.
	Controller Owner
	// OwnGrace is the grace period that the pod itself asks for.
	OwnGrace time.Duration
	// Instructions are the annotations under api.Prefix that do not count, sorted;
	// with Claims they count if the labels of the namespace say so.
	Instructions []string
	// Claims are what the annotations say; nil if they count in any case, or never.
	Claims *Claims
	// Rules are those of the configuration that match the pod itself, in order, up
	// to the first that nothing else decides about.
	Rules []*Rule
	// OwnOrder is the order that the pod's own annotation gives it; nil if none
	// counts.
	OwnOrder *int
	// Departure is what its spec says about how it leaves; nil for nothing.
	Departure *Departure
	// Placement is what the pod asks of the node that it runs on, encoded; empty if
	// that is not known, or the pod is not placed again once it leaves its node.
	Placement string
	// Created is when the pod was created, in Unix time.
	Created int64
	// These are together to save memory: there may be very many pods.

	Ready bool
	// Stopped is true once no container is running.
	Stopped bool
	// Static is true for the mirror of a static pod.
	Static   bool
	EmptyDir bool
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
	// Controller is what manages the budget, as Kind name; empty if nothing does.
	Controller string
	// SyncFailed is why the disruption controller cannot compute the budget.
	SyncFailed string

	Allowed, CurrentHealthy, DesiredHealthy, ExpectedPods int32
	// Disrupted are the names of the pods whose disruption is not settled yet.
	Disrupted map[string]bool
}

// Key is namespace/name.
func (b *Budget) Key() string { return b.Namespace + "/" + b.Name }

// Ref names the budget.
func (b *Budget) Ref() types.NamespacedName {
	return types.NamespacedName{Namespace: b.Namespace, Name: b.Name}
}

// NeverAllows is true if no pod under the budget becoming ready can ever make
// room: every pod has to be healthy. It says nothing about what the budget
// allows now, which may be more while a rollout surges.
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
