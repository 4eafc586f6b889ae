package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestRounds: how often a budget has to recover until those that wait for it
// have been sent.
func TestRounds(t *testing.T) {
	for _, test := range []struct {
		waiting           int
		expected, desired int32
		want              int
	}{
		{0, 8, 6, 0},
		{1, 8, 6, 1},
		{2, 8, 6, 1},
		{3, 8, 6, 2},
		{7, 8, 5, 3},
		{3, 8, 8, 3}, // It has no room by itself: one at a time.
		{3, 7, 8, 3},
	} {
		b := budgetWork{Budget: &Budget{ExpectedPods: test.expected, DesiredHealthy: test.desired}, waiting: test.waiting}
		if got := b.rounds(); got != test.want {
			t.Errorf("%d pods wait for a budget of %d of %d: %d rounds, want %d", test.waiting, test.desired, test.expected, got, test.want)
		}
	}
}

// TestLongestChainFirst: pods under the budget that has to come back most often
// are sent first, whatever node they are on; those without a budget last.
func TestLongestChainFirst(t *testing.T) {
	s := newScene()
	for _, node := range []string{"a", "b"} {
		s.draining(node)
		s.pod(node, "free-"+node)
		s.pod(node, "short-"+node)
		for i := range 3 {
			s.pod(node, fmt.Sprintf("long-%s%d", node, i))
		}
	}
	s.budget("long", "long", 2, 8, 6, 8)   // 6 pods, 2 at once: 3 rounds
	s.budget("short", "short", 2, 8, 6, 8) // 2 pods, 2 at once: 1 round
	want := []string{"long-a0", "short-a", "free-a", "free-b"}
	if got := granted(Make(s.Snapshot)); !slices.Equal(got, want) {
		t.Errorf("granted %v, want %v", got, want)
	}
}

// TestRefusedPodsWait: pods that their budget refused just now wait for it, too.
func TestRefusedPodsWait(t *testing.T) {
	s := newScene()
	s.draining("n")
	s.pod("n", "long-0")
	for i := range 4 {
		pod := s.pod("n", fmt.Sprintf("long-refused%d", i))
		s.remember(pod, PodMemory{FirstSeen: noon}.with(Tries{Outcome: Outcome{Reason: BudgetExhausted}, Refusals: 1, RefusedVersions: "1", RetryAt: noon.Add(time.Second)}))
	}
	for i := range 2 {
		s.pod("n", fmt.Sprintf("brief-%d", i))
	}
	s.budget("long", "long", 1, 8, 7, 8)   // 5 pods, 1 at once: 5 rounds
	s.budget("brief", "brief", 1, 8, 7, 8) // 2 pods, 1 at once: 2 rounds
	// The order of the pods alone would send brief-1 first.
	entries := s.Pods["n"]
	slices.Reverse(entries)
	if got := granted(Make(s.Snapshot)); !slices.Equal(got, []string{"long-0", "brief-1"}) {
		t.Errorf("granted %v, want the pod whose budget has most to do before the other", got)
	}
}

// TestFirstTriesFirst: a pod that was refused by anything but a budget may hang
// again: first tries go before it.
func TestFirstTriesFirst(t *testing.T) {
	for reason, want := range map[Reason][]string{
		Webhook:         {"web-1", "web-2", "web-0"},
		Evacuating:      {"web-1", "web-2", "web-0"},
		BudgetExhausted: {"web-0", "web-1", "web-2"},
	} {
		s := newScene()
		s.draining("n")
		for i := range 3 {
			s.pod("n", fmt.Sprintf("web-%d", i))
		}
		s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon}.with(Tries{Outcome: Outcome{Reason: reason}, Refusals: 1, RetryAt: noon}))
		if got := granted(Make(s.Snapshot)); !slices.Equal(got, want) {
			t.Errorf("one was refused by %s: granted %v, want %v", reason, got, want)
		}
	}
}

// TestFewestPodsFirst: pods that wait count as pods to go; those that leave
// already do not.
func TestFewestPodsFirst(t *testing.T) {
	s := newScene()
	s.draining("a")
	s.pod("a", "free-a")
	for i := range 3 {
		s.pod("a", fmt.Sprintf("full-%d", i))
	}
	s.draining("b")
	s.pod("b", "free-b")
	for i := range 5 {
		s.pod("b", fmt.Sprintf("leaving-%d", i), func(p *Pod) { p.Deadline = noon.Add(time.Minute) })
	}
	s.budget("full", "full", 0, 3, 3, 4)
	if got := granted(Make(s.Snapshot)); !slices.Equal(got, []string{"free-b", "free-a"}) {
		t.Errorf("granted %v, want those of node b first: it has one pod to go, a has four", got)
	}
}

// TestStarved: a node whose pods have waited for a budget for 2 minutes goes
// first; one that waits for nothing of a budget does not.
func TestStarved(t *testing.T) {
	for name, test := range map[string]struct {
		waited time.Duration
		change func(*Pod)
		want   string
	}{
		"for long":               {starvedAfter, func(*Pod) {}, "free-large-0"},
		"not for long":           {starvedAfter - 1, func(*Pod) {}, "free-small"},
		"for long, for a person": {starvedAfter, func(p *Pod) { p.Controller = Owner{} }, "free-small"},
	} {
		s := newScene()
		s.draining("small")
		s.pod("small", "free-small")
		large := s.draining("large")
		m := s.Memory.Nodes[large.UID]
		m.StartedAt = noon.Add(-test.waited)
		s.Memory.Nodes[large.UID] = m
		for i := range 3 {
			s.pod("large", fmt.Sprintf("free-large-%d", i))
		}
		s.pod("large", "full-0", test.change)
		s.budget("full", "full", 0, 3, 3, 4)
		if got := granted(Make(s.Snapshot)); len(got) != 4 || got[0] != test.want {
			t.Errorf("%s: granted %v, want %s first", name, got, test.want)
		}
	}
}

// TestOlderDrainsFirst: where --eviction-qps is the limit, the pods of drains that began
// minutes before come first, whatever their budgets; else their nodes would keep their
// slots for as long as others begin.
func TestOlderDrainsFirst(t *testing.T) {
	for earlier, want := range map[time.Duration][]string{
		0:                {"long-a0", "short-b", "free-b"},
		2 * starvedAfter: {"short-b", "free-b", "long-a0"},
	} {
		s := newScene()
		s.draining("a")
		for i := range 3 {
			s.pod("a", fmt.Sprintf("long-a%d", i))
		}
		b := s.draining("b")
		s.pod("b", "short-b")
		s.pod("b", "free-b")
		s.budget("long", "long", 1, 8, 7, 8)
		s.budget("short", "short", 1, 8, 7, 8)
		m := s.Memory.Nodes[b.UID]
		m.StartedAt = m.StartedAt.Add(-earlier)
		s.Memory.Nodes[b.UID] = m
		if got := granted(Make(s.Snapshot)); !slices.Equal(got, want) {
			t.Errorf("b began %v earlier: granted %v, want %v", earlier, got, want)
		}
	}
}
