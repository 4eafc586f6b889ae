package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestRetryStaysBlocked: a pod that is refused again and again is blocked all
// the time, or it would never become stuck and the node never Blocked.
func TestRetryStaysBlocked(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	m := s.Memory.Nodes[n.UID]
	m.IdleSince = noon.Add(-time.Hour)
	s.Memory.Nodes[n.UID] = m
	pod := s.pod("n", "web-1")
	s.remember(pod, PodMemory{FirstSeen: noon.Add(-time.Hour), BlockedSince: noon.Add(-time.Hour), BlockedBy: Webhook}.with(Tries{Outcome: Outcome{Reason: Webhook, Message: "no"}, Refusals: 9, RetryAt: noon}))
	check := func(when string, sent bool) {
		t.Helper()
		plan := Make(s.Snapshot)
		node := planOf(t, plan, "n")
		if got := slices.Contains(granted(plan), "web-1"); got != sent {
			t.Errorf("%s: sent %v", when, got)
		}
		if p := node.Pods[0]; p.State != Blocked || p.Reason != Webhook || !p.Stuck(s.Now, s.Config.StuckAfter) || node.Phase != api.Blocked {
			t.Errorf("%s: %s by %q since %v, node %s", when, p.State, p.Reason, p.Since, node.Phase)
		}
	}
	check("when it is sent again", true)
	s.InFlight[pod.UID] = Post{Sent: noon}
	check("while it is being sent", false)
}

// TestReopened: without the cordon there is no promise.
func TestReopened(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	m := s.Memory.Nodes[n.UID]
	m.FinishedAt = noon.Add(-30 * time.Second)
	s.Memory.Nodes[n.UID] = m
	if plan := planOf(t, Make(s.Snapshot), "n"); plan.Phase != api.Drained || plan.Report().Drained != corev1.ConditionTrue {
		t.Fatalf("the node is %s", plan.Phase)
	}
	n.Unschedulable, n.OwnCordon = false, false
	plan := planOf(t, Make(s.Snapshot), "n")
	if plan.Phase == api.Drained || plan.Report().Drained != corev1.ConditionFalse || !plan.Memory.FinishedAt.IsZero() {
		t.Errorf("an uncordoned node is %s, Drained %s", plan.Phase, plan.Report().Drained)
	}
	// Cordoned again, it has to settle and be checked again.
	s.Memory.Nodes[n.UID] = plan.Memory
	n.Unschedulable, n.OwnCordon = true, true
	if plan := planOf(t, Make(s.Snapshot), "n"); plan.Confirm || plan.Phase == api.Drained {
		t.Errorf("the node is %s again at once, confirm %v", plan.Phase, plan.Confirm)
	}
	s.Now = noon.Add(time.Second)
	if got := plan.Memory.active(s.Now); got != 31*time.Second {
		t.Errorf("the drain has taken %v, want 31s", got)
	}
}

// TestReleasedIsForgotten: the same ID asked for again, before the Node shows
// that it was released, is a request of its own.
func TestReleasedIsForgotten(t *testing.T) {
	done := noon.Add(-time.Minute)
	s := newScene()
	s.node("spare")
	n := s.draining("n", api.StatusAnnotation, api.Status{Request: "r", Phase: api.Drained, StartedAt: &done, FinishedAt: &done}.Format())
	s.Memory.Nodes[n.UID] = NodeMemory{}
	if plan := planOf(t, Make(s.Snapshot), "n"); plan.Phase == api.Drained || !plan.Memory.StartedAt.Equal(noon) {
		t.Errorf("the node is %s, started at %v", plan.Phase, plan.Memory.StartedAt)
	}
}

