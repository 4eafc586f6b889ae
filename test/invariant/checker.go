package invariant

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// ID names an invariant.
type ID string

// The invariants.
const (
	// OnlyTargets: no eviction of a pod that need not leave, or on a node
	// without a live request.
	OnlyTargets ID = "I1"
	// Stops: no eviction is received after drainer's own write of Paused or of
	// the release, or later than Rules.Patience after the annotation, or after a
	// pause of everything, a freeze or the end of a window.
	Stops ID = "I2"
	// KeepsBudgets: drainer never leaves a budget with fewer healthy pods than it
	// demands.
	KeepsBudgets ID = "I3"
	// AdmittedOnce: no pod is admitted twice while one process lives.
	AdmittedOnce ID = "I4"
	// DrainedIsEmpty: a node is Drained only when no target is on it.
	DrainedIsEmpty ID = "I5"
	// Finishes: every requested node reaches Drained once faults stop, and stays
	// so while no target comes.
	Finishes ID = "I6"
	// OwnCordonOnly: another's cordon is never removed, and drainer's always is.
	OwnCordonOnly ID = "I7"
	// CountsAnswers: the counters equal what was answered, by code.
	CountsAnswers ID = "I8"
	// KeepsLimits: limits over nodes hold at every instant, and no drain begins
	// outside of its window, in a freeze or while everything is paused.
	KeepsLimits ID = "I9"
)

// Violation is something that must never happen, and has.
type Violation struct {
	Invariant ID
	At        time.Time
	Text      string
}

// String is a line for people.
func (v Violation) String() string {
	return fmt.Sprintf("%s violated at %s: %s", v.Invariant, v.At.UTC().Format("15:04:05.000"), v.Text)
}

// BarePods is what happens to pods without a controller.
type BarePods int

// What happens to them.
const (
	BlockBarePods BarePods = iota
	EvictBarePods
	IgnoreBarePods
)

// Rules are how drainer was told to behave, and how late it may know things.
type Rules struct {
	// Patience is how long drainer may take to act on a change of a node: a
	// second, and NodeLag.
	Patience time.Duration
	// NodeLag is the maximum lag of watches of nodes.
	NodeLag time.Duration
	// PodLag is the maximum lag of watches of pods and DaemonSets.
	PodLag time.Duration

	BarePods      BarePods
	BlockEmptyDir bool
	// Pods is what the rules say about a pod; nil if there are none.
	Pods func(*corev1.Pod) Verdict
	Limits
	AllowLastNode bool
	// AllowDelete lets requests delete pods, in other namespaces than NeverDelete.
	AllowDelete bool
	NeverDelete []string
	// UnreachableAfter is how long a node must have been unreachable to be drained
	// with pods past their grace period; 0 for never.
	UnreachableAfter time.Duration
	// WaitsForVolumes keeps nodes from being drained while volumes are attached that no
	// pod on the node uses.
	WaitsForVolumes bool
	// Paces lets the pods of a controller that no budget selects leave one at a time.
	Paces bool
	// BudgetLag is the maximum lag of watches of budgets.
	BudgetLag time.Duration
	// Served selects the nodes that drainer serves; nil for all.
	Served func(*corev1.Node) bool
	// Marked are the rules for marked nodes.
	Marked []MarkRule
	Hours
}

// Actor is who changed or asked for something.
type Actor int

// The actors.
const (
	// Others is everybody but drainer.
	Others Actor = iota
	// Daemon is the process of drainer that runs.
	Daemon
	// Late is a process that has ended: its request was under way.
	Late
)

// Eviction is a POST to pods/eviction, or a DELETE of a pod.
type Eviction struct {
	Pod types.NamespacedName
	// UID is the precondition.
	UID types.UID
	By  Actor
	// Deletes is true for a DELETE, whose grace period is in seconds.
	Deletes bool
	Grace   int64
}

