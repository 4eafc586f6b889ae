package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"drainer.dev/drainer/pkg/api"
)

const (
	// forcedApart is how long the next deletion past a budget waits after the grace
	// period of the pod deleted before, if the budget does not recover.
	forcedApart = 30 * time.Second
	// provenFor is how long the API server's own refusal of an eviction allows the
	// deletion of the pod: what holds it must be the budget and nothing else.
	provenFor = time.Minute
	// leastGrace is the shortest grace period of a deletion, in seconds: with 0 the
	// API server removes a pod whose containers may still run.
	leastGrace = 1
)

// Forced is a deletion past a budget.
type Forced struct {
	// Pod is what was deleted, from the node.
	Pod  *Pod
	Node string
	// Until is when the budget has been given long enough to recover.
	Until time.Time
	// Healthy is how many pods were healthy before; Dipped is true once fewer were.
	Healthy int32
	Dipped  bool
}

// disallowed says why a request that could be read may not be carried out.
func (p *planner) disallowed(r api.Request) error {
	if r.OnTimeout != api.Delete || p.Config.AllowDelete {
		return nil
	}
	return fmt.Errorf("%s=%q needs --allow-delete, and drainer runs without it: use Wait, Stop or Release, or let drainer delete pods",
		api.OnTimeoutAnnotation, api.Delete)
}

// mayDelete is true for a drain that may delete pods that budgets hold.
func (p *planner) mayDelete(n *nodeWork) bool {
	return p.Config.AllowDelete && !n.memory.released() && p.sends(n)
}

// deletes is true for a pod that is to be deleted past its budgets: its node's
// request has timed out, or the pod has been held for as long as its rule says.
func (p *planner) deletes(n *nodeWork, s *PodState) bool {
	tooLong := p.heldTooLong(n, s)
	return p.overdueDeletes(n) || tooLong
}

// overdueDeletes is true for a node whose request has timed out and says Delete.
func (p *planner) overdueDeletes(n *nodeWork) bool {
	return n.timedOut && p.onTimeout(n) == api.Delete
}

