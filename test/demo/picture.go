package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// sample is what a node said at a time after the requests.
type sample struct {
	at            time.Duration
	remain        int
	blocked, done bool
}

// picture is the figures of a run, from which docs/drain.svg is drawn.
type picture struct {
	nodes   []string
	samples map[string][]sample
}

// add notes what a node says, if it is news.
func (p *picture) add(node string, at time.Duration, remain, blocked int, phase api.Phase) {
	if p.samples == nil {
		p.samples = map[string][]sample{}
	}
	s := sample{at: at, remain: remain, blocked: blocked > 0, done: phase == api.Drained}
	if old := p.samples[node]; len(old) > 0 {
		last := old[len(old)-1]
		if last.remain == s.remain && last.blocked == s.blocked && last.done == s.done {
			return
		}
	} else if remain == 0 {
		return // The pods have not been counted yet.
	}
	p.samples[node] = append(p.samples[node], s)
}

// Measures of the picture.
const (
	pictureWidth, pictureHeight = 760., 300.
	left, right, top, bottom    = 60., 110., 34., 44.
)

var colours = []string{"#2f7ed8", "#e08a1e", "#2e9e5b", "#8b5cf6", "#c2410c"}

// scale says where a time and a number of pods are in the picture.
type scale struct{ perSecond, perPod float64 }

func (s scale) x(at time.Duration) float64 { return left + at.Seconds()*s.perSecond }
func (s scale) y(pods int) float64         { return pictureHeight - bottom - float64(pods)*s.perPod }

func (p *picture) scale() (s scale, end time.Duration, most int) {
	for _, list := range p.samples {
		for _, one := range list {
			end, most = max(end, one.at), max(most, one.remain)
		}
	}
	s.perSecond = (pictureWidth - left - right) / max(end.Seconds(), 1)
	s.perPod = (pictureHeight - top - bottom) / float64(max(most, 1))
	return s, end, most
}

// svg draws the pods that are left on each node over time.
func (p *picture) svg() string {
	s, end, most := p.scale()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", pictureWidth, pictureHeight)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", pictureWidth, pictureHeight)
	fmt.Fprintf(&b, `<text x="%.0f" y="20" fill="#333">Pods left on each node after the request; dashed while some wait for a budget</text>`+"\n", left)
	for pods := 0; pods <= most; pods += max(1, most/3) {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end" fill="#555">%d</text>`+"\n",
			left, s.y(pods), s.x(end), left-8, s.y(pods)+4, pods)
	}
	for second := time.Duration(0); second <= end; second += 2 * time.Second {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle" fill="#555">%s</text>`+"\n", s.x(second), pictureHeight-bottom+18, second)
	}
	for i, node := range p.nodes {
		// Nodes that end at about the same time must not hide each other's names.
		p.line(&b, s, node, colours[i%len(colours)], 10+16*float64(i))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// line draws one node, its name so high above the point where it is drained.
func (p *picture) line(b *strings.Builder, s scale, node, colour string, above float64) {
	list := p.samples[node]
	for i, one := range list {
		next := one
		if i+1 < len(list) {
			next = list[i+1]
		}
		dash := ""
		if one.blocked {
			dash = ` stroke-dasharray="5 4"`
		}
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" fill="none" stroke="%s" stroke-width="2.5"%s/>`+"\n", s.x(one.at), s.y(one.remain), s.x(next.at), colour, dash)
		if next.remain != one.remain {
			fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="%s" stroke-width="2.5"/>`+"\n", s.x(next.at), s.y(one.remain), s.y(next.remain), colour)
		}
		if one.done {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/><text x="%.1f" y="%.1f" fill="%s" stroke="white" stroke-width="4" paint-order="stroke">%s Drained</text>`+"\n",
				s.x(one.at), s.y(one.remain), colour, s.x(one.at)+2, s.y(one.remain)-above, colour, node)
		}
	}
}

// write draws the picture into a file.
func (p *picture) write(path string) error {
	if err := os.WriteFile(path, []byte(p.svg()), 0o644); err != nil {
		return fmt.Errorf("drawing the picture: %w", err)
	}
	return nil
}
