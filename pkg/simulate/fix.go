package simulate

import (
	"slices"
	"strings"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// blockers are what keeps the nodes asked for from being drained.
func (r *run) blockers() []Blocker {
	list := []Blocker{}
	for i := range r.plan.Nodes {
		n := &r.plan.Nodes[i]
		times := r.nodes[n.Node.Name]
		if times == nil || !times.drained.IsZero() {
			continue
		}
		of := podBlockers(n)
		if len(of) == 0 {
			of = []Blocker{nodeBlocker(n)}
		}
		list = append(list, of...)
	}
	return list
}

// podBlockers are the reasons why pods of a node do not leave, each once.
func podBlockers(n *plan.NodePlan) []Blocker {
	var list []Blocker
	for i := range n.Pods {
		s := &n.Pods[i]
		if s.State != plan.Blocked && s.State != plan.Terminating {
			continue
		}
		b := Blocker{Node: n.Node.Name, Pod: s.Pod.Key(), Pods: 1, Reason: string(s.Reason), Message: s.Explanation()}
		for _, budget := range s.Budgets() {
			b.Budgets = append(b.Budgets, budget.Key())
		}
		b.Fix = s.Fix()
		same := slices.IndexFunc(list, func(other Blocker) bool {
			return other.Reason == b.Reason && slices.Equal(other.Budgets, b.Budgets)
		})
		if same >= 0 {
			list[same].Pods++
			continue
		}
		list = append(list, b)
	}
	return list
}

// nodeBlocker is why a node is not drained if none of its pods is the reason.
func nodeBlocker(n *plan.NodePlan) Blocker {
	b := Blocker{Node: n.Node.Name, Reason: strings.ToLower(string(n.Phase)), Message: n.Report().Message}
	switch {
	case n.Phase == api.InvalidRequest:
		b.Fix = "correct the annotations of the node"
	case n.Phase == api.DryRun:
		b.Fix = "set " + api.DrainAnnotation + " to another ID and remove " + api.DryRunAnnotation
	case n.Facts.Interrupted != "":
		b.Reason, b.OnlyTime, b.Fix = string(n.Facts.Interrupted), true, "raise --limit to forecast beyond the next window or the end of the freeze"
	case n.Phase == api.Paused:
		b.Fix = "remove the annotation " + api.PausedAnnotation
	case n.Phase == api.TimedOut:
		b.Fix = "raise --drain-timeout, or use --on-timeout=Wait"
	case n.Facts.Queued == plan.QueuedAsLast:
		b.Reason, b.Fix = string(plan.QueuedAsLast), "add a node, or use --allow-last-node"
	case n.Facts.Queued == plan.QueuedForSlot:
		b.Reason, b.Fix = string(plan.QueuedForSlot), "fix the nodes that are being drained, or raise --max-draining"
	case n.Facts.Queued == plan.QueuedForGroup:
		b.Reason, b.Fix = string(plan.QueuedForGroup), "fix the nodes that are being drained, or raise the limits of groups in the configuration file"
	case n.Facts.Queued == plan.QueuedForAvailability:
		b.Reason, b.Fix = string(plan.QueuedForAvailability), "release the nodes that are drained, or raise --max-unavailable"
	case n.Facts.Queued == plan.QueuedForRemoval:
		b.Reason, b.Fix = string(plan.QueuedForRemoval), "let the node be removed"
	case n.Facts.Queued == plan.QueuedForTime, n.Facts.Queued == plan.QueuedForWindow, n.Facts.Queued == plan.QueuedForFreeze:
		b.Reason, b.OnlyTime, b.Fix = string(n.Facts.Queued), true, "raise --limit to forecast beyond the time"
	default:
		b.Fix = "raise --limit to forecast a longer time"
	}
	return b
}

// Fix says how to fix what keeps a pod on its node for the reason, as plan.Fix
// does.
func Fix(reason plan.Reason, budgets, rule string) string { return plan.Fix(reason, budgets, rule) }
