package main

import (
	"fmt"
	"strings"
)

// plot is a bar for each contender: its makespan, and the mean time until a
// node is empty.
func plot(all []row) string {
	const width, label, line = 760., 300., 34.
	longest := 0.
	for _, r := range all {
		longest = max(longest, r.makespan)
	}
	var b strings.Builder
	height := line*float64(len(all)) + 40
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", width, height)
	scale := (width - label - 70) / longest
	for i, r := range all {
		y := float64(i)*line + 8
		colour := "#9aa5b1"
		if i == 0 {
			colour = "#2f7ed8"
		}
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="end">%s</text>`+"\n", label-8, y+16, r.contender)
		fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="%.1f" height="14" fill="%s"/>`+"\n", label, y, r.makespan*scale, colour)
		fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="%.1f" height="8" fill="%s" opacity="0.5"/>`+"\n", label, y+15, r.mean*scale, colour)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.0f">%.1f s</text>`+"\n", label+r.makespan*scale+6, y+12, r.makespan)
	}
	fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" fill="#555">thick: makespan; thin: mean time until a node is empty</text>`+"\n</svg>\n", label, height-12)
	return b.String()
}
