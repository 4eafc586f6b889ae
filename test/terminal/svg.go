package terminal

import (
	"fmt"
	"html"
	"strings"
)

// The measures of a picture, in its own units. A character is as wide as in most
// monospaced fonts; the picture stretches those of others.
const (
	charWidth, lineHeight = 7.8, 18.
	fontSize              = 13.
	margin                = 16.
)

// palette is a color of a theme for each color of a terminal, and its background
// and border.
type palette struct {
	background, border, text string
	colors                   map[Color]string
}

var (
	light = palette{"#f6f8fa", "#d0d7de", "#1f2328", map[Color]string{31: "#b3261e", 32: "#116329", 33: "#7d4e00", 35: "#6639ba", 36: "#0b5e6b"}}
	dark  = palette{"#161b22", "#30363d", "#e6edf3", map[Color]string{31: "#ff8f87", 32: "#56d364", 33: "#e3b341", 35: "#d2a8ff", 36: "#76e3ea"}}
)

// rules are the style sheet of a palette.
func (p palette) rules() string {
	var b strings.Builder
	fmt.Fprintf(&b, ".b{fill:%s;stroke:%s}text{fill:%s}", p.background, p.border, p.text)
	for c := Color(31); c <= 36; c++ {
		if color, is := p.colors[c]; is {
			fmt.Fprintf(&b, ".c%d{fill:%s}", c, color)
		}
	}
	return b.String()
}

// Picture is lines on a terminal as an SVG, readable in light and dark themes. The
// width is in characters; no line may be longer. The title is for people who
// cannot see the picture.
func Picture(title string, lines []Line, width int) string {
	w, h := 2*margin+charWidth*float64(width), 2*margin+lineHeight*float64(len(lines))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.1f %.1f" role="img" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="%.0f">`+"\n", w, h, fontSize)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(title))
	fmt.Fprintf(&b, "<style>%s@media(prefers-color-scheme:dark){%s}</style>\n", light.rules(), dark.rules())
	fmt.Fprintf(&b, `<rect class="b" x="0.5" y="0.5" width="%.1f" height="%.1f" rx="8"/>`+"\n", w-1, h-1)
	for i, l := range lines {
		for _, p := range pieces(l) {
			p.write(&b, margin+lineHeight*(float64(i)+0.72))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// piece is a part of a line that is drawn at once: words of one color with one
// space between them. Each is drawn at its own place, so columns stay aligned in
// every font.
type piece struct {
	column int
	text   string
	color  Color
}

func (p piece) write(b *strings.Builder, y float64) {
	class := ""
	if p.color != 0 {
		class = fmt.Sprintf(` class="c%d"`, p.color)
	}
	fmt.Fprintf(b, `<text%s x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs">%s</text>`+"\n",
		class, margin+charWidth*float64(p.column), y, charWidth*float64(len([]rune(p.text))), html.EscapeString(p.text))
}

func pieces(l Line) []piece {
	var all []piece
	for at := 0; at < len(l); {
		if l[at].Rune == ' ' {
			at++
			continue
		}
		end := at
		for end < len(l) && !breaks(l, at, end) {
			end++
		}
		all = append(all, piece{at, l[at:end].String(), l[at].Color})
		at = end
	}
	return all
}

// breaks is true if the piece that begins at a place ends before another.
func breaks(l Line, at, end int) bool {
	if l[end].Rune != ' ' {
		return l[end].Color != l[at].Color
	}
	return end+1 == len(l) || l[end+1].Rune == ' ' || l[end+1].Color != l[at].Color
}