// TestStalls: a node that cannot be cordoned does not say Draining forever, and
// says why.
func TestStalls(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	n.Unschedulable, n.OwnCordon = false, false
	m := s.Memory.Nodes[n.UID]
	m.CordonSeen, m.Trouble = time.Time{}, "admission says no"
	s.Memory.Nodes[n.UID] = m
	plan := planOf(t, Make(s.Snapshot), "n")
	s.Memory.Nodes[n.UID] = plan.Memory
	s.Now = s.Now.Add(blockedAfter)
	plan = planOf(t, Make(s.Snapshot), "n")
	if plan.Phase != api.Blocked || !strings.Contains(plan.Report().Message, "admission says no") {
		t.Errorf("the node is %s and says %q", plan.Phase, plan.Report().Message)
	}
}

// TestPauseClock: the clock stops once, not again with every plan; and a drained
// node has no clock to stop.
func TestPauseClock(t *testing.T) {
	s := newScene()
	n := s.draining("n", api.PausedAnnotation, "true")
	s.pod("n", "web-1")
	first := planOf(t, Make(s.Snapshot), "n")
	s.Memory.Nodes[n.UID] = first.Memory
	s.Now = noon.Add(time.Minute)
	again := planOf(t, Make(s.Snapshot), "n")
	if !again.Memory.PausedAt.Equal(noon) || again.Memory.PausedFor != 0 || again.Memory.active(s.Now) != time.Minute {
		t.Errorf("paused at %v for %v, active %v", again.Memory.PausedAt, again.Memory.PausedFor, again.Memory.active(s.Now))
	}
	done := NodeMemory{StartedAt: noon, FinishedAt: noon.Add(time.Minute)}
	if m := done.paused(true, noon.Add(time.Hour)); !m.PausedAt.IsZero() {
		t.Error("the clock of a drained node was stopped")
	}
}

// TestInvalidWhileDrained: a drained node whose request becomes invalid does not say
// Drained, and does not say it again from the cache once the request is corrected.
func TestInvalidWhileDrained(t *testing.T) {
	s := newScene()
	n := s.draining("n", api.DrainedAnnotation, "r")
	m := s.Memory.Nodes[n.UID]
	m.FinishedAt = noon.Add(-30 * time.Second)
	s.Memory.Nodes[n.UID] = m
	n.Annotations["drainer.dev/typo"] = "x"
	if plan, _ := s.planned(t, n); plan.Phase != api.InvalidRequest || n.Annotations[api.DrainedAnnotation] != "" {
		t.Fatalf("the node is %s, and says %q", plan.Phase, n.Annotations[api.DrainedAnnotation])
	}
	delete(n.Annotations, "drainer.dev/typo")
	s.Now = noon.Add(time.Second)
	plan, _ := s.planned(t, n)
	if plan.Phase != api.Draining || plan.Report().Drained == corev1.ConditionTrue || n.Annotations[api.DrainedAnnotation] != "" {
		t.Errorf("corrected, the node is %s, Drained %s", plan.Phase, plan.Report().Drained)
	}
	s.Now = noon.Add(3 * time.Second)
	if plan, _ = s.planned(t, n); !plan.Confirm {
		t.Errorf("the API server is not asked: the node is %s", plan.Phase)
	}
}

// TestEmptyInTrouble: an empty node that cannot be confirmed makes no progress, says
// why, and gives its slot to others after a while.
func TestEmptyInTrouble(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	step := func(after time.Duration) *NodePlan {
		s.Now = s.Now.Add(after)
		m := s.Memory.Nodes[n.UID]
		m.Trouble = "listing its pods: forbidden"
		s.Memory.Nodes[n.UID] = m
		plan, _ := s.planned(t, n)
		return plan
	}
	s.Config.YieldAfter = time.Hour
	step(0)
	if plan := step(blockedAfter); plan.Phase != api.Blocked || !strings.Contains(plan.Report().Message, "listing its pods: forbidden") {
		t.Errorf("the node is %s and says %q", plan.Phase, plan.Report().Message)
	}
	if plan := step(time.Hour); plan.Memory.HeldSlot {
		t.Error("after an hour it holds its slot")
	}
}
