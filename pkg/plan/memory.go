package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Memory is what is remembered between two plans. It belongs to one loop, which
// calls Apply with every fact and Plan with the observed state: Plan observes
// that, makes the plan and keeps it.
type Memory struct {
	Nodes   map[types.UID]NodeMemory
	Pods    map[types.UID]*Entry
	Budgets map[types.UID]BudgetMemory
	// Scales are the scales of controllers that the newest plan looked at. The map
	// does not change.
	Scales map[types.UID]ScaleMemory
	// Paces are the controllers whose pods leave one at a time. The map does not
	// change.
	Paces map[types.UID]PaceMemory
	// Replica is what is known of drainer's other replicas.
	Replica ReplicaMemory

	// control is that of the newest plan.
	control Control
	// marked is since when nodes are marked where the API does not tell.
	marked map[markKey]time.Time
	// latchedRules are the rules that were latched in the newest plan.
	latchedRules map[string]bool
	// lists are the entries of the newest list of each node's pods.
	lists map[string]entryList
	// listVolumesAt is when attachments may be listed again.
	listVolumesAt time.Time
	// leaving are the entries of pods that are gone and whose eviction is still
	// being sent: its answer is counted first.
	leaving map[types.UID]*Entry
	// observations counts the calls of Observe.
	observations int
}

// entryList is the entries of a list of pods. A list that has not been replaced
// has the same entries.
type entryList struct {
	of      []*Pod
	entries []*Entry
}

// ReplicaMemory is what is known of the other replicas while drainer's own pod
// is the last that has to leave its node.
type ReplicaMemory struct {
	// AskedAt is when they were last looked for, AnsweredAt when the answer
	// came that is known.
	AskedAt, AnsweredAt time.Time
	// Name is a pod that can take over; empty if there is none.
	Name string
	// Problem is why the last search failed; empty if it did not.
	Problem string
}

// NewMemory returns an empty memory.
func NewMemory() *Memory {
	return &Memory{
		Nodes: map[types.UID]NodeMemory{}, Pods: map[types.UID]*Entry{}, Budgets: map[types.UID]BudgetMemory{},
		lists: map[string]entryList{}, leaving: map[types.UID]*Entry{},
	}
}

// Observed is the current state of the cluster.
type Observed struct {
	Now   time.Time
	Nodes []*Node
	// Pods are the pods of the watched nodes whose list is complete, by node
	// name, in order of namespace and name. A list may be passed again; it may
	// not be changed.
	Pods     map[string][]*Pod
	InFlight map[types.UID]Post
}

// Observe records the observed state, and forgets what no longer exists. It
// returns the entries of the pods, for a Snapshot.
func (m *Memory) Observe(o Observed) (map[string][]*Entry, []Event) {
	m.observations++
	byName := make(map[string]*Node, len(m.Nodes))
	for _, n := range o.Nodes {
		if _, known := m.Nodes[n.UID]; known && n.Served {
			byName[n.Name] = n
		}
	}
	events := m.forgetNodes(o, byName)
	entries := make(map[string][]*Entry, len(o.Pods))
	for _, name := range slices.Sorted(maps.Keys(o.Pods)) {
		node := byName[name]
		if node == nil || m.Nodes[node.UID].Request == "" {
			continue
		}
		entries[name] = m.entriesOf(node, o.Pods[name], o.Now)
	}
	for name, list := range m.lists {
		if _, there := entries[name]; there {
			continue
		}
		// The node is no longer drained, or no longer watched.
		delete(m.lists, name)
		for _, e := range list.entries {
			delete(m.Pods, e.UID)
			if _, sent := o.InFlight[e.UID]; sent {
				m.leaving[e.UID] = e
			}
		}
	}
	return entries, append(events, m.count(o, byName)...)
}

// Plan makes the plan of a snapshot, of which Pods is left out, and of the pods
// as Observed has them. It returns the events that follow.
func (m *Memory) Plan(s *Snapshot, pods map[string][]*Pod) (Plan, []Event) {
	entries, events := m.Observe(Observed{Now: s.Now, Nodes: s.Nodes, Pods: pods, InFlight: s.InFlight})
	s.Pods, s.Scales = entries, m.Scales
	Match(s.Pods, s.Budgets)
	m.seeMarks(s)
	p := Make(s)
	events = append(events, m.follow(s.Control)...)
	events = append(events, m.followRules(p.MarkStates)...)
	return p, append(events, m.Keep(&p, s.Config, s.Now)...)
}