// Checker is told observations in the order in which they happened, and keeps
// what was violated. Objects that it is told of must not be changed afterwards.
type Checker struct {
	rules      Rules
	violations []Violation
	nodes      map[string]*node
	// removed are the times at which nodes ceased to be served.
	removed []time.Time
	// left are the times at which targets terminated that are gone, by node.
	left map[string][]period
	pods map[types.NamespacedName]*pod
	// attached are the volumes that are attached, by the names of their
	// VolumeAttachments, listedAttachments is when drainer last listed them.
	attached          map[string]attached
	listedAttachments time.Time
	daemonSets        map[types.UID]bool
	// orphaned is when a DaemonSet was deleted.
	orphaned map[types.UID]time.Time
	budgets  map[types.NamespacedName]*budget
	// paused is since when everything is paused; zero if it is not.
	paused time.Time
	// admitted are the pods whose eviction the running process had admitted,
	// disrupted those of all processes.
	admitted, disrupted map[types.UID]bool
	// refused is when the API server last refused to evict a pod, forced the last
	// deletion past a budget.
	refused map[types.UID]time.Time
	forced  map[types.UID]forced
	// evicted are the last evictions of pods that no budget selects, by controller, of
	// the running process; sent is when evictions were received, rebudgeted when it last
	// changed which pods budgets select.
	evicted    map[types.UID]*eviction
	sent       map[types.UID]time.Time
	rebudgeted time.Time
	// budgetsChanged is true until it is known when that was.
	budgetsChanged bool
	// latched is since when rules for marked nodes are latched, by their places.
	latched map[int]time.Time
	// processes counts those of drainer that were started.
	processes int
	// answers counts, by code, what the running process was answered.
	answers map[string]int
}

// New makes a checker that has not seen anything.
func New(r Rules) *Checker {
	if r.Served == nil {
		r.Served = func(*corev1.Node) bool { return true }
	}
	return &Checker{
		rules: r, nodes: map[string]*node{}, left: map[string][]period{}, pods: map[types.NamespacedName]*pod{}, attached: map[string]attached{},
		daemonSets: map[types.UID]bool{}, orphaned: map[types.UID]time.Time{}, budgets: map[types.NamespacedName]*budget{},
		admitted: map[types.UID]bool{}, disrupted: map[types.UID]bool{}, refused: map[types.UID]time.Time{}, forced: map[types.UID]forced{}, answers: map[string]int{},
		latched: map[int]time.Time{}, evicted: map[types.UID]*eviction{}, sent: map[types.UID]time.Time{},
	}
}

// Violations are those found so far, oldest first.
func (c *Checker) Violations() []Violation { return c.violations }

func (c *Checker) violated(id ID, at time.Time, format string, args ...any) {
	c.violations = append(c.violations, Violation{Invariant: id, At: at, Text: fmt.Sprintf(format, args...)})
}

// Started: a process of drainer started, and remembers nothing.
func (c *Checker) Started() {
	c.processes++
	c.admitted, c.answers, c.evicted = map[types.UID]bool{}, map[string]int{}, map[types.UID]*eviction{}
}

// Answered: an eviction of the running process was answered with the code, or
// with "error" if it was not answered.
func (c *Checker) Answered(code string) { c.answers[code]++ }

// Counted: the counters of the running process say so many answers by code. A
// code that was not answered may be missing or 0.
func (c *Checker) Counted(at time.Time, counters map[string]int) {
	for code, n := range c.answers {
		if counters[code] != n {
			c.violated(CountsAnswers, at, "%d evictions were answered %s, and %d are counted", n, code, counters[code])
		}
	}
	for code, n := range counters {
		if n != 0 && c.answers[code] == 0 {
			c.violated(CountsAnswers, at, "no eviction was answered %s, and %d are counted", code, n)
		}
	}
}

// DaemonSet: from now on a DaemonSet exists, or no longer exists.
func (c *Checker) DaemonSet(at time.Time, uid types.UID, exists bool) {
	c.daemonSets[uid] = exists
	if !exists {
		c.orphaned[uid] = at
	}
}

// Budget: a budget was created, changed or deleted.
func (c *Checker) Budget(b *policyv1.PodDisruptionBudget, deleted bool) {
	key := types.NamespacedName{Namespace: b.Namespace, Name: b.Name}
	if was := c.budgets[key]; deleted || was != nil && was.Generation != b.Generation {
		c.budgetsChanged = true
	}
	if deleted {
		delete(c.budgets, key)
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		selector = labels.Nothing()
	}
	is := &budget{PodDisruptionBudget: b, selector: selector, before: b.Status.CurrentHealthy}
	if was := c.budgets[key]; was != nil {
		if onlySpent(was.PodDisruptionBudget, b) {
			is.lost = was.lost
		}
		if is.before = was.before; was.Status.CurrentHealthy != b.Status.CurrentHealthy {
			is.before = was.Status.CurrentHealthy
		}
	}
	c.budgets[key] = is
}
