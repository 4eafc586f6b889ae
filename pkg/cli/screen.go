package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// screen shows rows again and again: on a terminal in place, in a pipe line by
// line.
type screen struct {
	out io.Writer
	// mu lets other goroutines write between two drawings.
	mu sync.Mutex
	// live is true on a terminal.
	live bool
	// color is true if words may be coloured.
	color bool
	// size is the width and the height of the terminal; zero for no limit.
	size func() (width, height int)
	// drawn is how many of our lines the terminal shows.
	drawn int
	// said is what a pipe was last told of each node.
	said map[string]string
}

// newScreen is a screen for out.
func newScreen(out io.Writer) *screen {
	s := &screen{out: out, said: map[string]string{}, size: func() (int, int) { return 0, 0 }}
	file, isFile := out.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.size = func() (int, int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil {
			return 0, 0
		}
		return width, height
	}
	dumb := os.Getenv("TERM") == "dumb"
	s.live, s.color = !dumb, !dumb && os.Getenv("NO_COLOR") == ""
	return s
}

// width is that of the terminal; 0 for no limit.
func (s *screen) width() int {
	width, _ := s.size()
	return width
}

// tell writes the line about something, unless it was the last one about it.
func (s *screen) tell(about, line string) {
	if s.said[about] != line {
		s.said[about] = line
		fmt.Fprintln(s.out, visible(line))
	}
}

// interject lets something else be written to the terminal: what is drawn next goes below
// it.
func (s *screen) interject(write func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drawn = 0
	write()
}

// warner tells of watches that fail, above what the screen shows.
func (s *shared) warner(screen *screen) func(error) {
	return func(err error) {
		screen.interject(func() { s.notef("Warning: watching nodes: %v; trying again\n", err) })
	}
}

const (
	clearLine = "\x1b[2K"
	clearDown = "\x1b[J"
)

// draw shows lines in place of those shown before. As many are shown as the
// terminal has room for.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	width, height := s.size()
	if height > 1 && len(lines) > height-1 {
		more := len(lines) - (height - 2)
		lines = append(lines[:height-2:height-2], fmt.Sprintf("… and %d more lines", more))
	}
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", s.drawn)
	}
	for _, l := range lines {
		// Cleared first: behind a full line the cursor may still be on its last character.
		b.WriteString(clearLine + s.paint(fit(l, width)) + "\r\n")
	}
	b.WriteString(clearDown)
	s.drawn = len(lines)
	fmt.Fprint(s.out, b.String())
}

// colors are those of the phases, which stand in a column of their own.
var colors = map[string]string{
	"Drained": "\x1b[32m", "Draining": "\x1b[36m", "Blocked": "\x1b[33m", "Paused": "\x1b[35m",
	"TimedOut": "\x1b[31m", "InvalidRequest": "\x1b[31m",
}

// paint colours the first word of a line that is a phase.
func (s *screen) paint(text string) string {
	if !s.color {
		return text
	}
	for _, word := range strings.Fields(text) {
		if color, is := colors[word]; is {
			before, after, _ := strings.Cut(text, " "+word)
			return before + " " + color + word + "\x1b[0m" + after
		}
	}
	return text
}
