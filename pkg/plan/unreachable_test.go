package plan

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// overdue is a pod whose grace period ended a minute ago.
func overdue(p *Pod) { p.Deadline, p.Grace = noon.Add(-time.Minute), 30*time.Second }

// unreachableFor lets the node be unreachable for so long.
func unreachableFor(n *Node, d time.Duration) {
	n.Ready, n.Unreachable, n.ReadySince = false, true, noon.Add(-d)
}

// TestUnreachable: what happens to the pods of a node that does not report.
func TestUnreachable(t *testing.T) {
	const after = 10 * time.Minute
	for name, test := range map[string]struct {
		after       time.Duration
		unreachable time.Duration
		change      func(*Pod)
		prepare     func(scene, *Node)
		state       State
		reason      Reason
		wake        time.Time
	}{
		"waited for":                {unreachable: time.Hour, state: Terminating, reason: NodeUnreachable},
		"ignored after a while":     {after: after, unreachable: after - time.Second, state: Terminating, reason: NodeUnreachable, wake: noon.Add(time.Second)},
		"ignored":                   {after: after, unreachable: after, state: UnconfirmedPod, reason: NodeUnreachable},
		"within its grace period":   {after: after, unreachable: time.Hour, change: func(p *Pod) { p.Deadline = noon.Add(time.Second) }, state: Terminating, reason: GracePeriod, wake: noon.Add(time.Second)},
		"at the end of it":          {after: after, unreachable: time.Hour, change: func(p *Pod) { p.Deadline = noon }, state: UnconfirmedPod, reason: NodeUnreachable},
		"to be evicted":             {after: after, unreachable: time.Hour, change: func(p *Pod) { p.Deadline = time.Time{} }, state: Eligible},
		"running, with a finalizer": {after: after, unreachable: time.Hour, change: func(p *Pod) { p.Finalizers = "x/y" }, state: UnconfirmedPod, reason: NodeUnreachable},
		"only a finalizer is left":  {after: after, unreachable: time.Hour, change: func(p *Pod) { p.Finalizers, p.Stopped = "x/y", true }, state: Terminating, reason: Finalizer},
		"deleted by force":          {after: after, unreachable: time.Hour, change: func(p *Pod) { p.Finalizers, p.Grace = "x/y", 0 }, state: Terminating, reason: Finalizer},
		"static":                    {after: after, unreachable: time.Hour, change: func(p *Pod) { p.Static = true }, state: Ignored},
		"not Ready":                 {after: after, unreachable: time.Hour, prepare: func(_ scene, n *Node) { n.Unreachable = false }, state: Terminating, reason: Kubelet},
		"since nobody knows when":   {after: after, unreachable: time.Hour, prepare: func(_ scene, n *Node) { n.ReadySince = time.Time{} }, state: Terminating, reason: NodeUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.Config.IgnoreUnreachableAfter = test.after
			n := s.draining("n")
			unreachableFor(n, test.unreachable)
			change := test.change
			if change == nil {
				change = func(*Pod) {}
			}
			pod := s.pod("n", "web-1", overdue, change)
			if test.prepare != nil {
				test.prepare(s, n)
			}
			plan := Make(s.Snapshot)
			is := planOf(t, plan, "n")
			if got := is.Pods[0]; got.State != test.state || got.Reason != test.reason {
				t.Errorf("state %s, reason %q; want %s, %q", got.State, got.Reason, test.state, test.reason)
			}
			if got := is.Pods[0]; got.State == UnconfirmedPod && !got.Since.Equal(pod.Deadline.Add(-30*time.Second)) {
				t.Errorf("unconfirmed since %v, want since it began to terminate", got.Since)
			}
			if !test.wake.IsZero() && !plan.Wake.Equal(test.wake) {
				t.Errorf("the next plan is due at %v, want %v", plan.Wake, test.wake)
			}
			unconfirmed, drained := s.Config.IsDrained(n, []*Pod{pod}, Surroundings{}, noon)
			if want := test.state == UnconfirmedPod || test.state == Ignored; drained != want || (unconfirmed == 1) != (test.state == UnconfirmedPod) {
				t.Errorf("drained %v with %d unconfirmed pods", drained, unconfirmed)
			}
		})
	}
}

