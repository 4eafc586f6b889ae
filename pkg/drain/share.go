package drain

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// starvedAfter is how long a node may get nothing of the budgets it shares
// before it goes by age.
const starvedAfter = 2 * time.Minute

// share gives every budget's free disruptions to the pods that can use them:
// first to the node that has the fewest pods to go, so that nodes finish one
// after the other and not all at the end.
func (p *planner) share() {
	p.grants = make([]Grant, 0, p.countWaiting())
	for _, n := range p.turns() {
		sends := p.sends(n)
		for i := range n.pods {
			s := &n.pods[i]
			switch {
			case s.send != freely && s.send != spending:
				continue
			case !sends:
				s.send = hold
			case p.Careful && len(p.grants)+len(p.InFlight) > 0:
				p.block(s, Throttled, "")
			case s.send == spending && s.budgets[0].free < 1:
				p.block(s, BudgetExhausted, "")
			case s.send == spending && p.crowded(s.budgets[0]):
				// Its disruption is there, and its turn comes at once.
				s.budgets[0].free--
				n.active = true
			default:
				p.grant(n, s)
			}
		}
	}
	// Where --eviction-qps is the limit, what takes longest begins first.
	slices.SortStableFunc(p.grants, func(a, b Grant) int { return cmp.Compare(b.rounds, a.rounds) })
}

// countWaiting counts the pods that wait for a disruption of each budget, and
// returns how many wait for none.
func (p *planner) countWaiting() (free int) {
	for _, n := range p.nodes {
		for i := range n.pods {
			s := &n.pods[i]
			if s.send == spending || s.State == BlockedPod && s.Reason == BudgetExhausted && len(s.budgets) == 1 {
				s.budgets[0].waiting++
			}
			if s.send == freely {
				free++
			}
		}
	}
	return free
}

// rounds is how often the budget has to come back until the pods that wait for
// it have been sent.
func (b *budgetWork) rounds() int {
	atOnce := max(1, int(b.ExpectedPods-b.DesiredHealthy))
	return (b.waiting + atOnce - 1) / atOnce
}

// grant lets a pod be sent. One that was refused before still counts as blocked
// until it is admitted.
func (p *planner) grant(n *nodeWork, s *PodState) {
	g := n.grantOf(s)
	if s.send == spending {
		b := s.budgets[0]
		b.free--
		b.given = true
		g.Budget, g.rounds = keyOf(b.Budget), b.rounds()
		n.memory.GrantedAt = p.Now
	}
	p.grants = append(p.grants, g)
	if s.memory.staysBlocked(false) {
		p.block(s, s.memory.BlockedBy, s.memory.Outcome.Message)
		return
	}
	n.active = true
}

func (n *nodeWork) grantOf(s *PodState) Grant {
	return Grant{
		Pod: s.Pod, GracePeriod: n.request.GracePeriod, Request: n.request.ID,
		Sets: setOf(s.budgets), Versions: versionsOf(s.budgets),
	}
}

// turns is the order in which nodes are given what there is to give.
func (p *planner) turns() []*nodeWork {
	type turn struct {
		*nodeWork
		starved, hopeless bool
		pods              int
	}
	turns := make([]turn, 0, len(p.nodes))
	for _, n := range p.nodes {
		t := turn{nodeWork: n, starved: p.starved(n)}
		for i := range n.pods {
			s := &n.pods[i]
			t.hopeless = t.hopeless || s.State == BlockedPod && s.Reason.lasting()
			if s.State == Wanted || s.State == BlockedPod && !s.Reason.lasting() {
				t.pods++
			}
		}
		turns = append(turns, t)
	}
	slices.SortFunc(turns, func(a, b turn) int {
		if c := later(b.starved, a.starved); c != 0 {
			return c
		}
		if a.starved {
			return a.byAge(b.nodeWork)
		}
		return cmp.Or(later(a.hopeless, b.hopeless), cmp.Compare(a.pods, b.pods), a.byAge(b.nodeWork))
	})
	order := make([]*nodeWork, 0, len(turns))
	for _, t := range turns {
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
		guarded = guarded || s.send == spending || s.State == BlockedPod && s.Reason == BudgetExhausted
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

// later sorts false before true.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// prove sends one stuck pod of each blocking budget now and then, so that what
// is said to be stuck has been refused by the API server itself.
func (p *planner) prove() {
	var blocking []*budgetWork
	for _, n := range p.nodes {
		sends := p.sends(n)
		for i := range n.pods {
			s := &n.pods[i]
			if len(s.budgets) != 1 {
				continue
			}
			b := s.budgets[0]
			b.asking = b.asking || s.send == underway
			if s.State != BlockedPod || !s.Reason.byBudget() || s.Until.After(p.Now) || !sends {
				continue
			}
			if b.oldest == nil {
				blocking = append(blocking, b)
			}
			if b.oldest == nil || s.Since.Before(b.oldest.Since) {
				b.oldest, b.home = s, n
			}
		}
	}
	for _, b := range blocking {
		if !b.asking {
			p.proveOne(b)
		}
	}
}

func (p *planner) proveOne(b *budgetWork) {
	due := b.oldest.Since.Add(p.Config.StuckAfter)
	if proven := p.Memory.Budgets[b.UID].ProvenAt; !proven.IsZero() && proven.Add(proofInterval).After(due) {
		due = proven.Add(proofInterval)
	}
	if p.Now.Before(due) {
		p.wakeAt(due)
		return
	}
	g := b.home.grantOf(b.oldest)
	g.Proof = true
	p.grants = append(p.grants, g)
}

// poll names the budgets that block and have been silent for long, and those
// that do not show what they should: an event may have been missed.
func (p *planner) poll() []types.NamespacedName {
	var polls []types.NamespacedName
	for _, n := range p.nodes {
		for i := range n.pods {
			s := &n.pods[i]
			if s.State != BlockedPod || !s.Reason.byBudget() {
				continue
			}
			for _, b := range s.budgets {
				if !b.polled {
					b.polled = true
					polls = p.pollOne(polls, b.Budget)
				}
			}
		}
	}
	for _, u := range p.Unsettled {
		due := u.Since.Add(settleInterval)
		p.wakeAt(due)
		if !p.Now.Before(due) && !slices.Contains(polls, u.Budget) {
			polls = append(polls, u.Budget)
		}
	}
	return polls
}

func (p *planner) pollOne(polls []types.NamespacedName, b *Budget) []types.NamespacedName {
	memory := p.Memory.Budgets[b.UID]
	if memory.SeenVersion != b.ResourceVersion {
		memory.SeenVersion, memory.Polls = b.ResourceVersion, 0
		memory.PollAt = p.Now.Add(jittered(pollInterval, b.UID))
	}
	if !p.Now.Before(memory.PollAt) {
		polls = append(polls, keyOf(b))
		memory.Polls++
		memory.PollAt = p.Now.Add(jittered(doubled(pollInterval, memory.Polls, pollIntervalMost), b.UID))
	}
	p.wakeAt(memory.PollAt)
	p.budgets[b.UID] = memory
	return polls
}

// jittered is up to a fifth longer than d, always the same for the same UID:
// a plan does not throw dice.
func jittered(d time.Duration, uid types.UID) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid))
	return d + d*time.Duration(h.Sum32()%200)/1000
}
