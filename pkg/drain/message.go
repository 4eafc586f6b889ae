package drain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// Report is what a node says about its request, to people and to programs.
type Report struct {
	Status              api.Status
	InProgress, Drained corev1.ConditionStatus
	// Message is the message of both conditions.
	Message string
}

// Bounds of a message for people.
const (
	mostGroups  = 4
	mostWords   = 240
	mostMessage = 2000
)

// cause is what holds pods up. Pods under several budgets are told apart by the
// names of those, pods under none by the message.
type cause struct {
	state  State
	reason Reason
	budget *Budget
	text   string
}

func causeOf(s *PodState) cause {
	c := cause{state: s.State, reason: s.Reason}
	switch len(s.budgets) {
	case 0:
		c.text = s.Message
	case 1:
		c.budget = s.budgets[0].Budget
	default:
		c.text = setOf(s.budgets)
	}
	return c
}

// group is the pods that are held up by the same thing.
type group struct {
	// first is the oldest of them.
	first *PodState
	pods  int
}

// blockage is what holds a drain up.
type blockage struct {
	// groups are sorted, the one with the oldest pod first.
	groups []group
	// oldest are the first pods of all, at most api.MaxBlockers, in order.
	oldest []*PodState
}

// blockers groups the pods that are blocked, or overdue in terminating.
func blockers(pods []PodState, now time.Time) blockage {
	var all blockage
	places := map[cause]int{}
	for i := range pods {
		s := &pods[i]
		overdue := s.State == Terminating && !s.Pod.Deadline.IsZero() && now.After(s.Pod.Deadline)
		if s.State != BlockedPod && !overdue {
			continue
		}
		all.keepOldest(s)
		key := causeOf(s)
		place, known := places[key]
		if !known {
			place = len(all.groups)
			places[key] = place
			all.groups = append(all.groups, group{first: s})
		}
		g := &all.groups[place]
		g.pods++
		if oldestFirst(s, g.first) < 0 {
			g.first = s
		}
	}
	slices.SortFunc(all.groups, func(a, b group) int { return oldestFirst(a.first, b.first) })
	return all
}

func (all *blockage) keepOldest(s *PodState) {
	if len(all.oldest) == api.MaxBlockers {
		if oldestFirst(s, all.oldest[api.MaxBlockers-1]) >= 0 {
			return
		}
		all.oldest = all.oldest[:api.MaxBlockers-1]
	}
	at, _ := slices.BinarySearchFunc(all.oldest, s, oldestFirst)
	all.oldest = slices.Insert(all.oldest, at, s)
}

func oldestFirst(a, b *PodState) int {
	return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Pod.Namespace, b.Pod.Namespace), strings.Compare(a.Pod.Name, b.Pod.Name))
}

// listed is the blockers for the status annotation, oldest first.
func (all *blockage) listed() []api.Blocker {
	var list []api.Blocker
	for _, s := range all.oldest {
		list = append(list, api.Blocker{
			Pod: s.Pod.Key(), State: string(s.State), Reason: string(s.Reason),
			Budget: budgetNames(s.budgets), Message: cut(s.explanation(), mostWords), Since: s.Since,
		})
	}
	return list
}

// reason is that of the worst blocker.
func (all *blockage) reason() string {
	if len(all.groups) == 0 {
		return ""
	}
	return string(all.groups[0].first.Reason)
}

// message is the sentence for people.
func (p *planner) message(n *nodeWork, phase api.Phase, worst *blockage) string {
	var text string
	switch phase {
	case api.InvalidRequest:
		text = n.invalid.Error()
	case api.Queued:
		text = n.detail
	case api.Drained:
		text = drainedMessage(n.counts)
	default:
		text = p.progress(n, phase, worst)
	}
	return cut(text, mostMessage)
}

func drainedMessage(c api.PodCounts) string {
	return fmt.Sprintf("all %d pods gone, %d left", c.Gone, c.Left)
}

