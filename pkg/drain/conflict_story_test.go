package drain_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestStoryConditionConflict: drainer does not overwrite a condition that
// somebody else writes. The annotations show the state of the drain, and one
// event names the other writer.
func TestStoryConditionConflict(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(1)
		s.deployment("web", times(1, "n")...)
		s.budget("web", "maxUnavailable 0")
		s.start()
		s.drain("r", "n")
		s.await("blocked", time.Minute, s.reaches("n", api.Blocked))
		if err := s.server.EditNodeStatus("n", "other", func(n *corev1.Node) {
			for i := range n.Status.Conditions {
				if c := &n.Status.Conditions[i]; c.Type == corev1.NodeDrained {
					c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "Theirs", "theirs"
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		s.wait(5 * time.Minute)
		for _, c := range s.node("n").Status.Conditions {
			if c.Type == corev1.NodeDrained && (c.Status != corev1.ConditionUnknown || c.Reason != "Theirs") {
				t.Errorf("the other's condition is %+v", c)
			}
		}
		if notes := s.events("n")["ConditionConflict"]; len(notes) != 1 || !strings.Contains(notes[0], "condition Drained by other") {
			t.Errorf("the events are %q", notes)
		}
		if w := s.status("n").Warnings; len(w) != 1 || !strings.Contains(w[0], "condition Drained by other") {
			t.Errorf("the warnings are %q", w)
		}
		if !strings.Contains(s.message("n"), "PDB shop/web") {
			t.Errorf("the node says %q", s.message("n"))
		}
		s.unannotate("n", api.DrainAnnotation)
		s.await("released", time.Minute, func() bool { return s.phase("n") == "" && !s.node("n").Spec.Unschedulable })
	})
}

// TestStoryHold: a node that others hold is released once they let it go.
func TestStoryHold(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(1)
		s.deployment("web", times(2, "n")...)
		d := s.start()
		s.annotate("n", api.HoldPrefix+"backup", "copies the disk")
		s.drain("r", "n")
		s.await("drained", time.Minute, s.drained("r", "n"))
		s.unannotate("n", api.DrainAnnotation)
		s.await("held", time.Minute, s.reaches("n", api.Held))
		d.kill()
		s.start()
		s.wait(time.Minute)
		if n := s.node("n"); !n.Spec.Unschedulable || n.Annotations[api.DrainedAnnotation] != "" || !strings.Contains(s.message("n"), "held by backup (copies the disk)") {
			t.Errorf("the node is cordoned: %v, and says %q", n.Spec.Unschedulable, s.message("n"))
		}
		s.unannotate("n", api.HoldPrefix+"backup")
		s.await("released", time.Minute, func() bool { return s.phase("n") == "" && !s.node("n").Spec.Unschedulable })
	})
}
