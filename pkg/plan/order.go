package plan

import (
	"fmt"

	"drainer.dev/drainer/pkg/api"
)

// anyTime is the order of a pod that waits for no other, and no other for it.
const anyTime = -1 << 31

// turn is whose turn it is on a node: the pods with the lowest order.
type turn struct {
	order int
	pods  int
	// first is the one of them that comes first by name.
	first *Pod
}

// add counts a pod that is still on the node.
func (t *turn) add(pod *Pod, order int) {
	switch {
	case t.pods == 0 || order < t.order:
		*t = turn{order: order, pods: 1, first: pod}
	case order == t.order:
		t.pods++
	}
}

// text says what a pod waits for whose turn has not come.
func (t *turn) text(s *PodState) string {
	text := t.first.Key()
	if t.pods > 1 {
		text += fmt.Sprintf(" (and %d more)", t.pods-1)
	}
	return fmt.Sprintf("%s gives it order %d, and %s with order %d must leave first", s.orderedBy().title(), s.order, text, t.order)
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
