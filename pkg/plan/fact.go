package plan

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Fact is something that was learned since the last plan. It is one of the
// types of this file, plain data.
type Fact interface{ fact() }

// Answered: an eviction was answered, or will not be.
type Answered struct {
	Grant   Grant
	Outcome Outcome
	// At is when the answer came, Took how long it took.
	At   time.Time
	Took time.Duration
}

// LookedUp: a pod was looked up at the API server.
type LookedUp struct {
	Pod types.UID
	// Gone is true if there is no pod of the UID, Terminating if it has a
	// deletion timestamp.
	Gone, Terminating bool
	At                time.Time
}

// NodeWritten: something was written to a node, which has the version since.
type NodeWritten struct {
	Node    types.UID
	Version string
	// Report is what was written as the status; nil if it was something else.
	Report *Report
	// Conflict says which conditions were not written because others own them;
	// empty if all were.
	Conflict string
	At       time.Time
}

// NodeRead: a node was read from the API server and has the version.
type NodeRead struct {
	Node    types.UID
	Version string
	At      time.Time
}

// NodeDrained: the API server's own list of the node's pods has no target, and
// the node says so now.
type NodeDrained struct {
	Node    types.UID
	Request string
	At      time.Time
}

// NodeNotDrained: the API server's own list of the node's pods has a target.
type NodeNotDrained struct {
	Node types.UID
	At   time.Time
}

// NodeTrouble: something that a plan wants done at a node failed with the text.
type NodeTrouble struct {
	Node types.UID
	Text string
}

// ReplicasListed: another replica was looked for; the name is empty if there
// is none that can take over. Problem is why the search failed, in which case
// nothing else is known.
type ReplicasListed struct {
	Name    string
	At      time.Time
	Problem string
}

// MarksWritten: what rules wanted changed at a marked node is written.
type MarksWritten struct{ Plan MarkPlan }

func (Answered) fact()       {}
func (LookedUp) fact()       {}
func (NodeWritten) fact()    {}
func (NodeRead) fact()       {}
func (NodeDrained) fact()    {}
func (NodeNotDrained) fact() {}
func (NodeTrouble) fact()    {}
func (ReplicasListed) fact() {}
func (MarksWritten) fact()   {}

// Apply records a fact and returns the events that follow from it. A fact
// about something of which nothing is remembered has no effect.
func (m *Memory) Apply(fact Fact) []Event {
	switch f := fact.(type) {
	case Answered:
		return m.answered(f)
	case LookedUp:
		return m.pod(f.Pod, func(pod *Pod, p PodMemory) (PodMemory, []Event) { return p.lookedUp(pod, f) })
	case NodeWritten:
		return m.written(f)
	case NodeRead:
		m.node(f.Node, func(n NodeMemory) NodeMemory { n.Written.VersionAt = f.At; return n })
	case NodeDrained:
		m.node(f.Node, func(n NodeMemory) NodeMemory { return n.drained(f) })
	case NodeJudged:
		m.node(f.Node, func(n NodeMemory) NodeMemory { return n.judged(f) })
	case NodeForeseen:
		m.node(f.Node, func(n NodeMemory) NodeMemory { return n.foreseen(f) })
	case NodeNotDrained:
		m.node(f.Node, func(n NodeMemory) NodeMemory { return n.notDrained(f) })
	case NodeEmpty:
		m.node(f.Node, func(n NodeMemory) NodeMemory { return n.emptied(f) })
	case NodeVolumes:
		m.node(f.Node, func(n NodeMemory) NodeMemory { return n.volumesFound(f) })
	case VolumesListed:
		m.listVolumesAt = f.restAfter()
	case NodeTrouble:
		m.node(f.Node, func(n NodeMemory) NodeMemory { n.Trouble = f.Text; return n })
	case MarksWritten:
		return f.Plan.Events
	case ScaleAnswered:
		m.scaled(f)
	case SiblingsListed:
		m.siblingsListed(f)
	case ReplicasListed:
		if m.Replica.Problem = f.Problem; f.Problem == "" {
			m.Replica.AnsweredAt, m.Replica.Name = f.At, f.Name
		}
	}
	return nil
}

// written records a write to a node. A conflict is reported only if it is a new one.
func (m *Memory) written(f NodeWritten) []Event {
	var events []Event
	m.node(f.Node, func(n NodeMemory) NodeMemory {
		n.Written = n.Written.after(f)
		if f.Report == nil || f.Conflict == n.Conflict {
			return n
		}
		if n.Conflict = f.Conflict; f.Conflict != "" {
			events = append(events, ConditionConflict{Node: n.Node, Request: f.Report.Status.Request, Text: f.Conflict})
		}
		return n
	})
	return events
}

// confirmInterval is how long the next check before Drained waits after one
// that found a target.
const confirmInterval = time.Second

func (m *Memory) node(uid types.UID, change func(NodeMemory) NodeMemory) {
	if n, known := m.Nodes[uid]; known {
		m.Nodes[uid] = change(n)
	}
}

// pod changes the entry of a pod.
func (m *Memory) pod(uid types.UID, change func(*Pod, PodMemory) (PodMemory, []Event)) []Event {
	e := m.entry(uid)
	if e == nil {
		return nil
	}
	return m.change(e, func(p PodMemory) (PodMemory, []Event) { return change(e.Pod, p) })
}

// entry is what is known of a pod, which may be gone while its answer is due; nil
// if nothing is.
func (m *Memory) entry(uid types.UID) *Entry {
	if e := m.Pods[uid]; e != nil {
		return e
	}
	return m.leaving[uid]
}

