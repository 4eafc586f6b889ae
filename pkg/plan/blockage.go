package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drainer.dev/drainer/pkg/api"
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
	// first is the oldest of them, or of those that obstruct the drain.
	first *PodState
	pods  int
}

// blockage is what holds a drain up.
type blockage struct {
	// groups are sorted, the one with the oldest pod first.
	groups []group
	// oldest are the first pods of all, at most api.MaxBlockers, in order.
	oldest []*PodState
	// omitted counts the blocked pods that are not among the oldest, by reason.
	omitted map[Reason]api.MoreBlockers
}

// blockers groups the pods that are blocked, or overdue in terminating.
func blockers(pods []PodState, now time.Time) blockage {
	var all blockage
	places := map[cause]int{}
	for i := range pods {
		s := &pods[i]
		overdue := s.State == Terminating && !s.Pod.Deadline.IsZero() && now.After(s.deadline())
		if s.State != Blocked && !overdue && !s.AtRisk {
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
		g.first = slices.MinFunc([]*PodState{g.first, s}, func(a, b *PodState) int {
			return cmp.Or(falseFirst(b.Obstructs, a.Obstructs), oldestFirst(a, b))
		})
	}
	slices.SortFunc(all.groups, func(a, b group) int { return oldestFirst(a.first, b.first) })
	return all
}

func (all *blockage) keepOldest(s *PodState) {
	at, _ := slices.BinarySearchFunc(all.oldest, s, oldestFirst)
	all.oldest = slices.Insert(all.oldest, at, s)
	if len(all.oldest) > api.MaxBlockers {
		all.omit(all.oldest[api.MaxBlockers])
		all.oldest = all.oldest[:api.MaxBlockers]
	}
}

func (all *blockage) omit(s *PodState) {
	if s.State != Blocked {
		return
	}
	if all.omitted == nil {
		all.omitted = map[Reason]api.MoreBlockers{}
	}
	more := all.omitted[s.Reason]
	more.Reason, more.Count, more.Since = string(s.Reason), more.Count+1, latest(more.Since, s.Since)
	all.omitted[s.Reason] = more
}

// more counts the blocked pods that are not listed, sorted by reason.
func (all *blockage) more() []api.MoreBlockers {
	var list []api.MoreBlockers
	for _, reason := range slices.Sorted(maps.Keys(all.omitted)) {
		list = append(list, all.omitted[reason])
	}
	return list
}

func oldestFirst(a, b *PodState) int {
	return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Pod.Namespace, b.Pod.Namespace), strings.Compare(a.Pod.Name, b.Pod.Name))
}

// listed is the blockers for the status annotation, oldest first.
func (all *blockage) listed() []api.Blocker {
	var list []api.Blocker
	for _, s := range all.oldest {
		b := api.Blocker{
			Pod: s.Pod.Key(), State: string(s.State), Reason: string(s.Reason), Rule: s.Rule(), AtRisk: s.AtRisk,
			Budget: budgetNames(s.budgets), Message: cut(s.explanation(), mostWords), Since: s.Since,
		}
		if d := s.Pod.Departure; d != nil {
			b.EvictionResponders, b.SchedulingGroup = d.Responders, d.Group
		}
		list = append(list, b)
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

// described is a phrase for each of the worst groups.
func (all *blockage) described(now time.Time) []string {
	var parts []string
	for i, g := range all.groups {
		if i == mostGroups {
			parts = append(parts, fmt.Sprintf("and %d more causes", len(all.groups)-mostGroups))
			break
		}
		first := g.first
		text := cut(first.Pod.Key()+g.extent(now)+" "+first.explanation(), mostWords)
		if first.Obstructs {
			text = "cannot finish: " + text + "; to fix: " + cut(first.Fix(), mostWords)
		}
		parts = append(parts, text)
	}
	return parts
}

// extent is how many pods of the group there are besides the first, and for how long
// that has been held up.
func (g *group) extent(now time.Time) string {
	var parts []string
	if g.pods > 1 {
		parts = append(parts, fmt.Sprintf("and %d more", g.pods-1))
	}
	if long := lasting(now.Sub(g.first.Since)); long != "" {
		parts = append(parts, long)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
