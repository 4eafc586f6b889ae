package forecast

import (
	"container/heap"
	"time"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// Options are the daemon's configuration, the speed of the API server, and the
// hooks to call.
type Options struct {
	Config plan.Config
	// Selectors say what a node is, by its labels.
	Selectors plan.Selectors
	// QPS and Burst limit evictions over all nodes; a QPS of 0 is no limit.
	QPS   float64
	Burst int
	// Workers is how many evictions are under way at once, EvictionTimeout how
	// long one may take.
	Workers         int
	EvictionTimeout time.Duration

	// Foresees lets the daemon list the pods of queued nodes, too. Nothing that it does
	// depends on them, only what it says.
	Foresees bool
	// RequestsMarked lets the daemon write what the rules for marked nodes want: by
	// default only the drains happen that somebody requests.
	RequestsMarked bool

	// Latency is how long a request takes from the daemon to its answer. It
	// takes effect after half of it.
	Latency time.Duration
	// WatchLag is how long after a change a watch shows it.
	WatchLag time.Duration

	Hooks
}

// Hooks are called while the loop runs, each may be nil. What they are given
// must not be changed; they may call the Loop's methods other than Run and Step.
type Hooks struct {
	// Request is called for every request that the daemon sends, and says what
	// goes wrong with it.
	Request func(Request) Fault
	// Received is called for every request when the API server has received it,
	// Handled once it has carried it out, or refused it with the error. What that
	// changes is passed to Changed afterwards. A request that a Fault answers
	// without carrying it out is not handled.
	Received func(Request)
	Handled  func(Request, error)
	// Answered is called for every request once the daemon has its answer, which
	// is nil or the error. A request whose daemon has crashed gets none.
	Answered func(Request, error)
	// Evicted is called with the outcome of an eviction, as the next plan will
	// know it.
	Evicted func(plan.Answered)
	// Planned is called with every plan, before anything of it is carried out.
	Planned func(*plan.Snapshot, *plan.Plan)
	// Event is called with every event that the daemon would report to people and
	// metrics.
	Event func(plan.Event)
	// Changed is called for every change of the cluster, in order and at the
	// time of the change.
	Changed func(sim.Change)
	// Lag is how much later than usual a watch shows a change. A watch shows
	// changes in order, so a late one delays those after it.
	Lag func(sim.Change) time.Duration
}

// Loop lets a daemon drain the nodes of a cluster, in the cluster's time.
type Loop struct {
	options Options
	cluster *sim.Cluster
	agenda  agenda
	// sequence counts what was put on the agenda.
	sequence uint64
	// seen is the version of the newest change that was passed on.
	seen uint64
	// daemon is nil while none runs; daemons counts those started.
	daemon  *daemon
	daemons int
}

// New makes a loop over a cluster, whose clock it drives from then on. No
// daemon runs yet.
func New(c *sim.Cluster, o Options) *Loop {
	return &Loop{options: o, cluster: c, seen: c.Version()}
}

// Now is the time on the cluster's clock.
func (l *Loop) Now() time.Time { return l.cluster.Now() }

// Cluster is the current cluster. You may change it between two steps and in
// hooks.
func (l *Loop) Cluster() *sim.Cluster { return l.cluster }

// Start starts a daemon that knows only what it reads. A running daemon crashes
// first.
func (l *Loop) Start() {
	l.Crash()
	l.daemons++
	l.daemon = newDaemon(l)
	l.daemon.list()
}

// Crash ends the daemon, if one runs: its memory is lost. Requests that it has
// sent are carried out, and answered to nobody.
func (l *Loop) Crash() {
	if l.daemon != nil {
		l.daemon.dead = true
		l.daemon = nil
	}
}

// Running is true while a daemon runs.
func (l *Loop) Running() bool { return l.daemon != nil }

// Daemons is how many daemons were started.
func (l *Loop) Daemons() int { return l.daemons }

// At schedules do for a time, or for now if that has passed.
func (l *Loop) At(t time.Time, do func()) {
	if now := l.Now(); t.Before(now) {
		t = now
	}
	l.sequence++
	heap.Push(&l.agenda, appointment{at: t, sequence: l.sequence, do: do})
}

// After lets something happen after a time.
func (l *Loop) After(d time.Duration, do func()) { l.At(l.Now().Add(d), do) }

// Step lets the next thing happen, in the cluster or in the daemon, and sets
// the clock. It returns false if nothing is due.
func (l *Loop) Step() bool {
	next, due := l.cluster.Next()
	switch {
	case len(l.agenda) > 0 && (!due || l.agenda[0].at.Before(next)):
		mine := heap.Pop(&l.agenda).(appointment)
		l.cluster.Advance(mine.at)
		mine.do()
	case due:
		l.cluster.Advance(next)
	default:
		return false
	}
	l.passOn()
	return true
}

// Run lets things happen until the condition holds, checked after every step,
// or until the time has come or nothing is due. It returns true if the condition
// holds. A condition of nil never does.
func (l *Loop) Run(until time.Time, done func() bool) bool {
	l.passOn()
	for done == nil || !done() {
		next, due := l.next()
		if !due || next.After(until) {
			l.cluster.Advance(until)
			return false
		}
		l.Step()
	}
	return true
}

// next is when something happens next.
func (l *Loop) next() (time.Time, bool) {
	next, due := l.cluster.Next()
	if len(l.agenda) > 0 && (!due || l.agenda[0].at.Before(next)) {
		return l.agenda[0].at, true
	}
	return next, due
}

// passOn reports the changes of the cluster since the last call.
func (l *Loop) passOn() {
	for {
		changes := l.cluster.Since(l.seen)
		if len(changes) == 0 {
			return
		}
		for _, c := range changes {
			l.seen = c.Version
			if l.options.Changed != nil {
				l.options.Changed(c)
			}
			if l.daemon != nil {
				l.daemon.view.watch(c)
			}
		}
	}
}

// appointment is something that happens at a time; sequence decides between
// equal times.
type appointment struct {
	at       time.Time
	sequence uint64
	do       func()
}

// agenda is a heap of appointments, the earliest first.
type agenda []appointment

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].sequence < a[j].sequence
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) { *a = append(*a, x.(appointment)) }

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
