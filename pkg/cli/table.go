package cli

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// column is the title of a column, and whether it may be left out where the
// terminal is narrow: those with a higher number go first.
type column struct {
	title string
	drop  int
}

// gap is what separates columns.
const gap = "   "

// table aligns rows under their titles. A width of 0 is no limit; otherwise
// it drops optional columns until the rows fit, and cuts what still does not
// fit.
func table(columns []column, rows [][]string, width int) []string {
	shown := make([]int, len(columns))
	for i := range columns {
		shown[i] = i
	}
	widths := widthsOf(columns, rows)
	for width > 0 && total(widths, shown) > width {
		next := -1
		for at, i := range shown {
			if columns[i].drop > 0 && (next < 0 || columns[i].drop > columns[shown[next]].drop) {
				next = at
			}
		}
		if next < 0 {
			break
		}
		shown = append(shown[:next:next], shown[next+1:]...)
	}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	lines := []string{line(titles, widths, shown, width)}
	for _, r := range rows {
		lines = append(lines, line(r, widths, shown, width))
	}
	return lines
}

func widthsOf(columns []column, rows [][]string) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, r := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	return widths
}

func total(widths, shown []int) int {
	sum := len(gap) * (len(shown) - 1)
	for _, i := range shown {
		sum += widths[i]
	}
	return sum
}

func line(cells []string, widths, shown []int, width int) string {
	var b strings.Builder
	for at, i := range shown {
		b.WriteString(cells[i])
		if at < len(shown)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cells[i])) + gap)
		}
	}
	return fit(strings.TrimRight(b.String(), " "), width)
}

// visible escapes, as Go does, the control characters of a text that a Node contains.
// Whoever may write to a Node must not be able to control the terminals of those who
// look at it.
func visible(text string) string {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// fit cuts a line to a width; 0 is no limit.
func fit(text string, width int) string {
	text = visible(text)
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	if width == 1 {
		return "…"
	}
	return string(runes[:width-1]) + "…"
}

// wrap breaks a text into lines of a width, between words, each after the
// indent. 0 is no limit.
func wrap(text, indent string, width int) []string {
	if width <= 0 {
		return []string{indent + visible(text)}
	}
	room := max(20, width-len(indent))
	var lines []string
	now := ""
	for _, word := range strings.Fields(text) {
		word = visible(word)
		switch {
		case now == "":
			now = word
		case utf8.RuneCountInString(now)+1+utf8.RuneCountInString(word) <= room:
			now += " " + word
		default:
			lines = append(lines, indent+now)
			now = word
		}
	}
	return append(lines, indent+now)
}

// wrapLine breaks a line that is longer than a width, and aligns what follows with
// its text. A line that fits stays as it is, so columns stay aligned.
func wrapLine(line string, width int) []string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return []string{line}
	}
	text := strings.TrimLeft(line, " ")
	mark := line[:len(line)-len(text)]
	if rest, is := strings.CutPrefix(text, "* "); is {
		mark, text = mark+"* ", rest
	}
	lines := wrap(text, strings.Repeat(" ", len(mark)), width)
	lines[0] = mark + lines[0][len(mark):]
	return lines
}
