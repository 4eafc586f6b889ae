package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// paceFor is how long the next pod of a controller waits at most after the eviction
	// of one that no budget selects.
	paceFor = 2 * time.Minute
	// listAge is the least limit on the age of a list that lets the next pod leave.
	listAge = 10 * time.Second
)

// PaceMemory is what is remembered of a controller whose pods leave one at a time.
type PaceMemory struct {
	// Pod is the pod that was granted last, or that is seen to leave; nil for none. Own
	// is true for one that this process has granted.
	Pod *Pod
	Own bool
	// LeftAt is when it was evicted, by the clock of this process; zero if it was not
	// yet. LeftFrom is the same in Unix time by the clock of the API server, which also
	// says when pods were created; 0 if that is not known.
	LeftAt   time.Time
	LeftFrom int64
	// SeenLate is true for a pod that was seen to terminate only at the end: LeftFrom is
	// then when it ended, and not when it began to terminate.
	SeenLate bool
	// Gone is true once its node no longer has it.
	Gone bool
	// UnreplacedAt is when a pod was last granted without waiting for the replacement of
	// the one before, because its node disappears; zero for none.
	UnreplacedAt time.Time
	// AskedAt is when the pods of the controller were last asked for.
	AskedAt time.Time
	// Listed are those pods, as they were after the last one had left, by a list that
	// began at ListedAt; Before is the list that let that one leave.
	Listed, Before []Sibling
	ListedAt       time.Time
}

// pace is the work on one controller whose pods leave one at a time.
type pace struct {
	PaceMemory
	// holder is the pod whose turn it is; nil if no pod is being sent or granted.
	holder *Pod
	// other is a pod besides the last one that began to leave recently; nil for none.
	other *Pod
	// there is true if the node of the pod that was granted last has it.
	there bool
	// asked is true once this plan has found out whether to list the pods.
	asked bool
	// decided is true once this plan has found out whether the next pod may leave, which
	// is then in follows.
	decided, follows bool
}

func (w *pace) is(pod *Pod) bool { return w.Pod != nil && w.Pod.UID == pod.UID }

// followPaces finds out, of every controller whose pods no budget selects, which of
// them is on its way out.
func (p *planner) followPaces() {
	if !p.Config.PaceWithoutBudget {
		return
	}
	p.paces = make(map[types.UID]*pace, len(p.Memory.Paces))
	for uid, memory := range p.Memory.Paces {
		p.paces[uid] = &pace{PaceMemory: memory}
	}
	for _, n := range p.nodes {
		for i := range n.pods {
			p.followPace(n, &n.pods[i])
		}
		n.noteUnprotected()
	}
	for _, w := range p.paces {
		if w.Pod == nil {
			continue
		}
		if w.Gone = !w.there; w.Gone && w.LeftAt.IsZero() {
			// It was gone before it was seen to leave.
			w.LeftAt = p.Now
		}
	}
}

func (p *planner) followPace(n *nodeWork, s *PodState) {
	w := p.paces[s.Pod.Controller.UID]
	last := w != nil && w.is(s.Pod)
	if last {
		if w.there = true; !s.leaves() {
			w.LeftAt = time.Time{}
		}
	}
	// One that was granted may be on its way out, whatever has happened to it since.
	if s.paced = last && w.Own || p.isPaced(s); !s.paced {
		return
	}
	w = p.paceOf(s.Pod)
	switch {
	case s.leaves():
		w.left(s, p.Now)
	case s.send == underway:
		w.holder = s.Pod
	case s.send == freely && w.holder == nil && w.is(s.Pod) && w.LeftAt.IsZero() && p.sends(n):
		// It was granted by the last plan, and may be sent at any moment.
		w.holder = s.Pod
	}
}

// paceOf is the work on the pod's controller.
func (p *planner) paceOf(pod *Pod) *pace {
	w := p.paces[pod.Controller.UID]
	if w == nil {
		w = &pace{}
		p.paces[pod.Controller.UID] = w
	}
	return w
}

// isPaced is true for a pod without a budget whose leaving takes something from its
// workload. One that was already leaving when it was first seen may have been Ready.
func (p *planner) isPaced(s *PodState) bool {
	pod, memory := s.Pod, &s.entry.Memory
	switch {
	case s.State == Ignored, pod.Controller.UID == "", pod.OfDaemonSet(), pod.Finished(), pod.Phase == corev1.PodPending:
		return false
	case !s.leaves():
		return pod.Ready && len(s.budgets) == 0
	case memory.Target:
		return memory.Paced
	default:
		return len(p.matching(s.entry)) == 0
	}
}

