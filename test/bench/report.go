package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"

	"drainer.dev/drainer/test/cluster"
)

// row is a contender's medians over its runs.
type row struct {
	contender                           string
	pods, makespan, bound, mean, median float64
	evictions, refused, gets, lists     float64
	rss, cpu                            float64
}

func rows(sc Scenario, results []Result) []row {
	var all []row
	for _, c := range contenders(sc) {
		of := func(value func(Result) float64) float64 {
			var values []float64
			for _, r := range results {
				if r.Scenario == sc.Name && r.Contender == c.name {
					values = append(values, value(r))
				}
			}
			if len(values) == 0 {
				return 0
			}
			return median(values)
		}
		all = append(all, row{
			contender: c.name,
			pods:      of(func(r Result) float64 { return float64(r.Pods) }),
			makespan:  of(func(r Result) float64 { return r.Makespan }),
			bound:     of(func(r Result) float64 { return r.Bound }),
			mean:      of(func(r Result) float64 { return r.MeanEmpty }),
			median:    of(func(r Result) float64 { return r.MedianEmpty }),
			evictions: of(func(r Result) float64 { return float64(r.Evictions) }),
			refused:   of(func(r Result) float64 { return float64(r.Refused) }),
			gets:      of(func(r Result) float64 { return float64(r.Gets) }),
			lists:     of(func(r Result) float64 { return float64(r.Lists) }),
			rss:       of(func(r Result) float64 { return r.Usage.RSS }),
			cpu:       of(func(r Result) float64 { return r.Usage.CPU }),
		})
	}
	return all
}

var columns = []string{"", "makespan", "÷ bound", "mean node empty", "median", "pods", "POSTs", "429", "GET", "LIST"}

func (r row) cells() []string {
	return []string{
		r.contender, fmt.Sprintf("%.1f s", r.makespan), fmt.Sprintf("%.2f", r.makespan/r.bound), fmt.Sprintf("%.1f s", r.mean),
		fmt.Sprintf("%.1f s", r.median), fmt.Sprintf("%.0f", r.pods), fmt.Sprintf("%.0f", r.evictions), fmt.Sprintf("%.0f", r.refused),
		fmt.Sprintf("%.0f", r.gets), fmt.Sprintf("%.0f", r.lists),
	}
}

func printTable(out io.Writer, sc Scenario, results []Result) {
	fmt.Fprintf(out, "\n%s: %s\n", sc.Name, sc.Title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, strings.Join(columns, "\t")+"\t")
	for _, r := range rows(sc, results) {
		fmt.Fprintln(w, strings.Join(r.cells(), "\t")+"\t")
	}
	_ = w.Flush()
}

func writeReport(dir string, list []Scenario, results []Result, runs int) error {
	text, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of the report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "benchmarks.json"), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, preface, cluster.KubernetesVersion, runtime.NumCPU(), runs)
	for _, sc := range list {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n![makespan](benchmarks-%s.svg)\n\n", sc.Name, sc.Title, sc.Name)
		fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
		all := rows(sc, results)
		for _, r := range all {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(r.cells(), " | "))
		}
		fmt.Fprintf(&b, "\ndrainer's process: %.0f MiB resident, %.1f s of CPU.\n", all[0].rss/(1<<20), all[0].cpu)
		if err := os.WriteFile(filepath.Join(dir, "benchmarks-"+sc.Name+".svg"), []byte(plot(all)), 0o644); err != nil {
			return fmt.Errorf("writing a plot: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "benchmarks.md"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

const preface = `# Benchmarks

Written by ` + "`make bench`" + `: every contender drains the same scene on the same local control plane (Kubernetes %s, %d cores
for everything), one after the other, %d times; medians. Drainer's own limits are set so that they do not bind
(--max-draining=100%%, --eviction-qps=0, --eviction-workers=50). The rows called *model* are polling evictors of a few
lines with the retry policies of other controllers, not those controllers, and run once.

*makespan*: from the first request until the last pod that had to leave is gone; the seconds that drainer waits before it
says Drained are not in it. *÷ bound*: the makespan over that of an ideal planner without latency that meets the recovery and
termination times seen in the same run. *mean node empty*: over the nodes, until a node's last pod is gone. POSTs to
pods/eviction, answers 429, and GET and LIST of pods are counted from the API server's audit log by user.
`

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
