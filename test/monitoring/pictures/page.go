package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"drainer.dev/drainer/test/monitoring/dashboards"
	"drainer.dev/drainer/test/monitoring/stage"
)

// board is all that the page needs of a dashboard.
type board struct {
	Title       string  `json:"title"`
	Description string  `json:"description"`
	From        int64   `json:"from"`
	To          int64   `json:"to"`
	Panels      []drawn `json:"panels"`
	Marks       []mark  `json:"marks"`
}

// drawn is a panel with what Prometheus answered.
type drawn struct {
	Panel dashboards.Panel `json:"panel"`
	Lines []line           `json:"lines"`
}

// line is one series.
type line struct {
	RefID  string            `json:"refId"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	// Points are pairs of milliseconds and a value, null if it is no number.
	Points [][2]any `json:"points"`
}

// mark is an annotation.
type mark struct {
	At     int64  `json:"at"`
	Colour string `json:"colour"`
	Text   string `json:"text"`
}

// A picture has a point every step; what is counted is counted so long.
const (
	step    = 2 * time.Second
	counted = 20 * time.Second
)

// answer asks for everything that a dashboard shows.
func answer(ctx context.Context, p *stage.Prometheus, d dashboards.Dashboard, from, to time.Time) (*board, error) {
	// Whole intervals, so that what is counted in each is counted once.
	to = from.Add(to.Sub(from).Truncate(counted))
	b := &board{Title: d.Title, Description: d.Description, From: from.UnixMilli(), To: to.UnixMilli()}
	choices := dashboards.Choices{Job: ".+", RateInterval: "20s", Interval: "20s", Range: fmt.Sprintf("%ds", int(to.Sub(from).Seconds()))}
	for _, panel := range d.Panels {
		x := drawn{Panel: panel, Lines: []line{}}
		for _, t := range panel.Targets {
			each := step
			if strings.Contains(t.Expr, "$__interval") {
				each = counted
			}
			lines, err := ask(ctx, p, t, choices, from, to, each)
			if err != nil {
				return nil, fmt.Errorf("%s, panel %s: %w", d.Title, panel.Title, err)
			}
			x.Lines = append(x.Lines, lines...)
		}
		b.Panels = append(b.Panels, x)
	}
	for _, a := range d.Annotations.List {
		lines, err := ask(ctx, p, dashboards.Target{Expr: a.Expr, LegendFormat: a.TextFormat, Range: true}, choices, from, to, step)
		if err != nil {
			return nil, fmt.Errorf("%s, annotation %s: %w", d.Title, a.Name, err)
		}
		b.Marks = append(b.Marks, marks(lines, a, from, to)...)
	}
	return b, nil
}

func ask(ctx context.Context, p *stage.Prometheus, t dashboards.Target, choices dashboards.Choices, from, to time.Time, each time.Duration) ([]line, error) {
	var series []stage.Series
	var err error
	if t.Instant {
		series, err = p.Now(ctx, choices.Fill(t.Expr), to)
	} else {
		series, err = p.Over(ctx, choices.Fill(t.Expr), from, to, each)
	}
	if err != nil {
		return nil, err
	}
	lines := []line{}
	for _, s := range series {
		lines = append(lines, line{RefID: t.RefID, Name: legend(t.LegendFormat, s.Labels), Labels: s.Labels, Points: points(s)})
	}
	return lines, nil
}

func points(s stage.Series) [][2]any {
	var all [][2]any
	for _, p := range s.Points() {
		var value any = p.Value
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			value = nil
		}
		all = append(all, [2]any{p.At.UnixMilli(), value})
	}
	return all
}

var labelInBraces = regexp.MustCompile(`\{\{(\w+)\}\}`)

// legend fills the labels in, like Grafana.
func legend(format string, labels map[string]string) string {
	return labelInBraces.ReplaceAllStringFunc(format, func(text string) string {
		return labels[labelInBraces.FindStringSubmatch(text)[1]]
	})
}

// marks are where Grafana would draw an annotation: at the time that a value
// is, once, or where a value becomes 1.
func marks(lines []line, a dashboards.Annotation, from, to time.Time) []mark {
	var all []mark
	for _, l := range lines {
		last := int64(0)
		for _, p := range l.Points {
			at, _ := p[0].(int64)
			value, _ := p[1].(float64)
			if a.UseValueForTime {
				at = int64(value)
			}
			m := mark{At: at, Colour: a.IconColor, Text: l.Name}
			fresh := at-last > step.Milliseconds()
			last = at
			if fresh && at >= from.UnixMilli() && at <= to.UnixMilli() && !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	return all
}

// writePage puts page, library and data into one file.
func writePage(path, here string, library []byte, b *board) error {
	page, err := os.ReadFile(filepath.Join(here, "page.html"))
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	code, err := os.ReadFile(filepath.Join(here, "page.js"))
	if err != nil {
		return fmt.Errorf("reading the page's code: %w", err)
	}
	// Text within a script must not end it: the encoder writes < otherwise.
	data, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("writing the page's data: %w", err)
	}
	for name, text := range map[string][]byte{"LIBRARY": library, "CODE": code, "DATA": data} {
		page = bytes.Replace(page, []byte("/* "+name+" */"), text, 1)
	}
	if err := os.WriteFile(path, page, 0o600); err != nil {
		return fmt.Errorf("writing a page: %w", err)
	}
	return nil
}
