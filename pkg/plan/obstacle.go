package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// obstructs is true for a pod that keeps the drain from its end, however long that
// waits. A pod whose budget is used up may still leave once others are healthy. It
// counts after it has waited for as long as a stuck one, if the budget lacks healthy
// pods, or what is recreated of its pods finds no node.
func (p *planner) obstructs(n *nodeWork, s *PodState) bool {
	switch {
	case s.State != Blocked:
		return false
	case s.Reason.forcible() && p.willDelete(n, s) && p.spares(s) == "":
		return false
	case s.Reason == BudgetExhausted && len(s.budgets) == 1:
		at := s.Since.Add(p.Config.StuckAfter)
		p.wakeAt(at)
		if p.Now.Before(at) {
			return false
		}
		s.nowhere = p.nowhereFor(s)
		return s.nowhere != nil || s.budgets[0].short()
	default:
		return s.Reason.lasting()
	}
}

// willDelete is true for a pod that is deleted in time if budgets hold it: at the
// timeout of its node's request, or after what its rule says.
func (p *planner) willDelete(n *nodeWork, s *PodState) bool {
	byRule := s.rule != nil && s.rule.DeleteAfter > 0
	return p.Config.AllowDelete && (byRule || p.onTimeout(n) == api.Delete && p.timeout(n) > 0)
}

// short is true for a budget whose own pods are not healthy enough: as long as it
// is so, it allows nothing, whatever leaves elsewhere.
func (b *Budget) short() bool {
	return b.Observed && b.SyncFailed == "" && b.CurrentHealthy < b.DesiredHealthy
}

// findObstacles marks the pods that keep the drain from its end.
func (p *planner) findObstacles(n *nodeWork, phase api.Phase) (found bool) {
	switch {
	case phase == api.Queued:
		return len(n.ahead) > 0
	case phase != api.Draining && phase != api.Blocked && phase != api.TimedOut, n.stopped(p.onTimeout(n)):
		return false
	}
	for i := range n.pods {
		s := &n.pods[i]
		s.Obstructs = p.obstructs(n, s)
		found = found || s.Obstructs
	}
	return found
}

// foreseeInterval is how often the pods of a node that is queued are
// listed.
const foreseeInterval = 5 * time.Minute

// foresees is true for a node whose pods have to be listed to see what would keep
// its drain from its end. They are not watched before it begins.
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

// lookAhead judges again, by the budgets as they are now, the pods of a waiting
// node of which the last list found that they could not leave.
func (p *planner) lookAhead(n *nodeWork) {
	if n.memory.started() {
		n.memory.Foreseen = nil
		return
	}
	for _, e := range n.memory.Foreseen {
		s := PodState{Pod: e.Pod, entry: e, State: Blocked, Since: e.Memory.FirstSeen}
		if p.keptBack(n, &s) && p.obstructs(n, &s) {
			s.Obstructs = true
			n.ahead = append(n.ahead, s)
		}
	}
}

// keptBack finds out why a pod could not leave now, and would not by waiting alone;
// false if it could, or nobody knows before its eviction is tried.
func (p *planner) keptBack(n *nodeWork, s *PodState) bool {
	switch s.rule = p.ruleOf(n, s); s.rule.Action {
	case BlockPod:
		s.Reason, s.Message, _ = s.rule.holds(s.Pod, p.Now, p.Now)
		return true
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

// NodeForeseen: the pods of a node that is queued were listed. Pods are
// those that could not leave.
type NodeForeseen struct {
	Node    types.UID
	Request string
	Pods    []*Pod
	At      time.Time
}

func (NodeForeseen) fact() {}

// Foresee keeps, of the pods of a node that is queued, those that could
// not leave it by what the snapshot says of budgets and configuration.
func Foresee(s *Snapshot, node *Node, pods []*Pod) []*Pod {
	p, n := newPlanner(s), &nodeWork{node: node}
	return slices.DeleteFunc(slices.Clone(pods), func(pod *Pod) bool {
		return pod.stays(s.DaemonSets) || !pod.Deadline.IsZero() || !p.keptBack(n, &PodState{Pod: pod, entry: &Entry{Pod: pod}})
	})
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

// obstacles are what keeps a drain from its end, for the status.
func (all *blockage) obstacles() []api.Obstacle {
	var list []api.Obstacle
	for _, g := range all.groups {
		if s := g.first; s.Obstructs && len(list) < api.MaxObstacles {
			list = append(list, api.Obstacle{
				Pod: s.Pod.Key(), Pods: g.pods, Reason: string(s.Reason), Budget: budgetNames(s.budgets),
				Message: cut(s.explanation(), mostWords), Fix: cut(s.Fix(), mostWords),
			})
		}
	}
	return list
}

// obstaclesText says what keeps a drain from its end and how to fix it.
func obstaclesText(list []api.Obstacle) string {
	text := ""
	for i, o := range list {
		if i > 0 {
			text += "; "
		}
		text += "cannot finish: " + o.Pod
		if o.Pods > 1 {
			text += fmt.Sprintf(" (and %d more)", o.Pods-1)
		}
		text += " " + o.Message + "; to fix: " + o.Fix
	}
	return text
}

// obstacles are what keeps the drain from its end.
func (n *NodePlan) obstacles(worst *blockage) []api.Obstacle {
	if n.Phase != api.Queued {
		return worst.obstacles()
	}
	ahead := blockers(n.Ahead, n.words.now)
	return ahead.obstacles()
}
