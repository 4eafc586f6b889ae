package plan

import (
	"hash/fnv"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// probeInterval is how often a stuck pod is really sent under one budget,
	// so that the API server itself says, and counts, that it is stuck.
	probeInterval = 5 * time.Minute
	// The first and the longest interval of reading a blocking budget of which
	// no event comes.
	pollInterval     = 30 * time.Second
	pollIntervalMost = 5 * time.Minute
	// UnconfirmedFor is how long an admitted eviction may not show in its
	// budget before the budget is read.
	UnconfirmedFor = 10 * time.Second
)

// probe sends one stuck pod of each blocking budget from time to time, so that
// what is said to be stuck has been refused by the API server itself. A budget
// under which anything is being sent, or granted, needs no probe.
func (p *planner) probe() {
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
			if s.State != Blocked || !s.Reason.byBudget() && s.Reason != Evacuating || s.Until.After(p.Now) || !sends {
				continue
			}
			if b.oldest == nil {
				blocking = append(blocking, b)
			}
			if b.oldest == nil || s.Since.Before(b.oldest.Since) {
				b.oldest, b.oldestOn = s, n
			}
		}
	}
	for _, b := range blocking {
		if !b.asking {
			p.probeOne(b)
		}
	}
}

func (p *planner) probeOne(b *budgetWork) {
	if due := p.probeDue(b); p.Now.Before(due) {
		p.wakeAt(due)
		return
	}
	g := p.grantOf(b.oldestOn, b.oldest)
	g.Probe, g.budgetUIDs = true, []types.UID{b.UID}
	p.grants = append(p.grants, g)
}

// probeDue is when the pod that a budget blocks longest is sent. What manages a budget
// may move the pod once its eviction is asked for, as KubeVirt does, so that is not
// put off: its webhook hears of the eviction before the API server looks at the budget.
func (p *planner) probeDue(b *budgetWork) time.Time {
	if b.oldest.Reason == Evacuating || p.unheard(b.oldest, b) && p.Memory.Budgets[b.UID].HeardAt.IsZero() {
		return p.Now
	}
	due := b.oldest.Since.Add(b.oldest.stuckAfter(p.Config.StuckAfter))
	if probed := p.Memory.Budgets[b.UID].ProbedAt; !probed.IsZero() {
		due = latest(due, probed.Add(probeInterval))
	}
	return due
}

// unheard is true for a pod under a budget that never allows a disruption and that a
// controller manages, if the API server has not refused the eviction yet.
func (p *planner) unheard(s *PodState, b *budgetWork) bool {
	return b.Controller != "" && b.NeverAllows() && p.Memory.Budgets[b.UID].ProbedAt.IsZero() && !s.entry.Memory.Tries().Outcome.Reason.byBudget()
}

// poll names the budgets that block and of which no event has come for long,
// and those that do not show what they should: an event may have been missed.
func (p *planner) poll() []types.NamespacedName {
	var polls []types.NamespacedName
	for _, n := range p.nodes {
		for i := range n.pods {
			s := &n.pods[i]
			if s.State != Blocked || !s.Reason.byBudget() {
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
	p.keepProbes()
	for _, u := range p.Unconfirmed {
		due := u.Since.Add(UnconfirmedFor)
		p.wakeAt(due)
		if !p.Now.Before(due) && !slices.Contains(polls, u.Budget) {
			polls = append(polls, u.Budget)
		}
	}
	return polls
}

// keepProbes keeps when budgets were probed, also while something else blocks the pods
// under them.
func (p *planner) keepProbes() {
	for _, n := range p.nodes {
		for i := range n.pods {
			for _, b := range n.pods[i].budgets {
				if was, known := p.Memory.Budgets[b.UID]; known && !was.HeardAt.IsZero() {
					memory := p.budgets[b.UID]
					memory.ProbedAt, memory.HeardAt = was.ProbedAt, was.HeardAt
					p.budgets[b.UID] = memory
				}
			}
		}
	}
}

func (p *planner) pollOne(polls []types.NamespacedName, b *Budget) []types.NamespacedName {
	memory, kept := p.budgets[b.UID]
	if !kept {
		memory = p.Memory.Budgets[b.UID]
	}
	if memory.SeenVersion != b.ResourceVersion {
		memory.SeenVersion, memory.Polls = b.ResourceVersion, 0
		memory.PollAt = p.Now.Add(jittered(pollInterval, b.UID))
	}
	if !p.Now.Before(memory.PollAt) {
		polls = append(polls, b.Ref())
		memory.Polls++
		memory.PollAt = p.Now.Add(jittered(doubled(pollInterval, memory.Polls, pollIntervalMost), b.UID))
	}
	p.wakeAt(memory.PollAt)
	p.budgets[b.UID] = memory
	return polls
}

// jittered is up to a fifth longer than d, always the same for the same UID:
// a plan is not random.
func jittered(d time.Duration, uid types.UID) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid))
	return d + d*time.Duration(h.Sum32()%200)/1000
}
