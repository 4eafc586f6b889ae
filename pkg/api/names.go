package api

// Prefix begins every annotation and taint key of the protocol. A key under it
// that this package does not know makes a request invalid, so that a typo
// cannot turn into a drain that nobody asked for.
const Prefix = "drainer.dev/"

// HoldPrefix begins the annotations with which others keep a node from being
// released. The rest of the key names who holds the node, and the value says
// why. drainer reads these annotations and never writes them.
const HoldPrefix = "hold." + Prefix

// Annotations that users write on a Node.
const (
	// DrainAnnotation asks for a drain; its value is the request's ID.
	DrainAnnotation = Prefix + "drain"
	// PausedAnnotation holds a request: nothing is sent while it is "true".
	PausedAnnotation = Prefix + "paused"
	// NotBeforeAnnotation is the RFC 3339 time before which nothing starts.
	NotBeforeAnnotation = Prefix + "not-before"
	// TimeoutAnnotation overrides --drain-timeout with a Go duration.
	TimeoutAnnotation = Prefix + "timeout"
	// OnTimeoutAnnotation overrides --on-timeout.
	OnTimeoutAnnotation = Prefix + "on-timeout"
	// DeadlineAnnotation is the RFC 3339 time at which the node disappears: the drain
	// begins at once, and does what it can until then.
	DeadlineAnnotation = Prefix + "deadline"
	// PriorityAnnotation is an integer: nodes with a higher one begin first, those
	// with the same by age.
	PriorityAnnotation = Prefix + "priority"
	// IgnoreWindowsAnnotation makes a request ignore windows and freezes while it
	// is "true", for emergencies.
	IgnoreWindowsAnnotation = Prefix + "ignore-windows"
	// GracePeriodAnnotation overrides the pods' own grace period, in seconds.
	GracePeriodAnnotation = Prefix + "grace-period"
	// DryRunAnnotation asks what would happen to each pod; nothing is cordoned
	// or evicted. A request that began as a dry run stays one.
	DryRunAnnotation = Prefix + "dry-run"
	// RequestedByAnnotation and ReasonAnnotation say who asks and why. They are
	// claims that are shown, and nothing depends on them.
	RequestedByAnnotation = Prefix + "requested-by"
	ReasonAnnotation      = Prefix + "reason"
)

// Annotations on pods, which count in namespaces that the configuration trusts.
const (
	// PodActionAnnotation is Evict, Ignore or WaitCompleted.
	PodActionAnnotation = Prefix + "pod-action"
	// PodOrderAnnotation is an integer: pods with a higher one leave once those with
	// a lower one are gone.
	PodOrderAnnotation = Prefix + "pod-order"
)

// Annotations that drainer writes on a Node.
const (
	// DrainedAnnotation holds the ID of the request that is Drained.
	DrainedAnnotation = Prefix + "drained"
	// StatusAnnotation holds a Status as JSON.
	StatusAnnotation = Prefix + "status"
	// MarksAnnotation holds Marks as JSON: what the rules for marked nodes have
	// requested on the Node.
	MarksAnnotation = Prefix + "marks"
	// LatchedAnnotation holds the rules for marked nodes that request nothing on any
	// node until somebody has removed it, separated by commas.
	LatchedAnnotation = Prefix + "latched"
)

// QueuedTaint asks the scheduler to avoid a node that is queued. Its effect is
// PreferNoSchedule.
const QueuedTaint = Prefix + "queued"

// Field managers. The cordon and the status are applied under two names
// because an apply states everything that its manager wants: under one name
// each write would remove what the other wrote.
const (
	CordonFieldManager = "drainer"
	StatusFieldManager = "drainer-status"
	TaintFieldManager  = "drainer-queue"
	// MarksFieldManager requests drains of marked nodes, which is no apply: people
	// change and remove these requests like any other.
	MarksFieldManager = "drainer-marks"
)

// Phase is where a request stands. It is also the reason of both conditions.
type Phase string

// The phases of a request.
const (
	Queued         Phase = "Queued"
	Draining       Phase = "Draining"
	Blocked        Phase = "Blocked"
	Paused         Phase = "Paused"
	TimedOut       Phase = "TimedOut"
	Drained        Phase = "Drained"
	InvalidRequest Phase = "InvalidRequest"
	// DryRun is the phase of a request that only asks for verdicts.
	DryRun Phase = "DryRun"
	// Held is the phase of a node whose request was removed and that stays cordoned
	// because others hold it.
	Held Phase = "Held"
)

// Phases lists every phase, in the order of a request's life.
func Phases() []Phase {
	return []Phase{Queued, Draining, Blocked, Paused, TimedOut, Drained, InvalidRequest, DryRun, Held}
}

// OnTimeout says what happens when a drain takes longer than its timeout.
type OnTimeout string

// What may happen at the timeout.
const (
	// Wait continues to evict and reports TimedOut.
	Wait OnTimeout = "Wait"
	// Stop sends no further eviction; the cordon stays.
	Stop OnTimeout = "Stop"
	// Release sends no further eviction and uncordons the node, which waits for a
	// request with another ID.
	Release OnTimeout = "Release"
	// Delete continues, and deletes pods past the budgets that hold them. It has
	// to be allowed in drainer's configuration.
	Delete OnTimeout = "Delete"
)
