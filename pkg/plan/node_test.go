package plan

import (
	"slices"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestSends: nothing is sent unless everything stands for it.
func TestSends(t *testing.T) {
	for name, test := range map[string]struct {
		change func(scene, *Node)
		sends  bool
		phase  api.Phase
	}{
		"cordoned":        {func(scene, *Node) {}, true, api.Draining},
		"not cordoned":    {func(_ scene, n *Node) { n.Unschedulable, n.OwnCordon = false, false }, false, api.Draining},
		"not our cordon":  {func(_ scene, n *Node) { n.OwnCordon = false }, false, api.Draining},
		"not listed":      {func(s scene, n *Node) { delete(s.Pods, n.Name) }, false, api.Draining},
		"paused":          {func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" }, false, api.Paused},
		"invalid":         {func(_ scene, n *Node) { n.Annotations[api.Prefix+"dryrun"] = "true" }, false, api.InvalidRequest},
		"timed out, Wait": {func(_ scene, n *Node) { n.Annotations[api.TimeoutAnnotation] = "30s" }, true, api.TimedOut},
		"timed out, Stop": {func(_ scene, n *Node) {
			n.Annotations[api.TimeoutAnnotation], n.Annotations[api.OnTimeoutAnnotation] = "30s", "Stop"
		}, false, api.TimedOut},
		"in time": {func(_ scene, n *Node) { n.Annotations[api.TimeoutAnnotation] = "2m" }, true, api.Draining},
		"paused for long enough to be in time": {func(s scene, n *Node) {
			n.Annotations[api.TimeoutAnnotation] = "30s"
			m := s.Memory.Nodes[n.UID]
			m.PausedFor = 40 * time.Second
			s.Memory.Nodes[n.UID] = m
		}, true, api.Draining},
		"annotation on the pod": {func(s scene, n *Node) { s.Pods[n.Name][0].Instructions = []string{"drainer.dev/drain"} }, true, api.Draining},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			s.pod("n", "web-1")
			test.change(s, n)
			plan := Make(s.Snapshot)
			if sends := len(plan.Grants) > 0; sends != test.sends {
				t.Errorf("sends: %v, want %v", sends, test.sends)
			}
			if phase := planOf(t, plan, "n").Phase; phase != test.phase {
				t.Errorf("phase %s, want %s", phase, test.phase)
			}
		})
	}
}

// TestUncordon: the first outside uncordon is undone at once, the next ones
// with growing delay.
func TestUncordon(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.report(n)
	var delays []time.Duration
	for range 4 {
		n.Unschedulable, n.OwnCordon = false, false
		plan := planOf(t, Make(s.Snapshot), "n")
		s.Memory.Nodes[n.UID] = plan.Memory
		waited := time.Duration(0)
		for !plan.Cordon {
			s.Now, waited = s.Now.Add(time.Second), waited+time.Second
			plan = planOf(t, Make(s.Snapshot), "n")
		}
		delays = append(delays, waited)
		n.Unschedulable, n.OwnCordon = true, true
		s.Memory.Nodes[n.UID] = planOf(t, Make(s.Snapshot), "n").Memory
	}
	if want := []time.Duration{0, 5 * time.Second, 10 * time.Second, 20 * time.Second}; !slices.Equal(delays, want) {
		t.Errorf("put back after %v, want %v", delays, want)
	}
}