// left notes that a pod leaves. One that this process has granted stays the one whose
// replacement counts, whoever else deletes pods.
func (w *pace) left(s *PodState, now time.Time) {
	memory := &s.entry.Memory
	// LeavingSince first: if an answer was lost, AdmittedAt is by the API server's clock.
	at := memory.LeavingSince
	if at.IsZero() {
		at = memory.Tries().AdmittedAt
	}
	if at.IsZero() {
		at = memory.FirstSeen
	}
	switch {
	case w.is(s.Pod):
	case !now.Before(at.Add(paceFor)):
		return
	case w.Pod == nil || !w.Own && at.After(w.LeftAt):
		if w.there {
			w.other = w.Pod
		}
		w.PaceMemory, w.there = PaceMemory{Pod: s.Pod, UnreplacedAt: w.unreplaced(now)}, true
	default:
		w.other = s.Pod
		return
	}
	w.LeftAt = at
	if s.Pod.Deadline.IsZero() {
		return
	}
	// A kubelet that has stopped a pod deletes it again, with a grace period of 0.
	w.SeenLate = s.Pod.Grace == 0 && (w.LeftFrom == 0 || w.SeenLate)
	if from := s.Pod.Deadline.Add(-s.Pod.Grace).Unix(); w.LeftFrom == 0 || from < w.LeftFrom {
		w.LeftFrom = from
	}
}

// outOfTurn blocks a pod while another one of its controller leaves, or has left and
// is not replaced. There is no time for that on a node that disappears.
func (p *planner) outOfTurn(n *nodeWork, s *PodState) bool {
	if !s.paced || n.urgent() {
		return false
	}
	w := p.paceOf(s.Pod)
	switch {
	case w.other != nil:
		p.wakeAt(p.Now.Add(paceRead))
		p.block(n, s, Pace, replacementText(w.other))
		return true
	case w.holder != nil && w.holder.UID == s.Pod.UID:
		// It may have got its turn without waiting, when its node was urgent.
		if w.unreplaced(p.Now).IsZero() {
			return false
		}
		p.wakeAt(w.UnreplacedAt.Add(paceFor))
		p.block(n, s, Pace, fmt.Sprintf("it waits for 2m because other pods of %s have left a node that disappears", s.Pod.Controller.in(s.Pod.Namespace)))
		return true
	case w.holder != nil:
		p.block(n, s, Pace, replacementText(w.holder))
		return true
	case p.mayFollow(w):
		return false
	}
	p.readSiblings(w, s.Pod)
	if w.Pod == nil {
		p.block(n, s, Pace, fmt.Sprintf("it waits until all pods of %s are known to be Ready, for 2m at most", s.Pod.Controller.in(s.Pod.Namespace)))
	} else {
		p.block(n, s, Pace, replacementText(w.Pod))
	}
	return true
}

// in is the controller for people.
func (o *Owner) in(namespace string) string { return o.Kind + " " + namespace + "/" + o.Name }

// take gives a pod the turn of its controller.
func (p *planner) take(s *PodState) {
	if !s.paced {
		return
	}
	w := p.paceOf(s.Pod)
	if !w.is(s.Pod) || !w.LeftAt.IsZero() {
		next := PaceMemory{Pod: s.Pod, Own: true, Before: w.Listed, UnreplacedAt: w.unreplaced(p.Now)}
		if w.Pod != nil && w.LeftAt.IsZero() {
			// Another one had the turn and did not leave: the list that let it still counts.
			next.Before = w.Before
		}
		if w.holder != nil && w.holder.UID != s.Pod.UID || !p.mayFollow(w) {
			next.UnreplacedAt = p.Now
		}
		w.PaceMemory, w.there = next, true
	}
	w.holder = s.Pod
}

// unreplaced is UnreplacedAt as long as it counts.
func (w *pace) unreplaced(now time.Time) time.Time {
	if now.Before(w.UnreplacedAt.Add(paceFor)) {
		return w.UnreplacedAt
	}
	return time.Time{}
}

// keptPaces is what to remember of the controllers.
func (p *planner) keptPaces() map[types.UID]PaceMemory {
	if p.paces == nil {
		return nil
	}
	kept := make(map[types.UID]PaceMemory, len(p.paces))
	for uid, w := range p.paces {
		granted := w.Pod != nil && w.LeftAt.IsZero()
		if granted || (w.Pod != nil || !w.AskedAt.IsZero()) && p.Now.Before(p.paceEnds(w)) {
			kept[uid] = w.PaceMemory
		}
	}
	return kept
}