// TestUnconfirmed: unconfirmed pods do not keep a node from being drained, are not
// gone, and the node says so.
func TestUnconfirmed(t *testing.T) {
	s := newScene()
	s.Config.IgnoreUnreachableAfter = 10 * time.Minute
	n := s.draining("n")
	unreachableFor(n, time.Hour)
	s.pod("n", "web-1", overdue)
	s.pod("n", "web-2", overdue)
	s.report(n)
	plan := planOf(t, Make(s.Snapshot), "n")
	if !plan.Confirm || plan.Facts.Status.Pods != (api.PodCounts{Unconfirmed: 2}) {
		t.Fatalf("confirms %v, counts %+v", plan.Confirm, plan.Facts.Status.Pods)
	}
	done := plan.Report().Done(noon, 2)
	if want := "0 of 2 pods gone, 0 ignored, 2 unconfirmed: the node is unreachable"; !strings.Contains(done.Message, want) {
		t.Errorf("the message is %q, want %q in it", done.Message, want)
	}
	// The node reports again, and its kubelet ends them.
	show(n, done)
	m := s.Memory.Nodes[n.UID]
	m.FinishedAt = noon
	s.Memory.Nodes[n.UID] = m
	n.Ready, n.Unreachable, n.ReadySince = true, false, noon
	if plan := planOf(t, Make(s.Snapshot), "n"); plan.Phase != api.Draining || plan.Facts.Status.Pods.Terminating != 2 {
		t.Errorf("phase %s, counts %+v", plan.Phase, plan.Facts.Status.Pods)
	}
}

// TestUnconfirmedOrder: pods that are not waited for hold up none with a higher
// order.
func TestUnconfirmedOrder(t *testing.T) {
	for after, sent := range map[time.Duration]int{0: 0, 10 * time.Minute: 1} {
		s := newScene()
		s.Config.IgnoreUnreachableAfter = after
		unreachableFor(s.draining("n"), time.Hour)
		s.pod("n", "web-1", overdue)
		s.pod("n", "web-2", func(p *Pod) { p.Rules = []*Rule{{Name: "last", Action: EvictPod, Order: 1}} })
		if grants := Make(s.Snapshot).Grants; len(grants) != sent {
			t.Errorf("%d pods are sent where others are ignored after %v, want %d", len(grants), after, sent)
		}
	}
}

// TestUnconfirmedRestart: pods that have become unconfirmed while no process ran
// do not count as gone.
func TestUnconfirmedRestart(t *testing.T) {
	s := newScene()
	s.Config.IgnoreUnreachableAfter = 10 * time.Minute
	n := s.draining("n")
	unreachableFor(n, 5*time.Minute)
	s.pod("n", "web-1", overdue)
	s.report(n)
	delete(s.Memory.Nodes, n.UID)
	unreachableFor(n, time.Hour)
	if counts := planOf(t, Make(s.Snapshot), "n").Facts.Status.Pods; counts != (api.PodCounts{Unconfirmed: 1}) {
		t.Errorf("the pods are counted as %+v", counts)
	}
}

// TestUnreachableMessage: the node says what a person can do, whatever the pod is
// called.
func TestUnreachableMessage(t *testing.T) {
	s := newScene()
	s.Config.IgnoreUnreachableAfter = time.Hour
	n := s.draining("n")
	unreachableFor(n, 10*time.Minute)
	s.pod("n", "web-1", overdue)
	s.pod("n", "web-2", overdue)
	r := planOf(t, Make(s.Snapshot), "n").Report()
	want := "ns/web-1 (and 1 more, for 1m) terminating, overdue: node unreachable since 2030-01-31T11:50:00Z; " +
		"once you are certain that its machine is off, delete the Node or add the taint node.kubernetes.io/out-of-service; drainer waits until 2030-"
	if !strings.Contains(r.Message, want) || r.Status.Reason != string(NodeUnreachable) {
		t.Errorf("reason %s, message %q, want %q in it", r.Status.Reason, r.Message, want)
	}
}
