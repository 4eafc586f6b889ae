package forecast

import (
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// daemon is one process of the daemon, from its start to its end.
type daemon struct {
	loop *Loop
	// number is which daemon of the loop it is: the first is 1.
	number int
	// dead is true once it has crashed: its appointments on the agenda no longer
	// count.
	dead  bool
	began time.Time

	view    *view
	ledger  *plan.Ledger
	memory  *plan.Memory
	outbox  *plan.Outbox
	limiter *rate.Limiter
	// busy counts the workers that send an eviction or wait for the limiter.
	busy int

	// facts are what tasks have learned, for the next plan.
	facts []plan.Fact
	tasks tasks
	// plans is the newest plan, by node; planned is its number.
	plans   map[types.UID]*plan.NodePlan
	planned int
	// marks is what the newest plan wants changed at marked nodes.
	marks map[types.UID]plan.MarkPlan
	// foreseeing is true while the pods of a queued node are being listed.
	foreseeing bool
	// after is the number of the last plan that was made without knowing about the
	// last write to a node: plans up to that one are out of date.
	after map[types.UID]int

	// dueAt is when the next plan is made; zero for never. restUntil is the
	// earliest.
	dueAt, restUntil time.Time
}

func newDaemon(l *Loop) *daemon {
	limit := rate.Limit(l.options.QPS)
	if limit == 0 {
		limit = rate.Inf
	}
	d := &daemon{
		loop: l, number: l.daemons, began: l.Now(), ledger: plan.NewLedger(), memory: plan.NewMemory(),
		outbox: plan.NewOutbox(l.options.Workers), limiter: rate.NewLimiter(limit, l.options.Burst),
		tasks: newTasks(), plans: map[types.UID]*plan.NodePlan{}, after: map[types.UID]int{},
	}
	d.view = newView(d)
	return d
}

// list reads what is watched for the whole cluster, and plans.
func (d *daemon) list() {
	d.later(d.loop.options.Latency, func() {
		d.view.list()
		d.began = d.loop.Now()
		d.wake()
	})
}

// later lets something happen after a time, unless the daemon has crashed.
func (d *daemon) later(after time.Duration, do func()) {
	d.loop.After(after, func() {
		if !d.dead {
			do()
		}
	})
}

// wake requests a plan at once, wakeSoon one that can wait for more events.
func (d *daemon) wake()     { d.planAt(d.loop.Now()) }
func (d *daemon) wakeSoon() { d.planAt(d.loop.Now().Add(plan.SoonAfter)) }

// planAt asks for a plan at the time, unless one is due earlier.
func (d *daemon) planAt(t time.Time) {
	if t.Before(d.restUntil) {
		t = d.restUntil
	}
	if !d.view.synced || !d.dueAt.IsZero() && !t.Before(d.dueAt) {
		return
	}
	d.dueAt = t
	d.loop.At(t, func() {
		if !d.dead && d.dueAt.Equal(t) {
			d.plan()
		}
	})
}

// plan makes one plan and has it carried out.
func (d *daemon) plan() {
	now := d.loop.Now()
	d.dueAt, d.restUntil = time.Time{}, now.Add(plan.ShortestRest)
	sent := d.outbox.Collect()
	for _, answer := range sent.Answers {
		d.tell(d.memory.Apply(answer))
	}
	for _, fact := range d.facts {
		d.tell(d.memory.Apply(fact))
	}
	d.facts = nil
	d.planned++
	s := &plan.Snapshot{
		Now: now, Began: d.began, Config: d.loop.options.Config, Control: d.view.control,
		Nodes: d.view.allNodes(), DaemonSets: d.view.daemonSets, NamespaceLabels: d.view.namespaces,
		Budgets: d.ledger.View(), Unconfirmed: d.ledger.Unconfirmed(),
		Throttled: sent.Throttled, Careful: sent.Careful, InFlight: sent.InFlight, Memory: d.memory,
	}
	p, events := d.memory.Plan(s, d.view.allPods())
	if d.loop.options.Planned != nil {
		d.loop.options.Planned(s, &p)
	}
	d.tell(events)
	if d.dead {
		return // A hook has crashed it.
	}
	d.carryOut(&p)
	switch {
	case !p.Wake.IsZero():
		d.planAt(earlier(p.Wake, now.Add(plan.LongestSleep)))
	case len(p.Nodes) > 0:
		d.planAt(now.Add(plan.LongestSleep))
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// carryOut makes a plan the newest.
func (d *daemon) carryOut(p *plan.Plan) {
	d.plans = make(map[types.UID]*plan.NodePlan, len(p.Nodes))
	watched := make(map[string]bool, len(p.Nodes))
	for i := range p.Nodes {
		n := &p.Nodes[i]
		d.plans[n.Node.UID] = n
		watched[n.Node.Name] = n.Watch
	}
	for uid := range d.after {
		if d.plans[uid] == nil {
			delete(d.after, uid)
		}
	}
	d.marks = make(map[types.UID]plan.MarkPlan, len(p.Marks))
	for _, m := range p.Marks {
		d.marks[m.Node.UID] = m
	}
	d.outbox.Publish(p.Grants)
	d.pump()
	d.view.watchPods(watched)
	d.queueTasks(p)
}

// tell passes events on, and releases the reservations that they end.
func (d *daemon) tell(events []plan.Event) {
	for _, event := range events {
		switch e := event.(type) {
		case plan.PodNotEvicted:
			d.ledger.ReleaseAll(e.Pod)
		case plan.PodConfirmedGone:
			d.ledger.ReleaseAll(e.Pod)
		}
		if d.loop.options.Event != nil {
			d.loop.options.Event(event)
		}
	}
}
