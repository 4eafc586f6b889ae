package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"drainer.dev/drainer/pkg/api"
)

// TestMessage: what a person reads names the worst first, with numbers.
func TestMessage(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	m := s.Memory.Nodes[n.UID]
	m.Gone, m.IdleSince = 38, noon.Add(-time.Minute)
	s.Memory.Nodes[n.UID] = m
	for i := range 3 {
		pod := s.pod("n", fmt.Sprintf("web-%d", i))
		s.remember(pod, PodMemory{FirstSeen: noon, BlockedSince: noon.Add(-6 * time.Minute), BlockedBy: BudgetExhausted})
	}
	s.pod("n", "bare-0", func(p *Pod) { p.Controller = Owner{} })
	for i := range 3 {
		s.pod("n", fmt.Sprintf("gone-%d", i), func(p *Pod) { p.Deadline, p.Grace = noon.Add(20*time.Second), 30*time.Second })
	}
	s.budget("web", "web", 0, 10, 10, 12)
	got := planOf(t, Make(s.Snapshot), "n").Report()
	want := "38 of 45 pods gone, 3 terminating, 4 blocked; " +
		"ns/web-0 (and 2 more) by PDB ns/web (needs 10 healthy, has 10) for 6m; " +
		"ns/bare-0 by bare pod: no controller would create it again for 0s"
	if got.Message != want {
		t.Errorf("the message is\n%s\nwant\n%s", got.Message, want)
	}
	if got.Status.Reason != "budget_exhausted" || len(got.Status.Blockers) != 4 || got.Status.Blockers[0].Budget != "ns/web" {
		t.Errorf("reason %s, blockers %+v", got.Status.Reason, got.Status.Blockers)
	}
}

// TestMessageBounds: whatever there is to say, it fits.
func TestMessageBounds(t *testing.T) {
	s := newScene()
	s.draining("n")
	for i := range 200 {
		app := fmt.Sprintf("app%d", i)
		s.pod("n", app+"-"+strings.Repeat("ü", 100))
		s.budget(strings.Repeat("b", 200)+app, app, 0, 2, 2, 3)
	}
	got := planOf(t, Make(s.Snapshot), "n").Report()
	if len(got.Message) > mostMessage || !utf8.ValidString(got.Message) {
		t.Errorf("the message has %d bytes", len(got.Message))
	}
	text := got.Status.Format()
	if len(text) > api.MaxStatusBytes {
		t.Errorf("the status has %d bytes", len(text))
	}
	if parsed, err := api.ParseStatus(text); err != nil || parsed.Pods.Blocked != 200 {
		t.Errorf("the status reads as %+v, %v", parsed, err)
	}
}
