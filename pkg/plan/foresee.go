package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// foreseeInterval is how often the pods of a node that is queued are listed.
const foreseeInterval = 5 * time.Minute

// foresees is true for a node whose pods have to be listed to see what would keep
// its drain from finishing. They are not watched before it begins.
func (p *planner) foresees(n *nodeWork, phase api.Phase) bool {
	if phase != api.Queued || n.memory.started() {
		return false
	}
	at := n.memory.ForeseenAt
	if at.IsZero() {
		return true
	}
	at = at.Add(jittered(foreseeInterval, n.node.UID))
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// lookAhead judges again, by the current nodes and budgets, the pods of a waiting node
// that could not leave according to the last list.
func (p *planner) lookAhead(n *nodeWork) {
	if n.memory.started() {
		n.memory.Foreseen = nil
		return
	}
	for _, s := range p.couldNotLeave(n, n.memory.Foreseen) {
		if s.nowhere != nil && len(s.nowhere.queued) > 0 {
			p.warnTogether(n, &s)
		} else if s.Obstructs = p.obstructs(n, &s); s.Obstructs {
			n.ahead = append(n.ahead, s)
		}
	}
}

// couldNotLeave are those of a waiting node's pods that are kept back, or would be
// once as many others have left as their budget allows: their replacements
// find no other node.
func (p *planner) couldNotLeave(n *nodeWork, entries []*Entry) []PodState {
	var kept, stranded []PodState
	// count counts the pods that no other node admits, shared also those that only other
	// waiting nodes do.
	count, shared := map[*Budget]int{}, map[*Budget]int{}
	for _, e := range entries {
		s := PodState{Pod: e.Pod, entry: e, State: Blocked, Since: e.Memory.FirstSeen}
		switch {
		case p.keptBack(n, &s):
			kept = append(kept, s)
		case p.strands(n, &s):
			stranded = append(stranded, s)
			shared[s.budgets[0].Budget]++
			if len(s.nowhere.queued) == 0 {
				count[s.budgets[0].Budget]++
			}
		}
	}
	for _, s := range stranded {
		if len(s.nowhere.queued) > 0 {
			if shared[s.budgets[0].Budget] > s.budgets[0].spare() {
				kept = append(kept, s)
			}
			continue
		}
		if s.stranded = count[s.budgets[0].Budget]; s.stranded > s.budgets[0].spare() {
			kept = append(kept, s)
		}
	}
	return kept
}

// keptBack finds out why a pod could not leave now, and would not by waiting alone;
// false if it could, or nobody knows before its eviction is tried.
func (p *planner) keptBack(n *nodeWork, s *PodState) bool {
	switch s.rule, s.obeyed = p.ruleOf(n, s); s.rule.Action {
	case BlockPod:
		s.Reason, s.Message, _ = s.rule.holds(s.Pod, p.Now, p.Now)
		return s.rule.unseen == ""
	case IgnorePod, AwaitPod:
		return false
	}
	if !budgetApplies(s.Pod) {
		return false
	}
	s.budgets = p.matching(s.entry)
	if len(s.budgets) != 1 {
		s.Reason = MultipleBudgets
		return len(s.budgets) > 1
	}
	b := s.budgets[0]
	healthy := b.CurrentHealthy >= b.DesiredHealthy && b.DesiredHealthy > 0
	switch {
	case !s.Pod.Ready && (b.AlwaysAllow || healthy):
		return false
	case b.SyncFailed != "":
		s.Reason, s.Message = BudgetSyncFailed, b.SyncFailed
	case b.Allowed == 0 && b.NeverAllows():
		s.Reason = BudgetNeverAllows
	case b.short():
		s.Reason = BudgetExhausted
	default:
		return false
	}
	return true
}

// strands is true for a pod that could leave, but whose replacement is admitted by no
// node other than its own, or only by nodes that also wait to be drained.
func (p *planner) strands(n *nodeWork, s *PodState) bool {
	if !s.Pod.Ready || len(s.budgets) != 1 || !s.budgets[0].Observed {
		return false
	}
	s.Reason, s.nowhere = BudgetExhausted, p.nowhereFor(s, n.node.Name)
	if s.nowhere == nil {
		s.nowhere = p.queuedFor(s, n.node.Name)
	}
	return s.nowhere != nil
}

// NodeForeseen: the pods of a node that is queued were listed. Pods are those that
// could not leave.
type NodeForeseen struct {
	Node    types.UID
	Request string
	Pods    []*Pod
	At      time.Time
}

func (NodeForeseen) fact() {}

// Foresee returns those pods of a queued node that could not leave it, according to the
// nodes, budgets and configuration of the snapshot, and those whose rule
// looks at a scale that is not known yet, so that plans ask for it.
func Foresee(s *Snapshot, node *Node, pods []*Pod) []*Pod {
	var entries []*Entry
	for _, pod := range pods {
		if !pod.stays(s.DaemonSets) && pod.Deadline.IsZero() {
			entries = append(entries, &Entry{Pod: pod})
		}
	}
	var kept []*Pod
	p, n := newPlanner(s), &nodeWork{node: node}
	for _, state := range p.couldNotLeave(n, entries) {
		kept = append(kept, state.Pod)
	}
	for _, e := range entries {
		if rule, _ := p.ruleOf(n, &PodState{Pod: e.Pod, entry: e}); rule.unseen == scaleFix {
			kept = append(kept, e.Pod)
		}
	}
	return kept
}

// foreseen is n after its pods were listed. A pod that was found before has been
// kept from leaving since then.
func (n NodeMemory) foreseen(f NodeForeseen) NodeMemory {
	if n.Request != f.Request {
		return n
	}
	entries := make([]*Entry, len(f.Pods))
	for i, pod := range f.Pods {
		entries[i] = &Entry{Pod: pod, Memory: PodMemory{FirstSeen: f.At}}
		for _, e := range n.Foreseen {
			if e.UID == pod.UID {
				entries[i].Memory.FirstSeen = e.Memory.FirstSeen
			}
		}
	}
	n.Foreseen, n.ForeseenAt = entries, f.At
	return n
}
