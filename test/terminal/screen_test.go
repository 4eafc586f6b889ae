package terminal

import (
	"strings"
	"testing"
)

// TestShow: the screen shows what a terminal shows.
func TestShow(t *testing.T) {
	for name, test := range map[string]struct {
		written string
		width   int
		want    string
	}{
		"nothing":                 {"", 10, ""},
		"lines":                   {"one\r\ntwo\r\n", 10, "one\ntwo"},
		"colors":                  {"a \x1b[32mDrained\x1b[0m b\r\n", 20, "a Drained b"},
		"drawn again in place":    {"one\r\ntwo\r\n\x1b[2A\rfirst\x1b[K\r\nx\x1b[K\r\n\x1b[J", 10, "first\nx"},
		"fewer lines than before": {"one\r\ntwo\r\nthree\r\n\x1b[3A\rone\x1b[K\r\n\x1b[J", 10, "one"},
		"a line that is too long": {"0123456789abc\r\nd", 10, "0123456789\nabc\nd"},
		"a line that just fits":   {"0123456789\r\nd", 10, "0123456789\nd"},
		"no limit":                {"0123456789abc\r\n", 0, "0123456789abc"},
		"spaces at the end":       {"one   \r\n\r\ntwo\r\n\r\n\r\n", 10, "one\n\ntwo"},
		"half a sequence":         {"one\r\n\x1b[3", 10, "one"},
		"an unknown sequence":     {"o\x1b[?25lne\r\n", 10, "one"},
		"other characters":        {"…é\r\n", 10, "…é"},
	} {
		var lines []string
		for _, l := range Show(test.written, test.width) {
			lines = append(lines, l.String())
		}
		if got := strings.Join(lines, "\n"); got != test.want {
			t.Errorf("%s: the screen shows\n%s\nwant\n%s", name, got, test.want)
		}
	}
	line := Show("a \x1b[32mb\x1b[0m c", 10)[0]
	if line[0].Color != 0 || line[2].Color != 32 || line[4].Color != 0 {
		t.Errorf("the colors are %v", line)
	}
}
