package drain_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// TestStoryUnreachable: a node that does not report is Drained once it has been
// unreachable for long enough, whichever process leads, and no longer when it
// comes back with its pods.
func TestStoryUnreachable(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "busy")
		s.spares(2)
		s.deployment("web", "n", "n")
		s.flags.change = func(c *plan.Config) { c.IgnoreUnreachableAfter = 10 * time.Minute }
		first := s.start()
		s.ready("n", corev1.ConditionUnknown)
		since := time.Now()
		s.drain("r", "n")
		s.await("the node says that it is unreachable", 2*time.Minute, func() bool {
			return s.status("n").Reason == string(plan.NodeUnreachable) && strings.Contains(s.message("n"), "add the taint node.kubernetes.io/out-of-service")
		})
		s.wait(5 * time.Minute)
		first.kill()
		s.start()
		s.await("drained with its pods", 10*time.Minute, s.drained("r", "n"))
		if took := time.Since(since); took < 10*time.Minute {
			t.Errorf("drained %v after the node became unreachable", took)
		}
		if counts := s.status("n").Pods; counts != (api.PodCounts{Unconfirmed: 2}) || len(s.pods("n")) != 2 {
			t.Errorf("%d pods are there, counted as %+v", len(s.pods("n")), counts)
		}
		s.wait(time.Hour)
		if !s.drained("r", "n")() {
			t.Error("the node is no longer drained although nothing has changed")
		}
		s.ready("n", corev1.ConditionTrue)
		s.await("the pods gone, and drained", time.Minute, func() bool {
			return len(s.pods("n")) == 0 && s.drained("r", "n")() && s.status("n").Pods == (api.PodCounts{Gone: 2})
		})
	})
}

// TestStoryUnreachableWaits: by default the drain waits.
func TestStoryUnreachableWaits(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.start()
		s.ready("n", corev1.ConditionUnknown)
		s.drain("r", "n")
		s.wait(3 * time.Hour)
		if s.drained("r", "n")() || len(s.pods("n")) != 1 {
			t.Error("the node is drained although its pod is there")
		}
		s.ready("n", corev1.ConditionTrue)
		s.await("drained", time.Minute, s.drained("r", "n"))
	})
}
