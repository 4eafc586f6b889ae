package drain_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// hourly opens on every full hour.
type hourly struct{}

// Next implements plan.Schedule.
func (hourly) Next(after time.Time) time.Time { return after.Truncate(time.Hour).Add(time.Hour) }

// TestStoryWindow: a drain begins when its window opens, pauses when it closes,
// also for the process that comes after, and continues in the next one.
func TestStoryWindow(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.cluster(func(c *sim.Cluster) {
			c.Run(sim.Workload{
				Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: 12,
				Behavior: sim.Behavior{StartsIn: 20 * time.Second, StopsIn: time.Second},
			}, times(12, "a")...)
		})
		s.budget("web", "maxUnavailable 1")
		s.flags.windows = []plan.Window{{
			Schedule: hourly{}, Duration: 2 * time.Minute, LatestStart: time.Minute, Pauses: true, Nodes: labels.Everything(),
		}}
		s.wait(time.Until(s.begun.Truncate(time.Hour).Add(30 * time.Minute)))
		r := s.start()
		s.drain("r", "a")
		s.await("the node says when its window opens", time.Minute, func() bool {
			return s.phase("a") == api.Queued && strings.Contains(s.message("a"), "the next opens at "+s.hour(1))
		})
		s.wait(time.Until(s.begun.Truncate(time.Hour).Add(time.Hour)))
		if s.node("a").Spec.Unschedulable || len(s.evictions("")) > 0 {
			t.Error("something was done outside of the window")
		}
		s.wait(2*time.Minute + time.Second)
		sent := len(s.evictions(""))
		if sent == 0 || sent == 12 {
			t.Fatalf("%d pods were evicted in the window, the story is about some", sent)
		}
		s.await("the drain pauses", time.Minute, func() bool {
			return s.phase("a") == api.Paused && strings.Contains(s.message("a"), "the next opens at "+s.hour(2))
		})
		r.terminate()
		s.start()
		s.wait(50 * time.Minute)
		if now := len(s.evictions("")); now != sent || !s.node("a").Spec.Unschedulable {
			t.Errorf("%d pods were evicted outside of the window, cordoned %v", now-sent, s.node("a").Spec.Unschedulable)
		}
		s.await("it continues in the windows that follow", 5*time.Hour, s.drained("r", "a"))
		for _, e := range s.evictions("") {
			if at := e.Began.Sub(e.Began.Truncate(time.Hour)); at > 2*time.Minute {
				t.Errorf("an eviction was sent %v after the hour", at)
			}
		}
	})
}

// hour is a full hour after the beginning of the story, as messages have it.
func (s *story) hour(n int) string {
	return s.begun.Truncate(time.Hour).Add(time.Duration(n) * time.Hour).UTC().Format(time.RFC3339)
}

// TestStoryIgnoreWindows: an emergency goes past a freeze, and not past the
// ConfigMap that stops everything.
func TestStoryIgnoreWindows(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.deployment("web", times(3, "a")...)
		s.flags.freezes = []plan.Freeze{{From: s.begun, Until: s.begun.Add(24 * time.Hour), Reason: "holidays"}}
		s.control(api.ControlPaused, "INC-42")
		s.start()
		s.annotate("a", api.IgnoreWindowsAnnotation, "true")
		s.drain("r", "a")
		s.wait(time.Minute)
		if s.phase("a") != api.Paused || s.node("a").Spec.Unschedulable {
			t.Errorf("everything is paused, and the node is %s", s.phase("a"))
		}
		s.unannotate("a", api.IgnoreWindowsAnnotation)
		s.wait(time.Second)
		s.control()
		s.await("it waits for the end of the freeze", time.Minute, func() bool {
			return s.phase("a") == api.Queued && strings.Contains(s.message("a"), "holidays")
		})
		s.annotate("a", api.IgnoreWindowsAnnotation, "true")
		s.await("the emergency is carried out", 5*time.Minute, s.drained("r", "a"))
	})
}
