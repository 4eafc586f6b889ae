package drain_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// queuedFor is true if a node is queued and says so in these words.
func (s *story) queuedFor(node, says string) func() bool {
	return func() bool {
		for _, c := range s.node(node).Status.Conditions {
			if c.Type == corev1.NodeDrainInProgress && strings.Contains(c.Message, says) {
				return s.phase(node) == api.Queued
			}
		}
		return false
	}
}

// ready lets a node be Ready, or not, from now on.
func (s *story) ready(node string, status corev1.ConditionStatus) {
	s.cluster(func(c *sim.Cluster) {
		c.UpdateNode(node, func(n *corev1.Node) {
			for i := range n.Status.Conditions {
				if is := &n.Status.Conditions[i]; is.Type == corev1.NodeReady {
					is.Status, is.LastTransitionTime = status, metav1.NewTime(c.Now())
				}
			}
		})
	})
}

// TestStoryUnavailable: a node waits for as long as others are unavailable, one
// after the other for every reason that there is, and whichever process leads.
func TestStoryUnavailable(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b", "cordoned", "broken")
		s.spares(2)
		s.deployment("web", "a", "b")
		s.flags.limits = func(c *plan.Config) {
			c.MaxDraining, _ = plan.ParseShare("100%")
			c.MaxUnavailable, _ = plan.ParseShare("1")
		}
		s.wait(10 * time.Minute) // The nodes are no longer young.
		first := s.start()
		s.drain("r", "a")
		s.await("node a is drained", time.Minute, s.drained("r", "a"))
		s.drain("r", "b")
		s.await("node b waits for node a", 2*time.Minute, s.queuedFor("b", "1 drained and not released (a)"))
		first.kill()
		s.start()
		s.edit("cordoned", func(n *corev1.Node) { n.Spec.Unschedulable = true })
		s.unannotate("a", api.DrainAnnotation)
		s.await("node b waits for the cordoned node", 3*time.Minute, s.queuedFor("b", "may be: 1 cordoned (cordoned)"))
		s.ready("broken", corev1.ConditionUnknown)
		s.wait(90 * time.Second)
		s.edit("cordoned", func(n *corev1.Node) { n.Spec.Unschedulable = false })
		s.await("node b waits for the broken node", 3*time.Minute, s.queuedFor("b", "may be: 1 not Ready (broken)"))
		if s.node("b").Spec.Unschedulable {
			t.Error("node b is queued and cordoned")
		}
		s.drain("r", "broken")
		s.await("the broken node begins in the meantime", time.Minute, s.reaches("broken", api.Draining))
		s.ready("broken", corev1.ConditionTrue)
		s.await("the broken node is drained", time.Minute, s.drained("r", "broken"))
		s.unannotate("broken", api.DrainAnnotation)
		s.await("node b is drained", time.Minute, s.drained("r", "b"))
	})
}
