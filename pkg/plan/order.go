package plan

import (
	"fmt"

	"drainer.dev/drainer/pkg/api"
)

// anyTime is the order of a pod that waits for no other, and no other for it.
const anyTime = -1 << 31

// lowestOrder are the pods of a node that leave first: those with the lowest order.
type lowestOrder struct {
	order int
	pods  int
	// first is the one of them that comes first by name.
	first *Pod
}

// add counts a pod that is still on the node.
func (l *lowestOrder) add(pod *Pod, order int) {
	switch {
	case l.pods == 0 || order < l.order:
		*l = lowestOrder{order: order, pods: 1, first: pod}
	case order == l.order:
		l.pods++
	}
}

// text says what a pod with a higher order waits for.
func (l *lowestOrder) text(s *PodState) string {
	text := l.first.Key()
	if l.pods > 1 {
		text += fmt.Sprintf(" (and %d more)", l.pods-1)
	}
	return fmt.Sprintf("%s gives it order %d, and %s with order %d must leave first", s.orderedBy().title(), s.order, text, l.order)
}

// ownOrder stands for what an annotation of the pod says about its order.
var ownOrder = &Rule{Name: api.PodOrderAnnotation, own: true}

// orderedBy is what gives the pod its order.
func (s *PodState) orderedBy() *Rule {
	if s.ownOrder() != nil {
		return ownOrder
	}
	return s.rule
}

// ownOrder is the order that the pod's own annotation gives it; nil if none counts.
func (s *PodState) ownOrder() *int {
	if s.obeyed {
		return s.Pod.Claims.Order
	}
	return s.Pod.OwnOrder
}
