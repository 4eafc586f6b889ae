package terminal

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Color is the color of a text, as the number of its escape sequence: 31 for red
// to 36 for cyan. 0 is the terminal's own.
type Color int

// Cell is one character on the screen.
type Cell struct {
	Rune  rune
	Color Color
}

// Line is a line on the screen, without spaces at its end.
type Line []Cell

// String is the text of the line.
func (l Line) String() string {
	var b strings.Builder
	for _, c := range l {
		b.WriteRune(c.Rune)
	}
	return b.String()
}

// escape is an escape sequence: its numbers, and the letter that says what it does.
var escape = regexp.MustCompile(`^\x1b\[([0-9;?]*)([A-Za-z])`)

// screen is the state of a terminal.
type screen struct {
	width    int
	lines    []Line
	row, col int
	color    Color
}

// Show returns the lines that a terminal of the width shows after a program has
// written the text; a width of 0 is no limit. It carries out the escape sequences
// that drainer writes, and ignores all others. A sequence that is not complete yet
// is left out.
func Show(written string, width int) []Line {
	s := &screen{width: width}
	for written != "" {
		if m := escape.FindStringSubmatch(written); m != nil {
			s.do(m[1], m[2])
			written = written[len(m[0]):]
			continue
		}
		r, size := utf8.DecodeRuneInString(written)
		if r == '\x1b' || r == utf8.RuneError {
			break
		}
		s.put(r)
		written = written[size:]
	}
	for i, l := range s.lines {
		for len(l) > 0 && l[len(l)-1].Rune == ' ' {
			l = l[:len(l)-1]
		}
		s.lines[i] = l
	}
	for len(s.lines) > 0 && len(s.lines[len(s.lines)-1]) == 0 {
		s.lines = s.lines[:len(s.lines)-1]
	}
	return s.lines
}

// put shows one character, or moves the cursor.
func (s *screen) put(r rune) {
	switch r {
	case '\r':
		s.col = 0
		return
	case '\n':
		// The pseudo-terminal writes a carriage return before each line feed.
		s.row++
		return
	}
	if s.width > 0 && s.col == s.width {
		s.row, s.col = s.row+1, 0
	}
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, nil)
	}
	for len(s.lines[s.row]) <= s.col {
		s.lines[s.row] = append(s.lines[s.row], Cell{Rune: ' '})
	}
	s.lines[s.row][s.col] = Cell{r, s.color}
	s.col++
}

// do carries out an escape sequence.
func (s *screen) do(numbers, letter string) {
	n := 0
	_, _ = fmt.Sscan(numbers, &n)
	switch letter {
	case "m":
		s.color = Color(n)
	case "A":
		s.row = max(0, s.row-max(1, n))
	case "K":
		if s.row < len(s.lines) && s.col < len(s.lines[s.row]) {
			s.lines[s.row] = s.lines[s.row][:s.col]
		}
	case "J":
		if s.row < len(s.lines) {
			s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
			s.lines = s.lines[:s.row+1]
		}
	}
}
