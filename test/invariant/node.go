package invariant

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
)

// node is what is known of a node of a name.
type node struct {
	name string
	// Node is nil while there is none.
	*corev1.Node
	// request, asked and invalid are what people ask for.
	request        api.Request
	asked, invalid bool
	// said is the status that drainer wrote last, saidAt when, and saidBy in the
	// time of which process; says is false while there is none.
	said   api.Status
	saidAt time.Time
	saidBy int
	says   bool
	// takenUp is true if that continues with what a process before was doing.
	takenUp bool
	// changed is when evictions ceased to be wanted, resumed when they began to
	// be; wasLive is true once they have been. asking is when the request itself
	// last changed.
	changed, resumed, asking time.Time
	wasLive                  bool
	// begun is when drainer said last that the drain began at another time.
	begun time.Time
	// kept is the request of a drain under way that another one took the place
	// of: it continues until drainer says something about that one.
	kept string
	// removed is when the request of a drain under way was removed; again is true
	// if there was another so soon that drainer may not have seen it, until drainer
	// says something.
	removed time.Time
	again   bool

	// draining is true while the node counts against the limit, since entered;
	// started is true if it does because drainer began, and not because a drain
	// that was done or had given up continues.
	draining, started bool
	entered           time.Time
	// late is true if the process that began had ended.
	late bool
	// open is true while the node is schedulable and Ready; closed is when
	// others than drainer ended that, opened when it last began.
	open           bool
	closed, opened time.Time
	// cordoned is since when the node is unschedulable, unready since when it is
	// not Ready, and removing since when an autoscaler says that it removes it;
	// zero while it is not so.
	cordoned, unready, removing time.Time
	// reopened is true after others uncordoned the node while it was drained: what
	// was done continues, and holds its place, before drainer says so.
	reopened bool
	// calmed is when the request last ceased to be urgent; hasty is true for a drain
	// that began while it was.
	calmed time.Time
	hasty  bool
	// relapsed is when another request or setting last came that a drain which had
	// given up may continue for.
	relapsed time.Time
	// before is what people asked for before the last change, at the time asking.
	before api.Request
	// holding is since when others hold the node; zero if they do not.
	holding time.Time
	// listed is when drainer last listed its pods to see whether it is drained.
	listed time.Time
	// disturbed is when something last happened after which it may no longer be
	// drained.
	disturbed time.Time
	// found is how many pods that list had which drainer could know to be targets, and
	// how many besides that it may not have known to be.
	found, perhaps int
	// marks are what is known of the node for each of Rules.Marked.
	marks []mark
}

// Node: a node was created, changed or deleted.
func (c *Checker) Node(at time.Time, is *corev1.Node, deleted bool, by Actor) {
	n := c.nodes[is.Name]
	if n == nil {
		n = &node{name: is.Name}
		c.nodes[is.Name] = n
	}
	live, urgent, stopped, before := n.silent(at) == "", n.urgent(at), c.gaveUp(at, n), n.request
	lost := c.lost(n)
	n.wasLive = n.wasLive || live
	if was := n.Node; was != nil && (deleted || was.UID != is.UID) {
		if c.rules.Served(was) {
			c.removed = append(c.removed, at)
		}
		n.forget()
	}
	was := n.Node
	if n.Node = is; deleted {
		n.Node = nil
	}
	if !lost.IsZero() && !at.Before(lost) && !c.unreachable(n, at) {
		c.foundAgain(at, n, lost)
	}
	n.read(at, was, c)
	n.hold(at)
	if urgent && !n.urgent(at) {
		n.calmed = at
	}
	if n.asking.Equal(at) {
		n.before = before
	}
	if stopped && !c.gaveUp(at, n) {
		n.relapsed = at
	}
	if now := n.silent(at) == ""; live != now {
		if n.changed = at; now {
			n.changed, n.resumed = time.Time{}, at
		}
	}
	if was != nil && !deleted {
		n.reopened = n.reopened || by == Others && was.Spec.Unschedulable && !is.Spec.Unschedulable && n.said.FinishedAt != nil
		c.judgeCordon(at, was, is, by)
		c.judgeHold(at, n, was, is, by)
		c.judgeDrained(at, n, was, is)
		c.judgeStays(at, n, was, is, by)
	}
	c.follow(at, n, by)
	c.followMarks(at, n, was, n.Node, by)
	n.note(at)
}

// forget drops what is known of a node that is gone, but for what its pods'
// evictions may still follow from.
func (n *node) forget() {
	*n = node{name: n.name, Node: nil, changed: n.changed, wasLive: n.wasLive}
}

