package drain

import (
	"context"
	"slices"

	"drainer.dev/drainer/pkg/plan"
)

// destination is what requests have in common that probably hang together: the
// pod's controller, else its namespace.
type destination string

func destinationOf(pod *plan.Pod) destination {
	if pod.Controller.UID != "" {
		return destination(pod.Controller.UID)
	}
	return destination("namespace " + pod.Namespace)
}

// load is what the requests under way take up.
type load struct {
	workers        int
	total          int
	held, underWay map[destination]int
}

func (e *evictor) load() *load {
	l := &load{workers: e.workers, held: map[destination]int{}, underWay: map[destination]int{}}
	for _, r := range e.inFlight {
		l.count(r)
	}
	return l
}

func (l *load) count(r request) {
	l.total++
	l.underWay[r.destination]++
	if !r.Slow {
		l.held[r.destination]++
	}
}

// add counts one more request for the destination, if there is room for it.
func (l *load) add(d destination) bool {
	if l.total >= mostInFlight || l.underWay[d] >= mostInFlight/2 || l.held[d] >= max(1, l.workers/2) {
		return false
	}
	l.count(request{destination: d})
	return true
}

// awaitRoom waits until there is room for one of the grants. It returns false if
// none is left, or ctx ends.
func (e *evictor) awaitRoom(ctx context.Context) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for ctx.Err() == nil && len(e.grants) > 0 {
		if !e.full {
			load := e.load()
			if slices.ContainsFunc(e.grants, func(g plan.Grant) bool { return load.add(destinationOf(g.Pod)) }) {
				return true
			}
			e.full = true
		}
		e.changed.Wait()
	}
	return false
}

// waiting is how many grants no worker has taken yet.
func (e *evictor) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.grants)
}
