package plan

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// paceRead is how often the pods of a controller are listed at most while a pod
	// waits, and perPaced what each controller adds to it.
	paceRead = 2 * time.Second
	perPaced = 50 * time.Millisecond
)

// Sibling is what a plan knows of a pod of a controller, wherever it is.
type Sibling struct {
	UID types.UID
	// Created is when the pod was created, in Unix time.
	Created int64
	Ready   bool
	// Leaving is true for a pod that terminates.
	Leaving bool
}

// SiblingOf makes a Sibling of the API's pod. It returns false if the controller does not
// control the pod, or if the pod has finished.
func SiblingOf(pod *corev1.Pod, controller types.UID) (s Sibling, is bool) {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil || owner.UID != controller || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return Sibling{}, false
	}
	s = Sibling{UID: pod.UID, Created: pod.CreationTimestamp.Unix(), Leaving: pod.DeletionTimestamp != nil}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			s.Ready = c.Status == corev1.ConditionTrue
		}
	}
	return s, true
}

// SiblingRead is a controller whose pods are to be listed.
type SiblingRead struct {
	Namespace  string
	Controller types.UID
	// Selector is a selector of labels that all pods of the controller match.
	Selector string
}

// SiblingsListed: the pods of a controller were listed, by a request of the time.
type SiblingsListed struct {
	Controller types.UID
	Siblings   []Sibling
	Began      time.Time
}

func (SiblingsListed) fact() {}

// siblingsListed takes in a list of the pods of a controller. One that began before the last
// of them was evicted says nothing about its replacement.
func (m *Memory) siblingsListed(f SiblingsListed) {
	memory, asked := m.Paces[f.Controller]
	if !asked || memory.Pod != nil && (memory.LeftAt.IsZero() || f.Began.Before(memory.LeftAt)) {
		return
	}
	memory.Listed, memory.ListedAt = f.Siblings, f.Began
	m.Paces = maps.Clone(m.Paces)
	m.Paces[f.Controller] = memory
}

// readInterval is how often the pods of the controller are listed.
func (p *planner) readInterval(w *pace) time.Duration {
	since := p.paceEnds(w).Add(-paceFor)
	return max(paceRead, p.Now.Sub(since)/4) + time.Duration(len(p.paces))*perPaced
}

// readSiblings has the pods of a controller listed once the last one that was evicted
// is gone, again after a while, and the less often the longer that takes.
func (p *planner) readSiblings(w *pace, pod *Pod) {
	selector := commonLabels(pod.Labels)
	if w.asked || w.Pod != nil && !w.Gone || selector == "" {
		return
	}
	w.asked = true
	interval := p.readInterval(w)
	if at := w.AskedAt.Add(interval); p.Now.Before(at) {
		p.wakeAt(at)
		return
	}
	w.AskedAt = p.Now
	p.wakeAt(p.Now.Add(interval))
	p.siblingReads = append(p.siblingReads, SiblingRead{Namespace: pod.Namespace, Controller: pod.Controller.UID, Selector: selector})
}

// ownLabels are the labels in which the pods of one controller differ.
var ownLabels = []string{
	"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "controller-revision-hash", "batch.kubernetes.io/job-completion-index",
}

// commonLabels are the labels of a pod that the others of its controller have, too, as
// a selector. Where another controller sets further labels that differ, its pods are
// not found, and the next one waits for as long as it may have to.
func commonLabels(l Labels) string {
	var common []string
	for pair := range strings.SplitSeq(string(l), ",") {
		if key, _, _ := strings.Cut(pair, "="); pair != "" && !slices.Contains(ownLabels, key) {
			common = append(common, pair)
		}
	}
	return strings.Join(common, ",")
}
