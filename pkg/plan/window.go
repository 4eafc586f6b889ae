package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

// Schedule says when a window opens. It gives the same answer to the same
// question at any time.
type Schedule interface {
	// Next is the first opening after a time; zero if there is none.
	Next(after time.Time) time.Time
}

// Window is a recurring time in which the nodes that it selects may be
// drained.
type Window struct {
	Schedule Schedule
	// Duration is how long it is open, LatestStart how long of that drains may
	// begin.
	Duration, LatestStart time.Duration
	// Pauses lets a drain that has begun in the window pause at its end; otherwise
	// the drain continues until it is done.
	Pauses bool
	// Nodes selects nodes by their labels.
	Nodes labels.Selector
	// Pool is the pool whose own window it is. The nodes of a pool with windows of
	// its own are in no others.
	Pool string
}

// Freeze is a time in which nothing is started or evicted.
type Freeze struct {
	From, Until time.Time
	Reason      string
}

// WindowsOf are the places of the windows for a node with the labels, which is in
// the pool; the pool is empty if it is in none.
func WindowsOf(windows []Window, pool string, node map[string]string) []int {
	if !slices.ContainsFunc(windows, func(w Window) bool { return w.Pool == pool }) {
		pool = ""
	}
	var places []int
	for i := range windows {
		if windows[i].Pool == pool && windows[i].Nodes.Matches(labels.Set(node)) {
			places = append(places, i)
		}
	}
	return places
}

// opened is when the window that is open at a time opened, and whether it is open:
// the first opening, if several overlap.
func (w *Window) opened(at time.Time, within time.Duration) (time.Time, bool) {
	// Next is exclusive: a window that opened exactly within ago is no longer open.
	open := w.Schedule.Next(at.Add(-within))
	return open, !open.IsZero() && !open.After(at)
}

// starts is true if a drain may begin at the time.
func (w *Window) starts(at time.Time) bool {
	_, open := w.opened(at, w.LatestStart)
	return open
}

// window is what a plan needs to know of a window at its time, found once.
type window struct {
	// starts and open say what the window allows now.
	starts, open bool
	// changes is when either may be different; zero for never.
	changes time.Time
}

// lookAtTime looks at every window and freeze.
func (p *planner) lookAtTime() {
	for i := range p.Config.Freezes {
		p.wakeAt(p.Config.Freezes[i].From)
		p.wakeAt(p.Config.Freezes[i].Until)
	}
	p.opening = map[string]string{}
	p.windows = make([]window, len(p.Config.Windows))
	for i := range p.Config.Windows {
		w := &p.Config.Windows[i]
		now := &p.windows[i]
		next := w.Schedule.Next(p.Now)
		begun, starts := w.opened(p.Now, w.LatestStart)
		if now.starts = starts; starts {
			next = earliest(next, begun.Add(w.LatestStart))
		}
		opened, open := w.opened(p.Now, w.Duration)
		if now.open = open; open {
			next = earliest(next, opened.Add(w.Duration))
		}
		now.changes = next
	}
}

// earliest is the earlier of two times, of which a zero one does not count.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// frozen is the freeze that a time is in; nil if there is none.
func (p *planner) frozen(at time.Time) *Freeze {
	for i := range p.Config.Freezes {
		if f := &p.Config.Freezes[i]; !at.Before(f.From) && at.Before(f.Until) {
			return f
		}
	}
	return nil
}

// closed is why the time keeps a node from being started; empty if nothing does.
func (p *planner) closed(n *nodeWork) (Queueing, string) {
	if n.request.IgnoreWindows {
		return "", ""
	}
	if f := p.frozen(p.Now); f != nil {
		return QueuedForFreeze, f.text() + p.opens(n)
	}
	if len(n.node.Windows) == 0 || p.any(n, func(w window, _ *Window) bool { return w.starts }) {
		return "", ""
	}
	return QueuedForWindow, "waits for a window" + p.opens(n)
}

func (f *Freeze) text() string {
	return fmt.Sprintf("frozen until %s: %s", clock(f.Until), cut(f.Reason, mostWords))
}

// shut is why the time keeps pods of a drain that has begun from being evicted;
// empty if nothing does.
func (p *planner) shut(n *nodeWork) (Queueing, string) {
	if n.request.IgnoreWindows || n.urgent() || !n.memory.started() {
		return "", ""
	}
	if f := p.frozen(p.Now); f != nil {
		return QueuedForFreeze, f.text() + p.opens(n)
	}
	if len(n.node.Windows) == 0 || p.any(n, func(w window, _ *Window) bool { return w.open }) || p.finishes(n) {
		return "", ""
	}
	return QueuedForWindow, "outside of its windows" + p.opens(n)
}

// finishes is true for a drain that may continue after its window: it began in one
// that lets it finish, or none of the node's windows pauses. In what window it
// began follows from its start, which the Node says: nothing else is kept.
func (p *planner) finishes(n *nodeWork) bool {
	pauses := false
	for _, i := range n.node.Windows {
		w := &p.Config.Windows[i]
		if !w.Pauses && w.starts(n.memory.StartedAt) {
			return true
		}
		pauses = pauses || w.Pauses
	}
	return !pauses
}

// any is true if the condition holds for one of the node's windows. Otherwise it
// makes sure that the next plan comes when that may be different.
func (p *planner) any(n *nodeWork, holds func(window, *Window) bool) bool {
	found := false
	for _, i := range n.node.Windows {
		p.wakeAt(p.windows[i].changes)
		found = found || holds(p.windows[i], &p.Config.Windows[i])
	}
	return found
}

// mostOpenings bounds how many openings covered by freezes are looked at.
const mostOpenings = 1000

// opens says when a drain of the node may next begin or continue.
func (p *planner) opens(n *nodeWork) string {
	if len(n.node.Windows) == 0 {
		return "" // The end of the freeze says it.
	}
	key := fmt.Sprint(n.node.Windows)
	text, known := p.opening[key]
	if !known {
		text = p.nextOpening(n.node)
		p.opening[key] = text
	}
	return text
}

func (p *planner) nextOpening(n *Node) string {
	at := p.Now
	for range mostOpenings {
		if f := p.frozen(at); f != nil {
			at = f.Until
		}
		next := time.Time{}
		for _, i := range n.Windows {
			w := &p.Config.Windows[i]
			if at.After(p.Now) && w.starts(at) {
				next = at
				break
			}
			next = earliest(next, w.Schedule.Next(at))
		}
		switch {
		case next.IsZero():
			return ", and none opens again"
		case p.frozen(next) == nil:
			return ", the next opens at " + clock(next)
		}
		at = next
	}
	return ", and none opens for a long time"
}