// heldTooLong measures how long budgets have held a pod that its rule allows to be deleted,
// and is true once that is too long. Time in which the pod waits for something else does
// not count, nor does time in which its node sends nothing.
func (p *planner) heldTooLong(n *nodeWork, s *PodState) bool {
	if s.rule == nil || s.rule.DeleteAfter == 0 {
		return false
	}
	s.counts = true
	since := s.entry.Memory.HeldSince
	if since.IsZero() {
		since = p.Now
	}
	at := latest(since, n.memory.StartedAt).Add(s.rule.DeleteAfter)
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// force lets pods be deleted past their budgets, the one that is blocked longest
// first: of each budget one, and the next once the budget has recovered. Where
// anything is in doubt nothing is deleted.
func (p *planner) force() {
	p.followForced()
	held := p.held()
	if len(held) == 0 || p.Now.Before(p.Throttled) {
		return
	}
	slices.SortFunc(held, func(a, b heldPod) int {
		return cmp.Or(falseFirst(b.last, a.last), oldestFirst(a.PodState, b.PodState))
	})
	p.occupy()
	for _, h := range held {
		if h.last || p.free(h) {
			p.forceOne(h)
		}
	}
}

// held are the pods to delete as soon as each of their budgets may lose one more.
func (p *planner) held() (held []heldPod) {
	for _, n := range p.nodes {
		if !p.mayDelete(n) {
			continue
		}
		for i := range n.pods {
			s := &n.pods[i]
			if s.State != Blocked || !s.Reason.forcible() {
				continue
			}
			last, due := p.runsOut(n, s), p.deletes(n, s)
			if !last && !due || s.send == underway {
				continue
			}
			if s.Spared = p.spares(s); s.Spared == "" {
				held = append(held, heldPod{n, s, last})
			}
		}
	}
	return held
}

// heldPod is a pod that a budget holds on a node that deletes such pods.
type heldPod struct {
	node *nodeWork
	*PodState
	// last is true for a pod whose node disappears: there is no time left to wait for
	// the pods deleted before it.
	last bool
}

// forcible is true for a refusal after which the pod may be deleted. A budget that
// the disruption controller has not processed, or cannot, says nothing about
// what a deletion would do.
func (r Reason) forcible() bool {
	return r == BudgetExhausted || r == BudgetNeverAllows || r == MultipleBudgets
}

// ForcibleReasons lists what pods may be deleted for.
func ForcibleReasons() []Reason { return []Reason{BudgetExhausted, BudgetNeverAllows, MultipleBudgets} }

// spares is why a pod that is held is not deleted; empty if it may be.
func (p *planner) spares(s *PodState) string {
	if why := p.protects(s); why != "" {
		return why
	}
	if len(s.budgets) == 1 && s.budgets[0].Allowed > 0 {
		return "the disruptions that the budget allows are reserved for other pods"
	}
	return ""
}

// protects is why a pod is never deleted, whatever its budgets allow; empty if it may
// be.
func (p *planner) protects(s *PodState) string {
	switch {
	case len(s.budgets) == 0:
		return "no budget is known to hold it"
	case s.Pod.UID == p.Config.OwnPod:
		return "it is drainer's own pod"
	case s.Pod.Controller.Kind == "":
		return "no controller would create it again"
	case slices.Contains(p.Config.NeverDelete, s.Pod.Namespace):
		return fmt.Sprintf("nothing is deleted in namespace %s", s.Pod.Namespace)
	}
	for _, b := range s.budgets {
		switch {
		case b.Controller != "":
			return fmt.Sprintf("PDB %s is managed by %s", b.Key(), b.Controller)
		case b.SyncFailed != "" || !b.Observed:
			return fmt.Sprintf("the disruption controller has not computed PDB %s", b.Key())
		}
	}
	return ""
}

// followForced keeps what is remembered of deletions as long as it counts.
func (p *planner) followForced() {
	for uid, memory := range p.Memory.Budgets {
		f := &memory.Forced
		if f.Pod == nil || !p.Now.Before(f.Until) || p.namespaces[f.Pod.Namespace] == nil {
			continue
		}
		for _, b := range p.namespaces[f.Pod.Namespace].budgets {
			if b.UID == uid {
				f.Dipped = f.Dipped || b.CurrentHealthy < f.Healthy
				p.budgets[uid] = memory
			}
		}
	}
}

// occupy notes under which budgets a pod is on its way out, whatever its node and
// whoever sent it. A node of which a pod is being deleted may no longer have a request.
func (p *planner) occupy() {
	for _, post := range p.InFlight {
		if len(post.Budgets) == 0 {
			continue
		}
		for _, ns := range p.namespaces {
			for i := range ns.budgets {
				if b := &ns.budgets[i]; slices.Contains(post.Budgets, b.UID) {
					b.occupied = true
				}
			}
		}
	}
	for _, n := range p.nodes {
		for i := range n.pods {
			s := &n.pods[i]
			if !s.leaves() && s.send != underway {
				continue
			}
			// The deadline is zero while the API server's answer is still due.
			until := s.deadline().Add(forcedApart)
			if !s.Pod.Deadline.IsZero() && !p.Now.Before(until) {
				continue
			}
			p.wakeAt(until)
			for _, b := range p.matching(s.entry) {
				b.occupied = true
			}
		}
	}
}

// free is true if each of the pod's budgets may lose one more.
func (p *planner) free(h heldPod) bool {
	free := true
	for _, b := range h.budgets {
		unspent := !b.occupied && !b.granted && len(b.Disrupted) == 0
		free = free && unspent && p.recovered(h, b)
	}
	return free
}

// recovered is true once the pod that was last deleted past the budget is gone and as many
// pods are healthy as before, or after long enough. A process that has just begun does not know
// what the previous one deleted.
func (p *planner) recovered(h heldPod, b *budgetWork) bool {
	f := p.budgets[b.UID].Forced
	if f.Pod == nil {
		f.Until = p.Began.Add(h.Pod.OwnGrace + forcedApart)
	}
	if !p.Now.Before(f.Until) {
		return true
	}
	p.wakeAt(f.Until)
	return f.Pod != nil && f.Dipped && b.CurrentHealthy >= f.Healthy && p.left(&f)
}

// left is true if the node of a pod that was deleted is known not to have it.
func (p *planner) left(f *Forced) bool {
	entries, listed := p.Pods[f.Node]
	return listed && !slices.ContainsFunc(entries, func(e *Entry) bool { return e.UID == f.Pod.UID })
}

// forceOne lets a pod be deleted, if the API server itself has just refused its
// eviction because of a budget. Otherwise the API server is asked first: a webhook may
// refuse, too, and a pod is never deleted because of that.
func (p *planner) forceOne(h heldPod) {
	g := p.grantOf(h.node, h.PodState)
	for _, b := range h.budgets {
		b.occupied, b.asking = true, true
		g.budgetUIDs, g.healthy = append(g.budgetUIDs, b.UID), append(g.healthy, b.CurrentHealthy)
	}
	tries := h.entry.Memory.Tries()
	// An answer also ends the time in which the API server is spared: there may be
	// nothing else to send.
	if p.Careful || !tries.Outcome.Reason.forcible() || p.Now.Sub(tries.SentAt) >= provenFor {
		g.Probe = true
		p.grants = append(p.grants, g)
		return
	}
	grace := max(leastGrace, graceSeconds(h.Pod, g.GracePeriod))
	g.Repeated = false
	g.Deletion = &PodDeleted{
		Pod: h.Pod, Node: h.node.node, Request: g.Request, Reason: h.Reason, Budgets: budgetNames(h.budgets), GracePeriod: grace,
	}
	switch {
	case h.last:
		g.Deletion.Deadline = h.node.disappears
	case !p.overdueDeletes(h.node):
		g.Deletion.Rule = h.rule.Name
	}
	p.grants = append(p.grants, g)
}

// forced notes a deletion at each budget that it went past.
func (m *Memory) forced(f Answered) {
	g := &f.Grant
	for i, uid := range g.budgetUIDs {
		b := m.Budgets[uid]
		b.Forced = Forced{
			Pod: g.Pod, Node: g.Pod.Node, Healthy: g.healthy[i],
			Until: f.At.Add(time.Duration(g.Deletion.GracePeriod)*time.Second + forcedApart),
		}
		m.Budgets[uid] = b
	}
}
