package plan

// destination is what requests have in common that probably hang together: the
// pod's controller, else its namespace.
type destination string

func destinationOf(pod *Pod) destination {
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

func (o *Outbox) load() *load {
	l := &load{workers: o.workers, held: map[destination]int{}, underWay: map[destination]int{}}
	for _, r := range o.inFlight {
		l.count(r)
	}
	return l
}

func (l *load) count(r posted) {
	l.total++
	l.underWay[r.destination]++
	if !r.Slow {
		l.held[r.destination]++
	}
}

// add counts one more request for the destination, if there is room for it.
func (l *load) add(d destination) bool {
	if l.total >= MostInFlight || l.underWay[d] >= MostInFlight/2 || l.held[d] >= max(1, l.workers/2) {
		return false
	}
	l.count(posted{destination: d})
	return true
}