func (p *planner) progress(n *nodeWork, phase api.Phase, worst *blockage) string {
	if n.detail != "" {
		return n.detail
	}
	var parts []string
	switch {
	case phase == api.TimedOut && n.stopped(p.onTimeout(n)):
		parts = append(parts, "timed out, stopped: nothing is sent, the node stays cordoned")
	case phase == api.TimedOut:
		parts = append(parts, "timed out, going on")
	case phase == api.Paused:
		parts = append(parts, "paused: nothing is sent, the node stays cordoned")
	}
	switch {
	case n.memory.Trouble != "":
		parts = append(parts, "the node cannot be written to: "+n.memory.Trouble)
	case !n.cordoned() && n.memory.Uncordons > 0:
		parts = append(parts, "somebody uncordoned the node: nothing is sent until it is cordoned again")
	case !n.cordoned():
		parts = append(parts, "cordoning")
	case !n.listed:
		parts = append(parts, "reading the node's pods (the log says why if it takes long)")
	}
	c := n.counts
	if n.listed {
		parts = append(parts, counted(c))
	}
	return strings.Join(append(parts, worst.described(p.Now)...), "; ")
}

func counted(c api.PodCounts) string {
	text := fmt.Sprintf("%d of %d pods gone", c.Gone, c.Gone+c.Remaining())
	if c.Terminating > 0 {
		text += fmt.Sprintf(", %d terminating", c.Terminating)
	}
	if c.Blocked > 0 {
		text += fmt.Sprintf(", %d blocked", c.Blocked)
	}
	if c.Remaining() == 0 {
		text += ", making sure that no other comes"
	}
	return text
}

// described is a phrase for each of the worst groups.
func (all *blockage) described(now time.Time) []string {
	var parts []string
	for i, g := range all.groups {
		if i == mostGroups {
			parts = append(parts, fmt.Sprintf("and %d more causes", len(all.groups)-mostGroups))
			break
		}
		first := g.first
		text := first.Pod.Key()
		if more := g.pods - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more)", more)
		}
		parts = append(parts, cut(text+" "+first.explanation(), mostWords)+" for "+about(now.Sub(first.Since)))
	}
	return parts
}

// explanation says, for people, what holds the pod up.
func (s *PodState) explanation() string {
	if s.State == Terminating {
		text := "terminating, overdue: "
		if s.Reason == Finalizer {
			return text + s.Message
		}
		return text + "the kubelet has not finished it"
	}
	switch s.Reason {
	case BudgetExhausted, BudgetNeverAllows:
		if len(s.budgets) == 1 {
			return byBudget(s.budgets[0].Budget, s.Reason)
		}
	case BudgetUnsynced:
		if len(s.budgets) == 1 {
			return "by PDB " + s.budgets[0].Key() + ", which the disruption controller has not processed"
		}
	case BudgetSyncFailed:
		if len(s.budgets) == 1 {
			return "by PDB " + s.budgets[0].Key() + ", which cannot be computed: " + s.Message
		}
	case MultipleBudgets:
		return "by PDBs " + budgetNames(s.budgets) + ": the eviction API refuses a pod under more than one, change their selectors"
	case Throttled:
		return "because the API server throttles evictions"
	}
	return "by " + strings.ReplaceAll(string(s.Reason), "_", " ") + ": " + s.Message
}

func byBudget(b *Budget, reason Reason) string {
	text := fmt.Sprintf("by PDB %s (needs %d healthy, has %d)", b.Key(), b.DesiredHealthy, b.CurrentHealthy)
	if reason == BudgetNeverAllows {
		text += ", which never allows a disruption: change it or add replicas"
	}
	return text
}

func budgetNames(budgets []*budgetWork) string {
	names := make([]string, 0, len(budgets))
	for _, b := range budgets {
		names = append(names, b.Key())
	}
	return strings.Join(names, ", ")
}

// cut bounds text to most bytes, whole characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// about rounds a duration so that a message does not change at every look.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Truncate(10 * time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60/10*10)
	}
}
