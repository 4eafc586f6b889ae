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
	before := e.Memory.Tries().AdmittedAt
	memory, events := change(e.Memory)
	e.Memory = memory
	if before.IsZero() && !memory.Tries().AdmittedAt.IsZero() {
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
