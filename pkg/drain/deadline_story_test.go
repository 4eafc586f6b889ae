package drain_test

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// spot prepares a node n with three pods of web, which their budget never lets go, and
// three of api. Its drain has to wait for a slot, and is paused.
func (s *story) spot() {
	s.nodes("n", "busy")
	s.spares(3)
	s.deployment("web", times(3, "n")...)
	s.budget("web", "maxUnavailable 0")
	s.deployment("api", times(3, "n")...)
	s.deployment("db", "busy")
	s.budget("db", "maxUnavailable 0")
	s.flags.maxDraining = "1"
	s.start()
	s.drain("r", "busy")
	s.await("another drain holds the slot", time.Minute, s.reaches("busy", api.Blocked))
	s.annotate("n", api.PausedAnnotation, "true")
	s.drain("spot", "n")
	s.await("the drain is paused", time.Minute, s.reaches("n", api.Paused))
}

// notice says that the node n disappears in two minutes, and returns when.
func (s *story) notice() time.Time {
	at := time.Now().Add(2 * time.Minute).Truncate(time.Second)
	s.annotate("n", api.DeadlineAnnotation, at.UTC().Format(time.RFC3339))
	return at
}

// TestStoryDeadline: a spot notice starts a drain past slots and a pause. What budgets
// never let go is deleted when its grace period is left, all at once, each pod after
// the API server itself refused its eviction, and the node is drained in time.
func TestStoryDeadline(t *testing.T) {
	tell(t, func(s *story) {
		s.flags.allowDelete = true
		s.spot()
		at := s.notice()
		s.await("what no budget holds is gone", 5*time.Second, func() bool { return len(s.pods("n")) == 3 })
		s.await("the node says what happens", 15*time.Second, func() bool {
			d, says := s.status("n").Deadline, s.message("n")
			return d != nil && d.At.Equal(at) && d.ToDelete == 3 && d.AtRisk == 0 &&
				strings.Contains(says, "the node disappears at "+at.UTC().Format(time.RFC3339)) && strings.Contains(says, "3 pods will be deleted")
		})
		s.wait(time.Until(at.Add(-31 * time.Second)))
		if n := len(s.deletions("")); n > 0 {
			t.Fatalf("%d deletions were sent with more than the grace period left", n)
		}
		s.await("drained", 30*time.Second, s.drained("spot", "n"))
		sent := s.deletions("")
		if len(sent) != 3 {
			t.Fatalf("%d deletions were sent, want 3", len(sent))
		}
		for _, r := range sent {
			o := optionsOf(t, r)
			if left := at.Sub(r.Began); left < 29*time.Second || left > 30*time.Second || o.GracePeriodSeconds == nil || *o.GracePeriodSeconds < 29 || *o.GracePeriodSeconds > 30 {
				t.Errorf("%s is deleted %v before the deadline with %+v", r.Name, left, o)
			}
			if asked := s.evictions(r.Name); len(asked) == 0 || asked[len(asked)-1].Code != 429 {
				t.Errorf("%s is deleted without that its eviction was refused", r.Name)
			}
			if notes := s.events(r.Name)["ForcedDeletion"]; len(notes) != 1 || !strings.Contains(notes[0], "because node n disappears at") {
				t.Errorf("the events of %s are %v", r.Name, s.events(r.Name))
			}
		}
		if s.phase("busy") != api.Blocked {
			t.Errorf("the other node is %s", s.phase("busy"))
		}
	})
}

// TestStoryDeadlineEvictsOnly: without the permission nothing is deleted, and the node
// says which pods are lost. Five minutes after the deadline it no longer has an effect.
func TestStoryDeadlineEvictsOnly(t *testing.T) {
	tell(t, func(s *story) {
		s.spot()
		at := s.notice()
		s.await("the node says what is lost", 30*time.Second, func() bool {
			d := s.status("n").Deadline
			return d != nil && d.AtRisk == 3 && len(s.pods("n")) == 3 &&
				strings.Contains(s.message("n"), "3 pods will be lost with it unless gone by then (drainer deletes none")
		})
		for _, b := range s.status("n").Blockers {
			if !b.AtRisk || !strings.HasPrefix(b.Pod, "shop/web-") {
				t.Errorf("the status has %+v", b)
			}
		}
		s.wait(time.Until(at.Add(5*time.Minute - time.Second)))
		if s.phase("n") == api.Paused || s.status("n").Deadline == nil {
			t.Errorf("just before, the node is %s", s.phase("n"))
		}
		s.await("the pause counts again", 2*time.Second, s.reaches("n", api.Paused))
		if says := s.message("n"); !strings.Contains(says, "does not count") || s.status("n").Deadline != nil {
			t.Errorf("the node says %q", says)
		}
		if n := len(s.deletions("")); n > 0 {
			t.Errorf("%d deletions were sent", n)
		}
	})
}

// TestStoryDeadlineStopped: the ConfigMap that stops everything stops a node that
// disappears, too. Once it is gone, the drain is carried out, past a freeze.
func TestStoryDeadlineStopped(t *testing.T) {
	tell(t, func(s *story) {
		s.flags.allowDelete = true
		s.flags.freezes = []plan.Freeze{{From: s.begun, Until: s.begun.Add(24 * time.Hour), Reason: "holidays"}}
		s.nodes("n")
		s.spares(2)
		s.deployment("web", times(3, "n")...)
		s.budget("web", "maxUnavailable 0")
		s.control(api.ControlPaused, "INC-42")
		s.start()
		s.notice()
		s.drain("spot", "n")
		s.wait(3 * time.Minute)
		if n := len(s.evictions("")) + len(s.deletions("")); n > 0 || s.node("n").Spec.Unschedulable {
			t.Errorf("%d requests were sent, cordoned: %v", n, s.node("n").Spec.Unschedulable)
		}
		s.control()
		s.await("drained past the freeze", time.Minute, s.drained("spot", "n"))
	})
}
