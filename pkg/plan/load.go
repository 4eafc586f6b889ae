package plan

// destination is where evictions go: the controller of a pod, or else its
// namespace.
type destination string

func destinationOf(pod *Pod) destination {
	if pod.Controller.UID != "" {
		return destination(pod.Controller.UID)
	}
	return destination("namespace " + pod.Namespace)
}

// load is what the requests under way take up: in all, to each destination, and to the
// destinations together that a slow one is under way to.
type load struct {
	workers     int
	total, slow traffic
	to          map[destination]traffic
}

// traffic counts requests: those under way, those of them that hold a worker,
// and those that no longer do because they are slow.
type traffic struct{ underWay, held, slow int }

func (t traffic) plus(other traffic) traffic {
	return traffic{underWay: t.underWay + other.underWay, held: t.held + other.held, slow: t.slow + other.slow}
}

// fillsHalf is true if the requests take up half of what there is.
func (t traffic) fillsHalf(workers int) bool {
	return t.underWay >= MostInFlight/2 || t.held >= max(1, workers/2)
}

func (o *Outbox) load() *load {
	l := &load{workers: o.workers, to: map[destination]traffic{}}
	for _, r := range o.inFlight {
		if r.Slow {
			l.count(r.destination, traffic{underWay: 1, slow: 1})
		} else {
			l.count(r.destination, traffic{underWay: 1, held: 1})
		}
	}
	for _, t := range l.to {
		if t.slow > 0 {
			l.slow = l.slow.plus(t)
		}
	}
	return l
}

func (l *load) count(d destination, t traffic) {
	l.total = l.total.plus(t)
	l.to[d] = l.to[d].plus(t)
}

// allows is true if there is room for one more request to the destination. No
// destination takes more than half of what there is, nor do those together that a
// slow request is under way to.
func (l *load) allows(d destination) bool {
	to := l.to[d]
	if l.total.underWay >= MostInFlight || to.fillsHalf(l.workers) {
		return false
	}
	return to.slow == 0 || !l.slow.fillsHalf(l.workers)
}