// entriesOf is the entries of a node's pods. Those of pods that are gone are
// moved to leaving.
func (m *Memory) entriesOf(node *Node, pods []*Pod, now time.Time) []*Entry {
	last, listed := m.lists[node.Name]
	if listed && sameList(last.of, pods) {
		return last.entries
	}
	entries := make([]*Entry, len(pods))
	for i, pod := range pods {
		e := m.Pods[pod.UID]
		switch {
		case e == nil:
			e = &Entry{Pod: pod, Memory: firstSeen(pod, m.Nodes[node.UID], listed, now)}
			m.Pods[pod.UID] = e
		case e.Pod != pod:
			if e.Labels != pod.Labels {
				e.matchedEpoch = 0
			}
			if e.Deadline.IsZero() && !pod.Deadline.IsZero() {
				e.Memory.LeavingSince = now
			}
			e.Pod = pod
		}
		e.seen = m.observations
		entries[i] = e
	}
	for _, e := range last.entries {
		if e.seen != m.observations {
			delete(m.Pods, e.UID)
			m.leaving[e.UID] = e
		}
	}
	m.lists[node.Name] = entryList{of: pods, entries: entries}
	return entries
}

// sameList is true for one and the same list, which nobody changes.
func sameList(a, b []*Pod) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// firstSeen is the memory of a pod that this process has not seen before. Those
// of a node's first list are not late: a process that has just started does not
// know when they came.
func firstSeen(pod *Pod, node NodeMemory, listed bool, now time.Time) PodMemory {
	p := PodMemory{FirstSeen: now, TargetSince: now, Late: listed && !node.CordonSeen.IsZero()}
	if b, known := node.restored.blocked[pod.Key()]; known && !listed {
		p.BlockedSince, p.TargetSince, p.ToldBlocked, p.BlockedBy = b.since, b.since, true, b.reason
	}
	return p
}

// forgetNodes drops the nodes that no longer exist, or are no longer served.
func (m *Memory) forgetNodes(o Observed, served map[string]*Node) []Event {
	if len(served) == len(m.Nodes) {
		return nil
	}
	there := make(map[types.UID]bool, len(o.Nodes))
	for _, n := range o.Nodes {
		there[n.UID] = n.Served
	}
	var events []Event
	for _, uid := range slices.Sorted(maps.Keys(m.Nodes)) {
		isServed, isThere := there[uid]
		if isServed {
			continue
		}
		result := ResultNodeDeleted
		if isThere {
			result = ResultNotServed
		}
		events = append(events, m.Nodes[uid].ended(result, o.Now)...)
		delete(m.Nodes, uid)
	}
	return events
}

// count counts the pods that are gone, once no answer is outstanding.
func (m *Memory) count(o Observed, byName map[string]*Node) []Event {
	var gone []*Entry
	for uid, e := range m.leaving {
		if _, sent := o.InFlight[uid]; !sent {
			gone = append(gone, e)
			delete(m.leaving, uid)
		}
	}
	slices.SortFunc(gone, func(a, b *Entry) int { return cmp.Compare(a.Key(), b.Key()) })
	var events []Event
	for _, e := range gone {
		node := byName[e.Node]
		if node == nil || m.Nodes[node.UID].Request == "" || !e.Memory.Target {
			continue
		}
		if e.Memory.Tries().Uncertain && e.Memory.Deletion != nil {
			events = append(events, m.change(e, func(p PodMemory) (PodMemory, []Event) { return p.admitted(o.Now) })...)
		}
		memory := m.Nodes[node.UID]
		memory.Gone++
		m.Nodes[node.UID] = memory
		if at := e.Memory.Tries().AdmittedAt; !at.IsZero() {
			events = append(events, PodGone{Pod: e.Pod, Terminating: o.Now.Sub(at)})
		}
	}
	return events
}
