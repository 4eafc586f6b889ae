package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestDrained: the promise is only looked for when everything stands still.
func TestDrained(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(scene, *Node)
		confirm bool
	}{
		"empty":             {func(scene, *Node) {}, true},
		"a pod":             {func(s scene, _ *Node) { s.pod("n", "web-1") }, false},
		"a pod that leaves": {func(s scene, _ *Node) { s.pod("n", "web-1", func(p *Pod) { p.Deadline = noon }) }, false},
		"a pod that stays":  {func(s scene, _ *Node) { s.pod("n", "static-1", func(p *Pod) { p.Static = true }) }, true},
		"not cordoned":      {func(_ scene, n *Node) { n.Unschedulable = false }, false},
		"not settled": {func(s scene, n *Node) {
			m := s.Memory.Nodes[n.UID]
			m.CordonSeen = noon.Add(-4 * time.Second)
			s.Memory.Nodes[n.UID] = m
		}, false},
		"paused":     {func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" }, false},
		"not listed": {func(s scene, n *Node) { delete(s.Pods, n.Name) }, false},
		"drained before": {func(s scene, n *Node) {
			m := s.Memory.Nodes[n.UID]
			m.FinishedAt = noon
			s.Memory.Nodes[n.UID] = m
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			test.change(s, n)
			s.report(n)
			if got := planOf(t, Make(s.Snapshot), "n").Confirm; got != test.confirm {
				t.Errorf("confirm: %v, want %v", got, test.confirm)
			}
		})
	}
}

// TestDrainedTurnsBack: a wanted pod on a drained node takes the promise back.
func TestDrainedTurnsBack(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	m := s.Memory.Nodes[n.UID]
	m.FinishedAt = noon.Add(-10 * time.Second)
	s.Memory.Nodes[n.UID] = m
	s.pod("n", "late-1")
	plan := planOf(t, Make(s.Snapshot), "n")
	if plan.Phase != api.Draining || plan.Report().Drained != corev1.ConditionFalse || plan.Report().InProgress != corev1.ConditionTrue {
		t.Errorf("phase %s, Drained %s", plan.Phase, plan.Report().Drained)
	}
	if got := plan.Memory.active(noon); got != 50*time.Second {
		t.Errorf("the drain has taken %v, want the 50s before it was done", got)
	}
}

// TestPausedWhenDrained: a pause does not withdraw that the node is drained; a target that
// comes does, and is not evicted.
func TestPausedWhenDrained(t *testing.T) {
	s := newScene()
	n := s.draining("n", api.PausedAnnotation, "true")
	m := s.Memory.Nodes[n.UID]
	m.FinishedAt = noon.Add(-10 * time.Second)
	s.Memory.Nodes[n.UID] = m
	plan := planOf(t, Make(s.Snapshot), "n")
	if r := plan.Report(); plan.Phase != api.Drained || r.Drained != corev1.ConditionTrue || r.InProgress != corev1.ConditionFalse {
		t.Errorf("phase %s, Drained %s", plan.Phase, r.Drained)
	}
	s.pod("n", "late-1")
	all := Make(s.Snapshot)
	plan = planOf(t, all, "n")
	if r := plan.Report(); plan.Phase != api.Paused || r.Drained != corev1.ConditionFalse || len(all.Grants) > 0 {
		t.Errorf("with a target: phase %s, Drained %s, granted %v", plan.Phase, r.Drained, granted(all))
	}
}

