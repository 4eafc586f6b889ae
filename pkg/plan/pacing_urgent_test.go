package plan

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// TestPaceBesideUrgent: pods of a node that disappears leave together. Those of other nodes
// wait for two minutes then, whichever of them left, and whatever is Ready.
func TestPaceBesideUrgent(t *testing.T) {
	for _, stays := range []string{"web-1", "web-2"} {
		s := pacedScene()
		s.Nodes[0].Annotations[api.DeadlineAnnotation] = clock(noon.Add(time.Hour))
		old := Sibling{UID: "uid-web-3", Ready: true}
		s.Memory.Paces = map[types.UID]PaceMemory{"rs-web": {Listed: []Sibling{old}, AskedAt: noon}}
		plan := Make(s.Snapshot)
		if got := granted(plan); !slices.Equal(got, []string{"web-1", "web-2"}) {
			t.Fatalf("granted are %v, want web-1 and web-2", got)
		}
		s.Memory.Keep(&plan, s.Config, s.Now)
		left := s.Memory.Pods[types.UID("uid-"+stays)]
		left.Memory = PodMemory{FirstSeen: noon}.with(Tries{Refusals: 1, RetryAt: noon.Add(time.Hour), Outcome: Outcome{Code: "400", Reason: Webhook}})
		s.Pods["n"] = []*Entry{left}
		for s.Now.Before(noon.Add(paceFor)) {
			plan = Make(s.Snapshot)
			if got := granted(plan); len(got) > 0 {
				t.Fatalf("%s stays: granted are %v after %v, want none", stays, got, s.Now.Sub(noon))
			}
			if plan.Wake.IsZero() || plan.Wake.After(noon.Add(paceFor)) {
				t.Errorf("%s stays: the next plan is at %v", stays, plan.Wake)
			}
			s.Memory.Keep(&plan, s.Config, s.Now)
			s.Now = s.Now.Add(10 * time.Second)
			s.Memory.Apply(SiblingsListed{Controller: "rs-web", Siblings: []Sibling{old, {UID: "new", Ready: true, Created: s.Now.Unix()}}, Began: s.Now})
		}
		plan = Make(s.Snapshot)
		if got := granted(plan); !slices.Equal(got, []string{"web-3"}) {
			t.Errorf("%s stays: granted are %v after two minutes, want web-3", stays, got)
		}
		if at := plan.Paces["rs-web"].UnreplacedAt; !at.IsZero() {
			t.Errorf("%s stays: the pods after that wait for two minutes, too, from %v", stays, at)
		}
	}
}

// TestPaceNoLongerUrgent: a pod that was granted without waiting, since its node was about to
// disappear, waits if the node no longer is before the pod was sent.
func TestPaceNoLongerUrgent(t *testing.T) {
	s := pacedScene()
	s.Memory.Paces = map[types.UID]PaceMemory{"rs-web": {
		Pod: &Pod{Namespace: "ns", Name: "web-0", UID: "uid-web-0"}, Own: true, LeftAt: noon.Add(-10 * time.Second), LeftFrom: noon.Unix() - 10, Gone: true,
	}}
	s.Nodes[0].Annotations[api.DeadlineAnnotation] = clock(noon.Add(time.Hour))
	plan := Make(s.Snapshot)
	if got := granted(plan); !slices.Equal(got, []string{"web-1", "web-2"}) {
		t.Fatalf("granted are %v, want web-1 and web-2", got)
	}
	s.Memory.Keep(&plan, s.Config, s.Now)
	delete(s.Nodes[0].Annotations, api.DeadlineAnnotation)
	for s.Now.Before(noon.Add(paceFor)) {
		plan = Make(s.Snapshot)
		if got := granted(plan); len(got) > 0 {
			t.Fatalf("granted are %v after %v, want none", got, s.Now.Sub(noon))
		}
		if plan.Wake.IsZero() || plan.Wake.After(noon.Add(paceFor)) {
			t.Errorf("the next plan is at %v", plan.Wake)
		}
		s.Memory.Keep(&plan, s.Config, s.Now)
		s.Now = s.Now.Add(10 * time.Second)
	}
	if got := granted(Make(s.Snapshot)); len(got) != 1 {
		t.Errorf("granted are %v after two minutes, want one pod", got)
	}
}
