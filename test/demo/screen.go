package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/daemon"
)

// screen shows a line for each node that is drained: over and over in the same
// place on a terminal, and elsewhere whenever it changes.
type screen struct {
	out      io.Writer
	terminal bool
	// nodes are shown.
	nodes []string
	drawn int
	last  map[string]string
	begun time.Time
	// picture keeps what was shown.
	picture picture
}

func newScreen(out *os.File, nodes []string) *screen {
	info, err := out.Stat()
	return &screen{
		out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0,
		nodes: nodes, last: map[string]string{}, begun: time.Now(), picture: picture{nodes: nodes},
	}
}

func (s *screen) draw(seen map[string]view, metrics daemon.Metrics) {
	if s.terminal && s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA", s.drawn)
	}
	s.drawn = 0
	for _, name := range s.nodes {
		c := countsOf(name, seen[name], metrics)
		s.picture.add(name, time.Since(s.begun), c.total()-c.gone, c.blocked, seen[name].status.Phase)
		text := line(name, seen[name], c)
		switch {
		case s.terminal:
			fmt.Fprintf(s.out, "\x1b[K%s\n", text)
			s.drawn++
		case s.last[name] != text:
			fmt.Fprintf(s.out, "%5.1fs  %s\n", time.Since(s.begun).Seconds(), text)
		}
		s.last[name] = text
	}
}

func (s *screen) end() { s.drawn = 0 }

// counts are a node's pods by state.
type counts struct{ gone, terminating, blocked, eligible int }

func (c counts) total() int { return c.gone + c.terminating + c.blocked + c.eligible }

// countsOf are a node's pods by state, from /metrics.
func countsOf(name string, v view, metrics daemon.Metrics) counts {
	state := func(state string) int {
		return int(metrics.Sum("drainer_node_pods", "node", name, "state", state))
	}
	c := counts{gone: state("gone"), terminating: state("terminating"), blocked: state("blocked"), eligible: state("eligible")}
	if v.status.Phase == api.Drained {
		// The gauges of a node end with its drain.
		c.gone = v.status.Pods.Gone
	}
	return c
}

// line is a node's bar, its pods by state, and what it waits for, in its own
// words.
func line(name string, v view, c counts) string {
	text := fmt.Sprintf("%-8s %-9s %s %2d of %2d gone", name, v.status.Phase, bar(c.gone, c.total()), c.gone, c.total())
	if c.terminating > 0 {
		text += fmt.Sprintf(", %d terminating", c.terminating)
	}
	if c.blocked > 0 {
		text += fmt.Sprintf(", %d blocked", c.blocked)
		if blockers := v.status.Blockers; len(blockers) > 0 {
			text += ": " + blockers[0].Pod + " " + blockers[0].Message
		}
	}
	return shorten(text, 150)
}

func bar(part, whole int) string {
	const width = 20
	filled := 0
	if whole > 0 {
		filled = width * part / whole
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", width-filled) + "]"
}

func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// summarize prints what happened, from the nodes and from /metrics.
func (s *stage) summarize(ctx context.Context) error {
	metrics, err := s.drainer.Metrics(ctx)
	if err != nil {
		return err
	}
	fmt.Println()
	for _, node := range s.drained() {
		n, err := s.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading node %s: %w", node, err)
		}
		status := viewOf(n).status
		if status.StartedAt == nil || status.FinishedAt == nil {
			return fmt.Errorf("node %s does not say when its drain began and ended: %+v", node, status)
		}
		took := status.FinishedAt.Sub(*status.StartedAt)
		fmt.Printf("%-8s drained in %s: %d pods gone, %d ignored\n", node, took, status.Pods.Gone, status.Pods.Ignored)
	}
	if err := s.checkDeleted(ctx, metrics); err != nil {
		return err
	}
	fmt.Println("\nFrom /metrics:")
	for _, answer := range answers(metrics) {
		fmt.Println("  " + answer)
	}
	fmt.Printf("  pods that had to wait for a budget: %.0f\n",
		metrics.Sum("drainer_pod_blocked_duration_seconds", "reason", "budget_exhausted"))
	fmt.Printf("  answers 429: %.0f, answers 500: %.0f\n\n",
		metrics.Sum("drainer_eviction_requests_total", "code", "429"), metrics.Sum("drainer_eviction_requests_total", "code", "500"))
	if n := metrics.Sum("drainer_pod_blocked_duration_seconds", "reason", "budget_exhausted"); n == 0 {
		return fmt.Errorf("no pod had to wait for a budget: the demonstration shows nothing")
	}
	return nil
}

// answers lists the evictions that were answered, by code and reason.
func answers(metrics daemon.Metrics) []string {
	var lines []string
	for _, m := range metrics["drainer_eviction_requests_total"].GetMetric() {
		if m.GetCounter().GetValue() == 0 {
			continue
		}
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		lines = append(lines, fmt.Sprintf("evictions answered %s (%s): %.0f", labels["code"], labels["reason"], m.GetCounter().GetValue()))
	}
	slices.Sort(lines)
	return lines
}
