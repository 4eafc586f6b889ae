package plan

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func replacementText(pod *Pod) string {
	return fmt.Sprintf("it waits for the replacement of pod %s to be Ready, for 2m at most", pod.Key())
}

// paceEnds is when the next pod may leave even if the last is not replaced. A process
// that has just begun does not know what the previous one evicted.
func (p *planner) paceEnds(w *pace) time.Time {
	if w.Pod == nil {
		return p.Began.Add(paceFor)
	}
	return latest(w.LeftAt, w.UnreplacedAt).Add(paceFor)
}

// mayFollow is true if the next pod of the controller may leave now.
func (p *planner) mayFollow(w *pace) bool {
	if !w.decided {
		w.decided, w.follows = true, p.decideFollows(w)
	}
	return w.follows
}

func (p *planner) decideFollows(w *pace) bool {
	until := p.paceEnds(w)
	switch {
	case !p.Now.Before(until):
		return true
	case !w.UnreplacedAt.IsZero():
		// One replacement may stand for either of two pods.
		p.wakeAt(until)
		return false
	case p.Now.Sub(w.ListedAt) > max(listAge, 2*p.readInterval(w)):
		p.wakeAt(until)
		return false
	case w.Pod == nil:
		p.wakeAt(until)
		return len(w.Listed) > 0 && !slices.ContainsFunc(w.Listed, func(s Sibling) bool { return s.Leaving || !s.Ready })
	default:
		p.wakeAt(until)
		// A node that is no longer drained is not watched, and may have it.
		still := slices.ContainsFunc(w.Listed, func(s Sibling) bool { return s.UID == w.Pod.UID })
		before := make(map[types.UID]bool, len(w.Before))
		for i := range w.Before {
			before[w.Before[i].UID] = true
		}
		return w.Gone && !still && slices.ContainsFunc(w.Listed, func(s Sibling) bool { return w.replaces(s, before[s.UID]) })
	}
}

// replaces is true for a pod that is Ready, that was created after the last one began to
// terminate, and that is not known from before. Where nobody saw that one begin, it is
// enough that it is not known.
func (w *pace) replaces(s Sibling, known bool) bool {
	created := w.LeftFrom != 0 && s.Created >= w.LeftFrom || (w.LeftFrom == 0 || w.SeenLate) && w.Before != nil
	return s.Ready && !s.Leaving && !known && created
}
