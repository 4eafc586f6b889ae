package sim

import (
	"container/heap"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Options is how fast a cluster's controllers are. The zero value of a delay
// means at once, but never within the call that makes it due.
type Options struct {
	// Start is the first time on the cluster's clock.
	Start time.Time
	// BudgetLag is how long after a change of a budget or of its pods the
	// disruption controller writes the budget's status.
	BudgetLag time.Duration
	// ReplaceLag is how long a controller takes to create a missing pod.
	ReplaceLag time.Duration
	// ScheduleLag is how long the scheduler takes to bind a pod.
	ScheduleLag time.Duration
}

// Key names an object within its resource.
type Key = types.NamespacedName

// Cluster is the model of a cluster.
type Cluster struct {
	options Options
	now     time.Time
	store
	namespaces map[string]*Namespace
	workloads  map[types.UID]*workload
	// behaviors says how long pods take to start and to stop.
	behaviors map[types.UID]Behavior
	// waiting are the pods that currently fit on no node.
	waiting map[Key]bool
	// nextNode is where the scheduler continues its search.
	nextNode int
	// uids and sequence count what was created, and what was put on the agenda.
	uids, sequence uint64
	agenda         agenda
	// queued is the time of the syncs that are on the agenda.
	queued map[step]time.Time
}

// New makes an empty cluster.
func New(o Options) *Cluster {
	return &Cluster{
		options: o, now: o.Start, store: newStore(),
		namespaces: map[string]*Namespace{}, workloads: map[types.UID]*workload{},
		behaviors: map[types.UID]Behavior{}, waiting: map[Key]bool{}, queued: map[step]time.Time{},
	}
}

// Now is the time on the cluster's clock.
func (c *Cluster) Now() time.Time { return c.now }

// Next is when something happens next if nobody changes the cluster. It is
// false if nothing is due.
func (c *Cluster) Next() (time.Time, bool) {
	if len(c.agenda) == 0 {
		return time.Time{}, false
	}
	return c.agenda[0].at, true
}

// Advance carries out everything that is due until the time, in order, and sets
// the clock. A time in the past changes nothing.
func (c *Cluster) Advance(to time.Time) {
	for len(c.agenda) > 0 && !c.agenda[0].at.After(to) {
		due := heap.Pop(&c.agenda).(appointment)
		if due.at.After(c.now) {
			c.now = due.at
		}
		c.take(due)
	}
	if to.After(c.now) {
		c.now = to
	}
}

// deed is a kind of step.
type deed int

const (
	syncBudget deed = iota
	syncWorkload
	schedulePod
	startPod
	finishPod
)

// step is something that a controller, the scheduler or a kubelet does. The UID
// is that of the workload or the pod.
type step struct {
	deed deed
	key  Key
	uid  types.UID
}

// isSync is true for a step that brings an object up to date, whatever has
// changed: it does not have to run twice.
func (s step) isSync() bool { return s.deed == syncBudget || s.deed == syncWorkload }

// appointment is a step at a time; sequence decides between equal times.
type appointment struct {
	at       time.Time
	sequence uint64
	step
}

// after puts a step on the agenda. A sync that is already due by then covers
// it.
func (c *Cluster) after(d time.Duration, s step) {
	at := c.now.Add(d)
	if s.isSync() {
		if queued, is := c.queued[s]; is && !queued.After(at) {
			return
		}
		c.queued[s] = at
	}
	c.sequence++
	heap.Push(&c.agenda, appointment{at: at, sequence: c.sequence, step: s})
}

func (c *Cluster) take(due appointment) {
	if due.isSync() {
		if !c.queued[due.step].Equal(due.at) {
			return // An earlier sync has covered it.
		}
		delete(c.queued, due.step)
	}
	switch due.deed {
	case syncBudget:
		c.syncBudget(due.key)
	case syncWorkload:
		c.syncWorkload(due.uid)
	case schedulePod:
		c.schedule(due.key, due.uid)
	case startPod:
		c.start(due.key, due.uid)
	case finishPod:
		c.finish(due.key, due.uid)
	}
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
