package plan

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Departure is what the spec of a pod says about how it leaves, besides its grace
// period. It does not change once made; nil says nothing.
type Departure struct {
	// Responders are the names of the pod's eviction responders.
	Responders []string
	// Group is the PodGroup of a pod that is scheduled together with others.
	Group string
}

// departureOf is what the spec says; nil for nothing, as that of nearly all pods.
func departureOf(spec *corev1.PodSpec) *Departure {
	var d Departure
	for i := range spec.EvictionResponders {
		d.Responders = append(d.Responders, spec.EvictionResponders[i].Name)
	}
	if g := spec.SchedulingGroup; g != nil && g.PodGroupName != nil {
		d.Group = *g.PodGroupName
	}
	if d.Responders == nil && d.Group == "" {
		return nil
	}
	return &d
}

// String is for people; empty for nil.
func (d *Departure) String() string {
	if d == nil {
		return ""
	}
	var parts []string
	if len(d.Responders) > 0 {
		parts = append(parts, "its eviction responders are not asked: "+strings.Join(d.Responders, ", "))
	}
	if d.Group != "" {
		parts = append(parts, "it is in the PodGroup "+d.Group)
	}
	return strings.Join(parts, "; ")
}

// unasked are the pods of a node that have to leave and have eviction responders.
type unasked struct {
	// first is the first of them by name, of pods.
	first *Pod
	pods  int
}

// add counts a pod if it has to leave and has eviction responders.
func (u *unasked) add(s *PodState) {
	if s.State == Ignored || s.Pod.Departure == nil || len(s.Pod.Departure.Responders) == 0 {
		return
	}
	if u.pods++; u.pods == 1 {
		u.first = s.Pod
	}
}

// text says that the responders are not asked; empty without any.
func (u *unasked) text() string {
	if u.pods == 0 {
		return ""
	}
	more := ""
	if u.pods > 1 {
		more = fmt.Sprintf(" (and of %d more)", u.pods-1)
	}
	return fmt.Sprintf("the eviction responders of pod %s%s are not asked, because drainer sends no EvictionRequests: %s",
		u.first.Key(), more, strings.Join(u.first.Departure.Responders, ", "))
}
