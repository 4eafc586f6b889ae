package cli

import (
	"bytes"
	"strings"
	"testing"
)

// TestDraw: lines are drawn over those before, as many as there is room for, and
// none is so long that the terminal would break it.
func TestDraw(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, live: true, size: func() (int, int) { return 10, 4 }}
	s.draw([]string{"one", "two two two two"})
	if got := out.String(); got != "\x1b[2Kone\r\n\x1b[2Ktwo two t…\r\n\x1b[J" {
		t.Errorf("first it draws %q", got)
	}
	out.Reset()
	s.draw([]string{"1", "2", "3", "4", "5"})
	if got := out.String(); got != "\x1b[2A\r\x1b[2K1\r\n\x1b[2K2\r\n\x1b[2K… and 3 m…\r\n\x1b[J" {
		t.Errorf("then it draws %q", got)
	}
	if s.drawn != 3 {
		t.Errorf("it has drawn %d lines, want 3", s.drawn)
	}
	out.Reset()
	s.interject(func() { out.WriteString("Warning\n") })
	s.draw([]string{"1"})
	if got := out.String(); got != "Warning\n\x1b[2K1\r\n\x1b[J" {
		t.Errorf("after a warning it draws %q", got)
	}
}

// TestTell: in a pipe a line comes once.
func TestTell(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	for _, line := range []string{"a", "a", "b", "a"} {
		s.tell("n1", line)
	}
	s.tell("n2", "a")
	if got := strings.ReplaceAll(out.String(), "\n", " "); s.live || s.color || got != "a b a a " {
		t.Errorf("live %v, color %v: it tells %q", s.live, s.color, got)
	}
}

// TestPaint: a phase is colored, and only where colors are wanted.
func TestPaint(t *testing.T) {
	s := &screen{}
	if got := s.paint("n1   Blocked   r"); got != "n1   Blocked   r" {
		t.Errorf("without colors: %q", got)
	}
	s.color = true
	if got := s.paint("n1   Blocked   r"); got != "n1   \x1b[33mBlocked\x1b[0m   r" {
		t.Errorf("with colors: %q", got)
	}
}

// TestWrapLine: a line that is too long is broken between words, and the rest is
// aligned with its text.
func TestWrapLine(t *testing.T) {
	for name, test := range map[string]struct {
		line  string
		width int
		want  string
	}{
		"it fits":       {"a   b", 30, "a   b"},
		"no limit":      {strings.Repeat("x ", 50), 0, strings.Repeat("x ", 50)},
		"too long":      {"one two three four five six seven", 24, "one two three four five\nsix seven"},
		"in a list":     {"* one two three four five six seven", 26, "* one two three four five\n  six seven"},
		"indented":      {"  Fix: one two three four five six", 26, "  Fix: one two three four\n  five six"},
		"an empty line": {"", 26, ""},
	} {
		if got := strings.Join(wrapLine(test.line, test.width), "\n"); got != test.want {
			t.Errorf("%s: it is\n%s\nwant\n%s", name, got, test.want)
		}
	}
}