// change changes an entry, and counts a return to the node that ends with an
// admission.
func (m *Memory) change(e *Entry, change func(PodMemory) (PodMemory, []Event)) []Event {
	before := e.Memory.AdmittedAt
	memory, events := change(e.Memory)
	e.Memory = memory
	if before.IsZero() && !memory.AdmittedAt.IsZero() {
		m.countReturn(e)
		m.countDeletion(e)
	}
	return events
}

// countReturn notes that a late pod was evicted.
func (m *Memory) countReturn(e *Entry) {
	controller := e.Controller.UID
	if controller == "" || !e.Memory.Late {
		return
	}
	for uid, n := range m.Nodes {
		if n.Node != nil && n.Node.Name == e.Node {
			m.Nodes[uid] = n.returned(controller, &e.Memory)
		}
	}
}

// returned is n after a late pod of the controller was evicted.
func (n NodeMemory) returned(controller types.UID, pod *PodMemory) NodeMemory {
	// Plans share the map: it is replaced and not changed.
	returns := maps.Clone(n.Returns)
	if returns == nil {
		returns = map[types.UID]Return{}
	}
	returns[controller] = returns[controller].evicted(pod)
	n.Returns = returns
	return n
}

// notDrained is n once its node was found to have a target.
func (n NodeMemory) notDrained(f NodeNotDrained) NodeMemory {
	n.RetryConfirmAt, n.Volumes = f.At.Add(confirmInterval), Volumes{}
	return n
}

// drained is n once its node has been found drained for the request.
func (n NodeMemory) drained(f NodeDrained) NodeMemory {
	if n.Request == f.Request {
		n.FinishedAt = f.At
	}
	return n
}

// answered takes in the answer to an eviction.
func (m *Memory) answered(f Answered) []Event {
	if f.Grant.Deletion != nil && (f.Outcome.Reason == Admitted || f.Outcome.Reason.Uncertain()) {
		m.forced(f)
	}
	if f.Grant.Probe {
		for _, budget := range f.Grant.budgetUIDs {
			m.Budgets[budget] = m.Budgets[budget].probed(f.Outcome.Reason, f.At)
		}
	}
	return m.pod(f.Grant.Pod.UID, func(_ *Pod, p PodMemory) (PodMemory, []Event) { return p.answered(f) })
}

// probed is b after a probe under it was answered.
func (b BudgetMemory) probed(reason Reason, at time.Time) BudgetMemory {
	if reason.byBudget() {
		b.ProbedAt = at
	}
	if reason.byBudget() || reason == Webhook || reason == Evacuating {
		b.HeardAt = at
	}
	return b
}

// answered is p after its eviction was answered.
func (p PodMemory) answered(f Answered) (PodMemory, []Event) {
	if f.Grant.Deletion != nil && f.Outcome.Reason == Evacuating {
		// A webhook that refuses the deletion does not move the pod because of it.
		f.Outcome.Reason = Webhook
	}
	reason := f.Outcome.Reason
	p.SentAt = f.At.Add(-f.Took)
	if f.Grant.Deletion != nil && (reason == Admitted || reason.Uncertain()) {
		p.Deletion = f.Grant.Deletion
	}
	if reason == Admitted {
		p, events := p.admitted(f.At)
		if p.Deletion != nil {
			return p, events
		}
		return p, append(events, PodEvicted{Pod: f.Grant.Pod, Request: f.Grant.Request})
	}
	switch {
	case f.Grant.Probe && reason.byBudget():
		p.Outcome = f.Outcome
	case reason == Gone || reason.Uncertain():
		p.Uncertain, p.LookupsLeft, p.LookupAt = true, lookupsOf(reason), f.At
		p.Outcome = f.Outcome
	default:
		if reason == MultipleBudgets {
			p.RefusedBudgets = f.Grant.Budgets
		}
		p = p.refused(f)
	}
	return p, []Event{EvictionNotAdmitted{Pod: f.Grant.Pod, Request: f.Grant.Request, Outcome: f.Outcome, Deletion: f.Grant.Deletion != nil}}
}

// refused is p after the API server did not admit its eviction.
func (p PodMemory) refused(f Answered) PodMemory {
	p.Outcome, p.RefusedVersions = f.Outcome, f.Grant.Versions
	if f.Outcome.Reason != Throttled {
		p.Refusals++
	}
	p.RetryAt = f.At.Add(f.Outcome.wait(p.Refusals))
	return p
}

// admitted is p after the API server admitted its eviction.
func (p PodMemory) admitted(at time.Time) (PodMemory, []Event) {
	var events []Event
	switch {
	case p.Deletion != nil:
		events = append(events, *p.Deletion)
	case p.BlockedBy != "":
		events = append(events, PodUnblocked{Reason: p.BlockedBy, Waited: at.Sub(p.TargetSince)})
	}
	p.AdmittedAt, p.Uncertain = at, false
	p.LookupAt, p.LookupsLeft = at.Add(deletionGrace), 1
	p.Refusals, p.RetryAt, p.Outcome = 0, time.Time{}, Outcome{}
	return p, events
}

// after is w after a write. Progress is counted from the last change of phase.
func (w Written) after(f NodeWritten) Written {
	if !OlderVersion(f.Version, w.Version) {
		// Two writes at a time may be learned of in any order.
		w.Version = f.Version
	}
	w.VersionAt = f.At
	if f.Report == nil {
		return w
	}
	if phaseChanged(w.Report.Status, f.Report.Status) {
		w.Since = f.At
	}
	w.Report, w.Text, w.At, w.ComparedAt = *f.Report, f.Report.Status.Format(), f.At, f.At
	return w
}
