package plan

// Reason names why a request was answered as it was, or why a pod is still
// there. It is a metric label and a field of the status annotation.
type Reason string

// Reasons of an answer to an eviction. Those from BudgetExhausted to
// NamespaceTerminating and ServerError are also reasons of a blocked pod.
const (
	Admitted   Reason = "admitted"
	Gone       Reason = "gone"
	Contention Reason = "contention"
	Unknown    Reason = "unknown"
	Invalid    Reason = "invalid"

	BudgetExhausted  Reason = "budget_exhausted"
	BudgetUnsynced   Reason = "budget_unsynced"
	BudgetSyncFailed Reason = "budget_sync_failed"
	MultipleBudgets  Reason = "multiple_budgets"
	Throttled        Reason = "throttled"
	Webhook          Reason = "webhook"
	// Evacuating: a webhook tells drainer to wait, as some do while they move the pod themselves.
	Evacuating           Reason = "evacuating"
	Forbidden            Reason = "forbidden"
	NamespaceTerminating Reason = "namespace_terminating"
	ServerError          Reason = "server_error"
)

// Further reasons of a blocked pod.
const (
	BudgetNeverAllows Reason = "budget_never_allows"
	BarePod           Reason = "bare_pod"
	EmptyDirVolume    Reason = "empty_dir"
	Policy            Reason = "policy"
	Order             Reason = "order"
	Completion        Reason = "completion"
	Returning         Reason = "returning"
	Pace              Reason = "pace"
)

// Reasons of a terminating pod.
const (
	GracePeriod Reason = "grace_period"
	Finalizer   Reason = "finalizer"
	Kubelet     Reason = "kubelet"
	// NodeUnreachable: nothing confirms that the pod has ended.
	NodeUnreachable Reason = "node_unreachable"
)

// Volume is the reason of a drain whose pods are gone, and whose volumes are still
// attached to the node.
const Volume Reason = "volume"

// BlockedReasons lists every reason of a blocked pod.
func BlockedReasons() []Reason {
	return []Reason{
		BudgetExhausted, BudgetNeverAllows, MultipleBudgets, BudgetUnsynced, BudgetSyncFailed,
		Throttled, Webhook, Evacuating, Forbidden, NamespaceTerminating, BarePod, EmptyDirVolume,
		Policy, Order, Completion, Returning, Pace, ServerError,
	}
}

// TerminatingReasons lists every reason of a terminating pod.
func TerminatingReasons() []Reason { return []Reason{GracePeriod, Finalizer, Kubelet, NodeUnreachable} }

// blocks is the reason of a pod whose eviction was answered with r.
func (r Reason) blocks() Reason {
	switch r {
	case Contention, Unknown:
		return ServerError
	case Invalid:
		return Policy
	default:
		return r
	}
}

// Uncertain is true for answers that do not say whether the eviction happened:
// the API server may still have carried it out, whatever broke in front of it.
func (r Reason) Uncertain() bool { return r == Unknown || r == ServerError }

// byBudget is true for refusals that a budget's own change ends.
func (r Reason) byBudget() bool {
	switch r {
	case BudgetExhausted, BudgetNeverAllows, BudgetUnsynced, BudgetSyncFailed, MultipleBudgets:
		return true
	default:
		return false
	}
}

// lasting is true if waiting alone cannot let the pod leave.
func (r Reason) lasting() bool {
	switch r {
	case BudgetNeverAllows, MultipleBudgets, BudgetSyncFailed, BarePod, EmptyDirVolume, Policy, Forbidden:
		return true
	default:
		return false
	}
}
