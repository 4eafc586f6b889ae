package terminal

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"testing"
)

// drawn is what a test reads of a picture.
type drawn struct {
	ViewBox string `xml:"viewBox,attr"`
	Title   string `xml:"title"`
	Texts   []struct {
		Class      string  `xml:"class,attr"`
		X          float64 `xml:"x,attr"`
		Y          float64 `xml:"y,attr"`
		TextLength float64 `xml:"textLength,attr"`
		Text       string  `xml:",chardata"`
	} `xml:"text"`
}

// TestPicture: a picture is XML with every word of the lines in its color, at its
// column and in its row, and nothing is outside of it.
func TestPicture(t *testing.T) {
	lines := Show("NODE   PHASE     <&>\r\nn1     \x1b[32mDrained\x1b[0m   x y\r\n\r\n0123456789012345678901234\r\n", 25)
	var d drawn
	if err := xml.Unmarshal([]byte(Picture("status & more", lines, 25)), &d); err != nil {
		t.Fatal(err)
	}
	var w, h float64
	if _, err := fmt.Sscanf(d.ViewBox, "0 0 %g %g", &w, &h); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range d.Texts {
		got = append(got, fmt.Sprintf("%.0f,%.0f %s%s", (x.X-margin)/charWidth, math.Floor((x.Y-margin)/lineHeight), x.Text, x.Class))
		if end := x.X + x.TextLength; x.X < margin || end > w-margin+0.1 || x.Y < margin || x.Y > h-margin {
			t.Errorf("%q is at %g to %g, %g, outside of %s", x.Text, x.X, end, x.Y, d.ViewBox)
		}
	}
	want := "0,0 NODE|7,0 PHASE|17,0 <&>|0,1 n1|7,1 Drainedc32|17,1 x y|0,3 0123456789012345678901234"
	if strings.Join(got, "|") != want || d.Title != "status & more" {
		t.Errorf("%q has\n%s\nwant\n%s", d.Title, strings.Join(got, "|"), want)
	}
}

// TestContrast: every color can be read on the background of its theme, by the
// measure of the Web Content Accessibility Guidelines (4.5 for text).
func TestContrast(t *testing.T) {
	for name, p := range map[string]palette{"light": light, "dark": dark} {
		colors := []string{p.text}
		for _, c := range p.colors {
			colors = append(colors, c)
		}
		for _, c := range colors {
			a, b := luminance(t, c), luminance(t, p.background)
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("%s on %s in the %s theme has a contrast of %.1f", c, p.background, name, ratio)
			}
		}
	}
	for color := range light.colors {
		if dark.colors[color] == "" {
			t.Errorf("the dark theme has no color %d", color)
		}
	}
}

// luminance is the relative luminance of a color such as #1f2328.
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	var r, g, b int
	if _, err := fmt.Sscanf(color, "#%02x%02x%02x", &r, &g, &b); err != nil {
		t.Fatalf("%s: %v", color, err)
	}
	sum := 0.
	for i, v := range []int{r, g, b} {
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += c * []float64{0.2126, 0.7152, 0.0722}[i]
	}
	return sum
}
