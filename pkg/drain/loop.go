package drain

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

func (c *Controller) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for c.awaitWork(ctx, timer) {
		begun := time.Now()
		next := c.step(ctx)
		took := time.Since(begun)
		c.Observer.Planned(took)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(min(plan.LongestSleep, max(0, time.Until(next))))
		}
		if !c.rest(ctx, c.restAfter(took)) {
			return
		}
	}
}

// awaitWork waits until a plan is due. It returns false when ctx ends.
func (c *Controller) awaitWork(ctx context.Context, timer *time.Timer) bool {
	soon, due := c.soon, (<-chan time.Time)(nil)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-soon:
			gathered := time.NewTimer(plan.SoonAfter)
			defer gathered.Stop()
			soon, due = nil, gathered.C
			continue
		case <-due:
		case <-c.wake:
		case <-timer.C:
		}
		return ctx.Err() == nil
	}
}

// restAfter is how long to gather events after a plan that took this long:
// planning uses at most a quarter of a core however many events arrive, and much
// less while a new plan would not help. Each plan also leaves garbage, in
// proportion to the pods.
func (c *Controller) restAfter(took time.Duration) time.Duration {
	times := restTimes
	if c.evictor.waiting() >= c.Workers {
		times = busyRestTimes
	}
	return min(max(times*took, plan.ShortestRest), longestRest)
}

func (c *Controller) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// step makes one plan and has it carried out. It returns when to plan again if
// nothing happens.
func (c *Controller) step(ctx context.Context) time.Time {
	// The evictor's answers come first, so that the observed state is newer than
	// they are.
	sent := c.evictor.collect()
	now := time.Now()
	for _, answer := range sent.Answers {
		c.tell(ctx, c.memory.Apply(answer))
	}
	for _, fact := range c.takeFacts() {
		c.tell(ctx, c.memory.Apply(fact))
	}
	s := &plan.Snapshot{
		Now: now, Began: c.began, Config: c.Config, Control: c.Control(), Pending: c.pending(),
		Nodes: c.View.Nodes(), DaemonSets: c.View.DaemonSets(), NamespaceLabels: c.View.NamespaceLabels(),
		Budgets: c.Ledger.View(), Unconfirmed: c.Ledger.Unconfirmed(),
		Throttled: sent.Throttled, Careful: sent.Careful, InFlight: sent.InFlight, Memory: c.memory,
	}
	p, events := c.memory.Plan(s, c.View.Pods())
	c.tell(ctx, events)
	// The evictor's grants come first: once a node says Paused, none of its grants is left.
	c.evictor.publish(p.Grants)
	c.publish(&p)
	c.sendTasks(&p)
	if p.Wake.IsZero() && len(p.Nodes) > 0 {
		return now.Add(plan.LongestSleep)
	}
	return p.Wake
}

func (c *Controller) takeFacts() []plan.Fact {
	c.mu.Lock()
	defer c.mu.Unlock()
	facts := c.facts
	c.facts = nil
	c.steps++
	return facts
}

// learned adds a fact for the next plan.
func (c *Controller) learned(f plan.Fact) {
	c.mu.Lock()
	c.facts = append(c.facts, f)
	c.mu.Unlock()
	c.Wake()
}

// publish makes a plan the newest.
func (c *Controller) publish(p *plan.Plan) {
	plans := make(map[types.UID]plan.NodePlan, len(p.Nodes))
	for i := range p.Nodes {
		plans[p.Nodes[i].Node.UID] = p.Nodes[i]
	}
	marks := make(map[types.UID]plan.MarkPlan, len(p.Marks))
	for _, m := range p.Marks {
		marks[m.Node.UID] = m
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans, c.planned = plans, c.steps
	c.marks, c.markStates, c.scales = marks, p.MarkStates, p.Scales
	for uid := range c.after {
		if _, planned := plans[uid]; !planned {
			delete(c.after, uid)
		}
	}
}

// pending is how many pods the scheduler finds no node for, if that is needed.
func (c *Controller) pending() int {
	if c.Pending == nil {
		return 0
	}
	return c.Pending()
}
