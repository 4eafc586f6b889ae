package plan

import (
	"cmp"
	"slices"
	"time"
)

// starvedAfter is how long a node may get nothing from the budgets it shares before it
// goes first, by age. Drains that began within one such interval count as begun together.
const starvedAfter = 2 * time.Minute

// share grants every budget's free disruptions to the pods that can use them:
// first to the node that has the fewest pods to go, so that nodes finish one
// after the other and not all at the end.
func (p *planner) share() {
	p.grants = make([]Grant, 0, p.countWaiting())
	for _, n := range p.order() {
		sends := p.sends(n)
		n.active = n.active || n.gathering
		for i := range n.pods {
			s := &n.pods[i]
			switch {
			case s.send != freely && s.send != spending:
				continue
			case !sends:
				s.send = hold
			case p.Careful && len(p.grants)+p.answersDue() > 0:
				p.block(n, s, Throttled, "")
			case s.send == freely && p.outOfTurn(n, s):
				// outOfTurn has said what it waits for.
			case s.send == spending && s.budgets[0].free < 1:
				p.block(n, s, s.budgets[0].exhausted(), "")
			case s.send == spending && p.crowded(s.budgets[0]):
				// There is a disruption for it, and it is sent in a moment.
				s.budgets[0].free--
				n.active = true
			default:
				p.grant(n, s)
			}
		}
	}
	// Those that were refused before may hang again: they do not hold up the
	// first tries. Where --eviction-qps is the limit, older drains come first, and
	// of those that began together what takes longest.
	slices.SortStableFunc(p.grants, func(a, b Grant) int {
		return cmp.Or(falseFirst(a.Repeated, b.Repeated), cmp.Compare(a.generation, b.generation), cmp.Compare(b.rounds, a.rounds))
	})
}

// urgentFirst puts what is sent from nodes that disappear before all else.
func (p *planner) urgentFirst() {
	if slices.ContainsFunc(p.nodes, (*nodeWork).urgent) {
		slices.SortStableFunc(p.grants, func(a, b Grant) int { return falseFirst(b.urgent, a.urgent) })
	}
}

// answersDue is how many evictions are being sent and may be answered soon.
func (p *planner) answersDue() int {
	n := 0
	for _, post := range p.InFlight {
		if !post.Slow {
			n++
		}
	}
	return n
}

// countWaiting counts the pods that wait for a disruption of each budget, and
// returns how many wait for none.
func (p *planner) countWaiting() (free int) {
	for _, n := range p.nodes {
		for i := range n.pods {
			s := &n.pods[i]
			if s.send == spending || s.State == Blocked && s.Reason == BudgetExhausted && len(s.budgets) == 1 {
				s.budgets[0].waiting++
			}
			if s.send == freely {
				free++
			}
		}
	}
	return free
}

// rounds is how often the budget has to recover until the pods that wait for it
// have been sent.
func (b *budgetWork) rounds() int {
	atOnce := max(1, int(b.ExpectedPods-b.DesiredHealthy))
	return (b.waiting + atOnce - 1) / atOnce
}

// grant lets a pod be sent. One that was refused before still counts as blocked
// until it is admitted.
func (p *planner) grant(n *nodeWork, s *PodState) {
	g := p.grantOf(n, s)
	p.take(s)
	if s.send == spending {
		b := s.budgets[0]
		b.free--
		b.granted = true
		g.Budget, g.rounds = b.Ref(), b.rounds()
		n.memory.GrantedAt = p.Now
	}
	if len(s.budgets) == 1 {
		s.budgets[0].asking = true
	}
	p.grants = append(p.grants, g)
	memory := &s.entry.Memory
	if memory.staysBlocked(false) {
		p.block(n, s, memory.BlockedBy, memory.Tries().Outcome.Message)
		s.send = underway
		return
	}
	n.active = true
}

func (p *planner) grantOf(n *nodeWork, s *PodState) Grant {
	tries := s.entry.Memory.Tries()
	return Grant{
		Pod: s.Pod, GracePeriod: p.grace(n, s), Request: n.request.ID, urgent: n.urgent(), paced: s.paced && !n.urgent(),
		Repeated: tries.Refusals > 0 && !tries.Outcome.Reason.byBudget(),
		Budgets:  setOf(s.budgets), Versions: versionsOf(s.budgets),
		generation: n.memory.StartedAt.Unix() / int64(starvedAfter/time.Second),
	}
}

// order is the order in which nodes are granted what there is to grant.
func (p *planner) order() []*nodeWork {
	type place struct {
		*nodeWork
		starved, hopeless bool
		pods              int
	}
	places := make([]place, 0, len(p.nodes))
	for _, n := range p.nodes {
		t := place{nodeWork: n, starved: p.starved(n)}
		for i := range n.pods {
			s := &n.pods[i]
			t.hopeless = t.hopeless || s.State == Blocked && s.Reason.lasting()
			if s.State == Eligible || s.State == Blocked && !s.Reason.lasting() {
				t.pods++
			}
		}
		places = append(places, t)
	}
	slices.SortFunc(places, func(a, b place) int {
		if c := cmp.Or(a.byDeadline(b.nodeWork), falseFirst(b.starved, a.starved)); c != 0 {
			return c
		}
		if a.starved {
			return a.byAge(b.nodeWork)
		}
		return cmp.Or(falseFirst(a.hopeless, b.hopeless), cmp.Compare(a.pods, b.pods), a.byAge(b.nodeWork))
	})
	order := make([]*nodeWork, 0, len(places))
	for _, t := range places {
		order = append(order, t.nodeWork)
	}
	return order
}

// starved is true for a node that could have used a budget's disruption and
// has got none for long.
func (p *planner) starved(n *nodeWork) bool {
	guarded := false
	for i := range n.pods {
		s := &n.pods[i]
		guarded = guarded || s.send == spending || s.State == Blocked && s.Reason == BudgetExhausted
	}
	since := n.memory.GrantedAt
	if since.IsZero() {
		since = n.memory.StartedAt
	}
	if !guarded {
		return false
	}
	p.wakeAt(since.Add(starvedAfter))
	return p.Now.Sub(since) >= starvedAfter
}

func (n *nodeWork) byAge(other *nodeWork) int {
	return cmp.Or(n.memory.StartedAt.Compare(other.memory.StartedAt), cmp.Compare(n.node.Name, other.node.Name))
}

// falseFirst sorts false before true.
func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