// TestSaysDrained: a node that says that it is drained, of which nothing is
// remembered, is looked at again before anything else is written.
func TestSaysDrained(t *testing.T) {
	for name, test := range map[string]struct {
		change func(scene, *Node)
		write  bool
	}{
		"still empty":         {func(scene, *Node) {}, false},
		"paused since":        {func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" }, false},
		"a pod":               {func(s scene, _ *Node) { s.pod("n", "web-1") }, true},
		"for another request": {func(_ scene, n *Node) { n.Annotations[api.DrainedAnnotation] = "other" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			s.report(n)
			show(n, planOf(t, Make(s.Snapshot), "n").Report().Done(noon, 0))
			s.Now = noon.Add(time.Minute)
			test.change(s, n)
			plan := planOf(t, Make(s.Snapshot), "n")
			if plan.Write != test.write || plan.Confirm == test.write {
				t.Errorf("writes %v, confirms %v", plan.Write, plan.Confirm)
			}
		})
	}
}

// TestSaysDrainedInTime: while the Node says that it is drained, the drain does not
// time out, although the answer to that write was lost.
func TestSaysDrainedInTime(t *testing.T) {
	for _, action := range []api.OnTimeout{api.Wait, api.Stop, api.Release} {
		s := newScene()
		s.Config.Timeout, s.Config.OnTimeout = time.Minute, action
		n := s.draining("n")
		s.report(n)
		show(n, planOf(t, Make(s.Snapshot), "n").Report().Done(noon, 0))
		s.Now = noon.Add(time.Hour)
		if plan := planOf(t, Make(s.Snapshot), "n"); plan.Phase == api.TimedOut || plan.Memory.Result != "" || plan.Write || !plan.Confirm {
			t.Errorf("%s: it is %s with result %q, writes %v, confirms %v", action, plan.Phase, plan.Memory.Result, plan.Write, plan.Confirm)
		}
		delete(n.Annotations, api.DrainedAnnotation)
		if plan := planOf(t, Make(s.Snapshot), "n"); plan.Phase != api.TimedOut {
			t.Errorf("%s: once the Node no longer says so, it is %s", action, plan.Phase)
		}
	}
}

// TestReplacedWhileSaidDrained: a request that replaces one whose Node says that it is
// drained is a new drain, although the answer to that write was lost.
func TestReplacedWhileSaidDrained(t *testing.T) {
	for _, said := range []bool{true, false} {
		s := newScene()
		n := s.draining("n")
		s.report(n)
		if said {
			show(n, planOf(t, Make(s.Snapshot), "n").Report().Done(noon, 0))
		}
		held := s.Memory.Nodes[n.UID]
		held.HeldSlot = true
		s.Memory.Nodes[n.UID] = held
		n.Annotations[api.DrainAnnotation] = "another"
		s.Now, s.Control.Paused = noon.Add(time.Hour), "INC-1"
		memory := planOf(t, Make(s.Snapshot), "n").Memory
		if isNew := memory.RequestedAt.Equal(s.Now); isNew != said || memory.StartedAt.IsZero() != said {
			t.Errorf("said %v: the request is from %v, and began at %v", said, memory.RequestedAt, memory.StartedAt)
		}
	}
}

// TestGuarded: a report about a node that may say by now that it is drained, by a
// write whose answer was lost, must not overwrite that.
func TestGuarded(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.report(n)
	s.Now = noon.Add(time.Minute)
	if plan := planOf(t, Make(s.Snapshot), "n"); !plan.Confirm || plan.Write {
		t.Fatalf("confirms %v, writes %v: the scene is not what it is for", plan.Confirm, plan.Write)
	}
	memory := s.Memory.Nodes[n.UID]
	memory.Trouble = "context deadline exceeded"
	s.Memory.Nodes[n.UID] = memory
	if plan := planOf(t, Make(s.Snapshot), "n"); !plan.Write || !plan.Guarded {
		t.Errorf("writes %v, guarded %v", plan.Write, plan.Guarded)
	}
	s.pod("n", "web-1")
	if plan := planOf(t, Make(s.Snapshot), "n"); plan.Guarded {
		t.Error("a node with a target cannot have been found drained, and its report is guarded")
	}
}

// TestBlocked: a turn of a budget is not a change of phase.
func TestBlocked(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.pod("n", "web-1")
	s.budget("p", "web", 0, 2, 2, 3)
	plan := planOf(t, Make(s.Snapshot), "n")
	if plan.Phase != api.Draining || !plan.Memory.IdleSince.Equal(noon) {
		t.Fatalf("phase %s, idle since %v", plan.Phase, plan.Memory.IdleSince)
	}
	s.Memory.Nodes[n.UID] = plan.Memory
	s.Now = noon.Add(blockedAfter)
	plan = planOf(t, Make(s.Snapshot), "n")
	if plan.Phase != api.Blocked || plan.Report().InProgress != corev1.ConditionTrue || plan.Report().Status.Reason != string(BudgetExhausted) {
		t.Errorf("phase %s, DrainInProgress %s, reason %s", plan.Phase, plan.Report().InProgress, plan.Report().Status.Reason)
	}
	if !strings.Contains(plan.Report().Message, "ns/web-1 by PDB ns/p (needs 2 healthy, has 2)") {
		t.Errorf("the message is %q", plan.Report().Message)
	}
}

// TestIdle: a drain is idle while its pods wait for something other than
// drainer; one without pods, or whose pods are being sent, is not.
func TestIdle(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(scene)
		idle    bool
	}{
		"without pods":             {func(scene) {}, false},
		"to be sent":               {func(s scene) { s.pod("n", "web-1") }, false},
		"being sent":               {func(s scene) { s.InFlight[s.pod("n", "web-1").UID] = Post{Sent: noon} }, false},
		"terminating":              {func(s scene) { s.pod("n", "web-1", func(p *Pod) { p.Deadline = noon.Add(time.Minute) }) }, false},
		"under a budget with room": {func(s scene) { s.pod("n", "web-1"); s.budget("p", "web", 1, 2, 1, 2) }, false},
		"under a full one":         {func(s scene) { s.pod("n", "web-1"); s.budget("p", "web", 0, 2, 2, 3) }, true},
		"sent and blocked": {func(s scene) {
			pod := s.pod("n", "web-1")
			s.remember(pod, PodMemory{FirstSeen: noon, BlockedSince: noon, BlockedBy: Webhook}.with(Tries{Outcome: Outcome{Reason: Webhook}}))
			s.InFlight[pod.UID] = Post{Sent: noon}
		}, true},
		"nothing but static pods": {func(s scene) { s.pod("n", "static-1", func(p *Pod) { p.Static = true }) }, false},
	} {
		s := newScene()
		s.Config.Settle = time.Hour
		s.draining("n")
		test.prepare(s)
		if since := planOf(t, Make(s.Snapshot), "n").Memory.IdleSince; since.IsZero() == test.idle {
			t.Errorf("%s: idle since %v, want idle: %v", name, since, test.idle)
		}
	}
}
