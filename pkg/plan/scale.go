package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// scaleInterval is how often the scale of a controller that a rule looks at is
	// read, and scaleRetry how often while it is not known.
	scaleInterval = 5 * time.Minute
	scaleRetry    = 30 * time.Second
)

// Scale is what a controller of pods says about its scale.
type Scale struct {
	// Replicas is how many pods it wants.
	Replicas int32
	// Problem is why that cannot be known; empty if it is.
	Problem string
}

// ScaleMemory is what is remembered of the scale of a controller.
type ScaleMemory struct {
	// Scale is the last answer; nil before the first.
	Scale *Scale
	// AskedAt is when it was last asked for.
	AskedAt time.Time
}

// ScaleRead is a controller of pods whose scale is to be read.
type ScaleRead struct {
	Namespace  string
	Controller Owner
}

// ScaleAnswered: the scale of a controller was read.
type ScaleAnswered struct {
	Controller types.UID
	Scale      Scale
}

func (ScaleAnswered) fact() {}

// scaled takes in a scale that was read. Plans and tasks hold the map: it is copied.
func (m *Memory) scaled(f ScaleAnswered) {
	if memory, asked := m.Scales[f.Controller]; asked {
		memory.Scale = &f.Scale
		m.Scales = maps.Clone(m.Scales)
		m.Scales[f.Controller] = memory
	}
}

// LooksAtScales is true if the scales of controllers decide about pods.
func (r *Rules) LooksAtScales() bool {
	if r == nil {
		return false
	}
	for _, rule := range r.List {
		if rule.Match.Replicas > 0 {
			return true
		}
	}
	return false
}

// Scales is true for a controller whose scale drainer reads.
func (o *Owner) Scales() bool {
	return strings.HasPrefix(o.APIVersion, "apps/") && (o.Kind == "ReplicaSet" || o.Kind == "StatefulSet")
}

// LooksAtScale is true if a rule for the pod looks at the scale of its controller, which
// drainer can read.
func (p *Pod) LooksAtScale() bool {
	return p.Controller.Scales() && slices.ContainsFunc(p.Rules, func(r *Rule) bool { return r.Match.Replicas > 0 })
}

// ofScale says whether the pod's controller has as many replicas as the PodMatch
// wants; known is false until they have been read.
func (m *PodMatch) ofScale(pod *Pod, all map[types.UID]ScaleMemory) (matches, known bool) {
	if m.Replicas == 0 {
		return true, true
	}
	if !pod.Controller.Scales() {
		return false, true
	}
	scale := all[pod.Controller.UID].Scale
	if scale == nil {
		return false, false
	}
	return scale.Problem == "" && scale.Replicas == m.Replicas, true
}

// scaleFix is how to fix that the scale of a controller is not read.
const scaleFix = "if this lasts, let drainer's role get replicasets and statefulsets"

// unknownScale holds a pod until the scale of its controller, which the rule looks at,
// has been read.
func unknownScale(pod *Pod, r *Rule) *Rule {
	return heldFor(pod, r.Name, scaleFix, fmt.Sprintf(
		"%s depends on how many replicas %s %s has, which drainer has not read yet", r.title(), pod.Controller.Kind, pod.Controller.Name))
}

// readScales asks for the scale of the pod's controller if one of its rules looks at
// it, and notes why it cannot be known.
func (p *planner) readScales(n *nodeWork, s *PodState) {
	asks := false
	for _, r := range s.Pod.Rules {
		asks = asks || r.Match.Replicas > 0 && r.Match.inPool(n.node.Pool)
	}
	switch owner := &s.Pod.Controller; {
	case !asks || owner.UID == "":
	case !owner.Scales():
		n.unscaled.add(s.Pod, "drainer reads those of ReplicaSets and StatefulSets only")
	default:
		if scale := p.readScale(s.Pod); scale != nil && scale.Problem != "" {
			n.unscaled.add(s.Pod, scale.Problem)
		}
	}
}

// readScale is the scale of the pod's controller as it is known, which is read again
// when that is due.
func (p *planner) readScale(pod *Pod) *Scale {
	uid := pod.Controller.UID
	memory, seen := p.scales[uid]
	if seen {
		return memory.Scale
	}
	memory = p.Scales[uid]
	interval := scaleInterval
	if memory.Scale == nil || memory.Scale.Problem != "" {
		interval = scaleRetry
	}
	if due := memory.AskedAt.Add(jittered(interval, uid)); memory.AskedAt.IsZero() || !p.Now.Before(due) {
		memory.AskedAt = p.Now
		p.scaleReads = append(p.scaleReads, ScaleRead{Namespace: pod.Namespace, Controller: pod.Controller})
		p.wakeAt(p.Now.Add(scaleRetry))
	} else {
		p.wakeAt(due)
	}
	p.scales[uid] = memory
	return memory.Scale
}

// unscaled are the pods whose rules look at a scale that cannot be known.
type unscaled struct {
	// first is the first of them by name, of pods; why is its problem.
	first *Pod
	why   string
	pods  int
}

func (u *unscaled) add(pod *Pod, why string) {
	if u.pods++; u.pods == 1 {
		u.first, u.why = pod, why
	}
}

// text is for people; empty for none.
func (u *unscaled) text() string {
	if u.pods == 0 {
		return ""
	}
	more := ""
	if u.pods > 1 {
		more = fmt.Sprintf(" (and %d more)", u.pods-1)
	}
	return fmt.Sprintf("rules with replicas do not match pod %s%s, because the replicas of %s %s cannot be known: %s",
		u.first.Key(), more, u.first.Controller.Kind, u.first.Controller.Name, u.why)
}