// read takes in what the node's annotations say.
func (n *node) read(at time.Time, was *corev1.Node, c *Checker) {
	if n.Node == nil {
		n.asked, n.says, n.said = false, false, api.Status{}
		return
	}
	request, asked, err := api.RequestOf(n.Annotations)
	invalid := err != nil || c.disallowed(request)
	if asked != n.asked || invalid != n.invalid || was == nil || !sameRequest(was.Annotations, n.Annotations) {
		n.asking = at
	}
	if n.asked && !asked && n.draining {
		n.removed = at
	}
	switch {
	case !asked:
		n.kept = ""
	case !n.asked && n.says && at.Sub(n.removed) <= c.rules.Patience:
		// It is not released: drainer may not have seen that there was no request.
		n.again = true
	case n.asked && n.request.ID != request.ID && c.holdsPlace(at, n):
		n.kept = n.said.Request
	}
	if invalid && n.asked {
		// What it said of timeouts before counts for the limits.
		id := request.ID
		request = n.request
		request.ID = id
	}
	n.request, n.asked, n.invalid = request, asked, invalid
	text, says := n.Annotations[api.StatusAnnotation]
	if was != nil && n.says == says && was.Annotations[api.StatusAnnotation] == text {
		return
	}
	before := n.said.StartedAt
	underway := was != nil && inProgress(was) || n.said.Phase == api.InvalidRequest && n.said.StartedAt != nil
	n.takenUp = n.reopened || n.again || underway && n.saidBy < c.processes
	n.reopened, n.again = false, false
	n.says, n.said, n.saidBy = says, api.Status{}, c.processes
	if was != nil || says {
		n.saidAt = at
	}
	if status, err := api.ParseStatus(text); err == nil {
		n.said = status
	}
	if now := n.said.StartedAt; now != nil && (before == nil || !before.Equal(*now)) {
		n.begun = at
	}
}

// sameRequest compares what people ask for.
func sameRequest(a, b map[string]string) bool {
	for _, key := range []string{
		api.DrainAnnotation, api.PausedAnnotation, api.TimeoutAnnotation, api.OnTimeoutAnnotation, api.NotBeforeAnnotation, api.GracePeriodAnnotation,
		api.DryRunAnnotation, api.IgnoreWindowsAnnotation, api.DeadlineAnnotation,
	} {
		if a[key] != b[key] {
			return false
		}
	}
	return true
}

// silent says why nothing may be evicted from the node; empty if it may.
func (n *node) silent(at time.Time) string {
	switch {
	case n.Node == nil:
		return "is gone"
	case !n.asked:
		return "has no request"
	case n.invalid:
		return "has an invalid request"
	case n.dryRun():
		return "has a dry run"
	case n.paused(at):
		return "is paused"
	case at.Before(n.notBefore(at)) && !ownsCordon(n.Node):
		return "has to wait until " + n.request.NotBefore.Format(time.RFC3339)
	default:
		return ""
	}
}

// dryRun is true for a request that is one, or began as one.
func (n *node) dryRun() bool {
	return n.request.DryRun || n.said.Verdicts != nil && n.said.Request == n.request.ID
}

// acknowledged is true if drainer has written what the node is silent for. What
// it wrote may be about an earlier change that it learned of late.
func (n *node) acknowledged(lag time.Duration) bool {
	if n.Node == nil || n.saidAt.Before(n.changed) || n.saidAt.Sub(n.resumed) <= lag {
		return false
	}
	if !n.asked {
		return !n.says && !ownsCordon(n.Node) || n.said.Phase == api.Held
	}
	return n.said.Phase == api.Paused && n.request.Paused || n.said.Phase == api.InvalidRequest && (n.invalid || n.dryRun())
}

// gaveUp is true if drainer has written that the drain took too long and is no longer
// in progress, and nothing has been requested since.
func (n *node) gaveUp(lag time.Duration) bool {
	return n.said.Phase == api.TimedOut && !inProgress(n.Node) && n.saidAt.Sub(n.asking) > lag
}

// judgeCordon: what the API server has recorded as another's wish is never
// overruled, and nothing of drainer's own stays when it has released a node.
func (c *Checker) judgeCordon(at time.Time, was, is *corev1.Node, by Actor) {
	_, said := was.Annotations[api.StatusAnnotation]
	if _, says := is.Annotations[api.StatusAnnotation]; by != Others && said && !says && ownsCordon(is) {
		c.violated(OwnCordonOnly, at, "node %s is released by drainer and still cordoned by it", is.Name)
	}
	if by != Others && was.Spec.Unschedulable && !is.Spec.Unschedulable && othersCordon(was) {
		c.violated(OwnCordonOnly, at, "node %s is uncordoned by drainer although another cordoned it, too", is.Name)
	}
}

func othersCordon(n *corev1.Node) bool {
	return slices.ContainsFunc(n.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager != api.CordonFieldManager && cordonEntry(&e)
	})
}

// ownsCordon is true if drainer wants the node to be unschedulable.
func ownsCordon(n *corev1.Node) bool {
	return slices.ContainsFunc(n.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == api.CordonFieldManager && cordonEntry(&e)
	})
}

func cordonEntry(e *metav1.ManagedFieldsEntry) bool {
	return e.Subresource == "" && e.FieldsV1 != nil && strings.Contains(e.FieldsV1.GetRawString(), `"f:unschedulable"`)
}
