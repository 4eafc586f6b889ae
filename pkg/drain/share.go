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
				*s = p.blocked(*s, p.podMemory(s.Pod), Throttled, "")
			case s.send == spending && p.free[s.Budgets[0]] < 1:
				*s = p.blocked(*s, p.podMemory(s.Pod), BudgetExhausted, "")
			default:
				p.grant(n, s)
			}
		}
	}
}

// grant lets a pod be sent. One that was refused before still counts as blocked
// until it is admitted.
func (p *planner) grant(n *nodeWork, s *PodState) {
	g := Grant{
		Pod: s.Pod, GracePeriod: n.request.GracePeriod, Request: n.request.ID,
		Sets: setOf(s.Budgets), Versions: versionsOf(s.Budgets),
	}
	if s.send == spending {
		b := s.Budgets[0]
		p.free[b]--
		g.Budget = keyOf(b)
		n.memory.GrantedAt = p.Now
	}
	p.grants = append(p.grants, g)
	if memory := p.podMemory(s.Pod); memory.staysBlocked(false) {
		*s = p.blocked(*s, memory, memory.BlockedBy, memory.Outcome.Message)
		return
	}
	n.active = true
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
		for _, s := range n.pods {
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
	guarded := slices.ContainsFunc(n.pods, func(s PodState) bool {
		return s.send == spending || s.State == BlockedPod && s.Reason == BudgetExhausted
	})
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
	type candidate struct {
		node *nodeWork
		pod  *PodState
	}
	oldest := map[types.UID]candidate{}
	var order []types.UID
	asking := map[types.UID]bool{}
	for _, n := range p.nodes {
		for i := range n.pods {
			s := &n.pods[i]
			if len(s.Budgets) != 1 {
				continue
			}
			uid := s.Budgets[0].UID
			asking[uid] = asking[uid] || s.send == underway
			if s.State != BlockedPod || !s.Reason.byBudget() || s.Until.After(p.Now) || !p.sends(n) {
				continue
			}
			if o, found := oldest[uid]; !found {
				order = append(order, uid)
				oldest[uid] = candidate{n, s}
			} else if s.Since.Before(o.pod.Since) {
				oldest[uid] = candidate{n, s}
			}
		}
	}
	for _, uid := range order {
		if !asking[uid] {
			p.proveOne(oldest[uid].node, oldest[uid].pod)
		}
	}
}

func (p *planner) proveOne(n *nodeWork, s *PodState) {
	b := s.Budgets[0]
	memory := p.budgetMemory(b)
	due := s.Since.Add(p.Config.StuckAfter)
	if next := memory.ProvenAt.Add(proofInterval); !memory.ProvenAt.IsZero() && next.After(due) {
		due = next
	}
	if p.Now.Before(due) {
		p.wakeAt(due)
		return
	}
	p.grants = append(p.grants, Grant{
		Pod: s.Pod, GracePeriod: n.request.GracePeriod, Request: n.request.ID, Proof: true,
		Sets: setOf(s.Budgets), Versions: versionsOf(s.Budgets),
	})
}

func (p *planner) budgetMemory(b *Budget) BudgetMemory {
	if memory, made := p.budgets[b.UID]; made {
		return memory
	}
	return p.Memory.Budgets[b.UID]
}

// poll names the budgets that block and have been silent for long, and those
// that do not show what they should: an event may have been missed.
func (p *planner) poll() []types.NamespacedName {
	var polls []types.NamespacedName
	asked := map[types.UID]bool{}
	for _, n := range p.nodes {
		for _, s := range n.pods {
			if s.State != BlockedPod || !s.Reason.byBudget() {
				continue
			}
			for _, b := range s.Budgets {
				if !asked[b.UID] {
					asked[b.UID] = true
					polls = p.pollOne(polls, b)
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
	memory := p.budgetMemory(b)
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
