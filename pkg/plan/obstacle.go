package plan

import (
	"fmt"

	"drainer.dev/drainer/pkg/api"
)

// obstructs is true for a pod that keeps the drain from finishing, however long that
// waits. A pod whose budget is used up may still leave once others are healthy. It
// counts after it has waited for as long as a stuck one, if the budget lacks healthy
// pods, or the replacements of its pods find no node.
func (p *planner) obstructs(n *nodeWork, s *PodState) bool {
	switch {
	case s.State != Blocked, s.rule != nil && s.rule.unseen != "":
		return false
	case s.Reason.forcible() && p.willDelete(n, s) && p.protects(s) == "":
		return false
	case s.Reason == BudgetExhausted && len(s.budgets) == 1:
		at := s.Since.Add(p.Config.StuckAfter)
		p.wakeAt(at)
		if p.Now.Before(at) {
			return false
		}
		if s.nowhere == nil {
			s.nowhere = p.nowhereFor(s, "")
		}
		return s.nowhere != nil || s.budgets[0].short()
	case s.Reason == BudgetNeverAllows && len(s.budgets) == 1 && p.unheard(s, s.budgets[0]):
		// What manages the budget may move the pod once that is asked for.
		return false
	default:
		return s.Reason.lasting()
	}
}

// willDelete is true for a pod that is deleted in time if budgets hold it: at the
// timeout of its node's request, after what its rule says, or before its node disappears.
func (p *planner) willDelete(n *nodeWork, s *PodState) bool {
	byRule := s.rule != nil && s.rule.DeleteAfter > 0
	return p.Config.AllowDelete && (byRule || n.urgent() || p.onTimeout(n) == api.Delete && p.timeout(n) > 0)
}

// short is true for a budget whose own pods are not healthy enough: as long as it
// is so, it allows nothing, whatever leaves elsewhere.
func (b *Budget) short() bool {
	return b.Observed && b.SyncFailed == "" && b.CurrentHealthy < b.DesiredHealthy
}

// spare is how many pods under the budget may be unavailable at once.
func (b *Budget) spare() int { return int(max(b.Allowed, b.ExpectedPods-b.DesiredHealthy)) }

// findObstacles marks the pods that keep the drain from finishing.
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

// obstacles are what keeps a drain from finishing, for the status.
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

// obstaclesText says what keeps a drain from finishing and how to fix it.
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

// obstacles are what keeps the drain from finishing.
func (n *NodePlan) obstacles(worst *blockage) []api.Obstacle {
	if n.Phase != api.Queued {
		return worst.obstacles()
	}
	ahead := blockers(n.Ahead, n.words.now)
	return ahead.obstacles()
}
