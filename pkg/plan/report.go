package plan

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// Report is what a node says about its request, to people and to programs.
type Report struct {
	Status              api.Status
	InProgress, Drained corev1.ConditionStatus
	// Queued is what the node waits for in the phase Queued.
	Queued Queueing
	// Interrupted is what a drain that has begun waits for in the phase Paused, if the
	// time interrupts it: a window, or the end of a freeze.
	Interrupted Queueing
	// Unfinishable is true for a drain that cannot finish, however long it waits.
	Unfinishable bool
	// Message is the message of both conditions.
	Message string
}

// Done is the report of the same node once it is drained at the time, with the number of pods that
// are unconfirmed.
func (r Report) Done(at time.Time, unconfirmed int) Report {
	r.Status.Pods.Unconfirmed = unconfirmed
	r.Status.Phase, r.Status.FinishedAt = api.Drained, &at
	r.InProgress, r.Drained = corev1.ConditionFalse, corev1.ConditionTrue
	r.Status.Result = string(resultOf(Result(r.Status.Result), api.Drained))
	if r.Status.Reason == string(Volume) {
		r.Status.Reason = ""
	}
	if v := r.Status.Volumes; v != nil {
		r.Status.Volumes = &api.Volumes{Attached: v.Attached, Since: v.Since}
	}
	r.Message = drainedMessage(&r.Status)
	return r
}

// Written is what this process last wrote to a Node.
type Written struct {
	// Report is the last report, Text its status as it stands in the
	// annotation; empty before the first.
	Report Report
	Text   string
	// At is when it was written, Since when the last change of phase was.
	At, Since time.Time
	// ComparedAt is when the report was last compared word by word.
	ComparedAt time.Time
	// Version is the resourceVersion that the last write gave the Node. A cache
	// that shows an older one does not show our writes yet. VersionAt is when
	// that was last known to be the newest.
	Version   string
	VersionAt time.Time
}

// unseenFor is how long a write may not show in the cache before the Node is
// read from the API server.
const unseenFor = 10 * time.Second

const (
	// progressInterval is how often progress is written once a phase has lasted
	// for a while. Every write reaches every watcher of nodes.
	progressInterval = 10 * time.Second
	// queueInterval is how often, at most, a report is written of which only the place in
	// the queue has changed, and perQueued what each queued node adds to it.
	queueInterval = time.Minute
	perQueued     = 100 * time.Millisecond
)

// progressSteps are when progress is written after a change of phase. From the
// last one on it is written every progressInterval.
var progressSteps = []time.Duration{time.Second, 3 * time.Second, progressInterval}

// nextAt is when progress may be written next.
func (w Written) nextAt() time.Time { return w.stepAfter(w.At) }

// stepAfter is the first of the times for progress that is later.
func (w Written) stepAfter(at time.Time) time.Time {
	for _, step := range progressSteps {
		if next := w.Since.Add(step); next.After(at) {
			return next
		}
	}
	return at.Add(progressInterval)
}

// writes is true if the node's report differs from what the Node says and is to
// be written now. Otherwise it makes sure that the next plan comes in time.
func (p *planner) writes(n *nodeWork, plan *NodePlan) bool {
	w := &plan.Memory.Written
	if at := p.Began.Add(progressInterval); w.Text == "" && n.memory.working() && !n.memory.Counted && p.Now.Before(at) {
		// What the previous process wrote says more than this one knows yet.
		p.wakeAt(at)
		return false
	}
	at := w.nextAt()
	due := phaseChanged(w.Report.Status, plan.Facts.Status) || !p.Now.Before(at)
	if w.Text == "" || !OlderVersion(n.node.ResourceVersion, w.Version) {
		// What the Node itself says counts: somebody may have changed it.
		if n.node.Annotations[api.StatusAnnotation] != w.Text || wrongMarks(plan) {
			p.wakeAt(at)
			// Not at once: whoever changed it may do so again.
			return due
		}
	}
	switch {
	case !due:
		p.wakeAt(at)
		return false
	case w.Report.Status.Pods != plan.Facts.Status.Pods || p.Now.Before(at) || w.Report.Queued != plan.Facts.Queued,
		w.Report.Unfinishable != plan.Facts.Unfinishable:
		return true
	}
	return p.wordsChanged(w, plan)
}

// wordsChanged compares the report word by word, from time to time.
func (p *planner) wordsChanged(w *Written, plan *NodePlan) bool {
	next := w.stepAfter
	if plan.Phase == api.Queued {
		interval := max(queueInterval, time.Duration(len(p.nodes))*perQueued)
		next = func(at time.Time) time.Time { return at.Add(interval) }
	}
	if at := next(w.ComparedAt); p.Now.Before(at) {
		p.wakeAt(at)
		return false
	}
	w.ComparedAt = p.Now
	p.wakeAt(next(p.Now))
	r := plan.Report()
	return r.Status.Format() != w.Text || r.Message != w.Report.Message
}

// phaseChanged is true for what has to be written at once. That includes the first
// count of the pods: a process that takes over counts from there.
func phaseChanged(was, is api.Status) bool {
	return was.Phase != is.Phase || judged(was) != judged(is) || was.Request != is.Request || (was.StartedAt == nil) != (is.StartedAt == nil) ||
		(was.ReleasedAt == nil) != (is.ReleasedAt == nil) || newDeadline(was.Deadline, is.Deadline) ||
		was.Pods.Present()+was.Pods.Ignored == 0 && is.Pods.Present()+is.Pods.Ignored > 0
}

func judged(s api.Status) bool { return s.Verdicts != nil && s.Verdicts.At != nil }

// wrongMarks is true if the node's conditions or the drained annotation are
// not those of the plan.
func wrongMarks(plan *NodePlan) bool {
	id := ""
	if plan.Facts.Drained == corev1.ConditionTrue {
		id = plan.Facts.Status.Request
	}
	node := plan.Node
	return node.Annotations[api.DrainedAnnotation] != id ||
		plan.wrong(node.InProgress, plan.Facts.InProgress) || plan.wrong(node.Drained, plan.Facts.Drained)
}

// wrong is true for a condition that is not what it has to be, and may be written:
// one that others own stays as it is.
func (n *NodePlan) wrong(is Condition, want corev1.ConditionStatus) bool {
	return is.Status != want && (is.Status == "" || n.Memory.Conflict == "")
}

// OlderVersion is true if both resourceVersions are numbers, as the API
// server's are, and a is the smaller one.
func OlderVersion(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x < y
}
