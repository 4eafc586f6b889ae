package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"

	"drainer.dev/drainer/test/cluster"
)

// Report is everything that was measured.
type Report struct {
	Races  []Result
	Probes Probes
}

// readReport reads what was measured before, if anything was.
func readReport(dir string) (*Report, error) {
	r := &Report{}
	if dir == "" {
		return r, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.json"))
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the results so far: %w", err)
	}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("reading the results so far (remove benchmarks.json to start over): %w", err)
	}
	return r, nil
}

// of is the runs of a contender in a scenario.
func (r *Report) of(scenario, contender string) []Result {
	var list []Result
	for _, result := range r.Races {
		if result.Scenario == scenario && result.Contender == contender {
			list = append(list, result)
		}
	}
	return list
}

// row is a contender's medians over its runs.
type row struct {
	contender                                 string
	runs                                      int
	pods, makespan, mean, median              float64
	overBound, overAnswered                   float64
	meanDrained, lastDrained, drained         float64
	evictions, admitted, refused, gets, lists float64
	rss, cpu, plans, planMean, planP99        float64
}

func rowOf(contender string, results []Result) row {
	of := func(value func(Result) float64) float64 {
		var values []float64
		for _, r := range results {
			values = append(values, value(r))
		}
		return median(values)
	}
	return row{
		contender:    contender,
		runs:         len(results),
		pods:         of(func(r Result) float64 { return float64(r.Pods) }),
		makespan:     of(func(r Result) float64 { return r.Makespan }),
		overBound:    of(func(r Result) float64 { return r.Makespan / r.Bound }),
		overAnswered: of(func(r Result) float64 { return r.Makespan / r.AnsweredBound }),
		mean:         of(func(r Result) float64 { return r.MeanEmpty }),
		median:       of(func(r Result) float64 { return r.MedianEmpty }),
		meanDrained:  of(func(r Result) float64 { return r.MeanDrained }),
		lastDrained:  of(func(r Result) float64 { return r.LastDrained }),
		drained:      of(func(r Result) float64 { return float64(r.Drained) }),
		evictions:    of(func(r Result) float64 { return float64(r.Evictions) }),
		admitted:     of(func(r Result) float64 { return float64(r.Admitted) }),
		refused:      of(func(r Result) float64 { return float64(r.Refused) }),
		gets:         of(func(r Result) float64 { return float64(r.Gets) }),
		lists:        of(func(r Result) float64 { return float64(r.Lists) }),
		rss:          of(func(r Result) float64 { return r.Usage.RSS }),
		cpu:          of(func(r Result) float64 { return r.Usage.CPU }),
		plans:        of(func(r Result) float64 { return r.Usage.Plans }),
		planMean:     of(func(r Result) float64 { return r.Usage.PlanMean }),
		planP99:      of(func(r Result) float64 { return r.Usage.PlanP99 }),
	}
}

// rows are the contenders of a scenario, in its order.
func (r *Report) rows(sc Scenario) []row {
	var all []row
	for _, turn := range sc.Turns {
		if of := r.of(sc.Name, turn.Contender); len(of) > 0 {
			all = append(all, rowOf(turn.Contender, of))
		}
	}
	return all
}

var columns = []string{
	"", "runs", "makespan", "÷ bound", "mean node empty", "median", "pods", "evicted", "POSTs", "429", "GET and LIST per node",
}

func (r row) cells() []string {
	return []string{
		r.contender, fmt.Sprint(r.runs), fmt.Sprintf("%.1f s", r.makespan), fmt.Sprintf("%.2f", r.overBound), fmt.Sprintf("%.1f s", r.mean),
		fmt.Sprintf("%.1f s", r.median), fmt.Sprintf("%.0f", r.pods), fmt.Sprintf("%.0f", r.admitted), fmt.Sprintf("%.0f", r.evictions),
		fmt.Sprintf("%.0f", r.refused), fmt.Sprintf("%.1f", (r.gets+r.lists)/r.drained),
	}
}

// cost is what is said of drainer itself: how far it is from the bound if the API
// server takes its time, when it says Drained, and what its process used.
func (r row) cost() string {
	answered := ""
	if !math.IsInf(r.overAnswered, 0) { // Older results lack it.
		answered = fmt.Sprintf("With the API server's answer times in the bound, makespan ÷ bound is %.2f. ", r.overAnswered)
	}
	return answered + fmt.Sprintf("drainer says Drained on the mean node after %.1f s, on the last after %.1f s (with the 5 s of --settle). Its process: "+
		"%.0f MiB resident, %.1f s of CPU, %.2g ms for each evicted pod; %.0f plans of %.2g ms in the mean, 99 %% within %.2g ms.",
		r.meanDrained, r.lastDrained, r.rss/(1<<20), r.cpu, 1000*r.cpu/r.admitted, r.plans, 1000*r.planMean, 1000*r.planP99)
}

func printTable(out io.Writer, head []string, body [][]string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, cells := range body {
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
}

func markdown(b *strings.Builder, head []string, body [][]string) {
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, cells := range body {
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
}

func cellsOf[T interface{ cells() []string }](list []T) [][]string {
	var body [][]string
	for _, one := range list {
		body = append(body, one.cells())
	}
	return body
}

var goalColumns = []string{"figure", "goal", "measured", ""}

// lines are sentences about the probes that were taken.
func (p *Probes) lines() map[string]string {
	lines := map[string]string{}
	if r := p.Rate; r != nil {
		lines["rate"] = fmt.Sprintf("drainer: %.0f evictions per second, the bare loop: %.0f (medians of %d alternating pairs; median of the ratios %.2f). "+
			"Drainer's process took %.1f s of CPU for the %d pods of a run, with %.0f plans of %.2g ms in the mean. "+
			"A watched pod takes %.1f KiB of drainer's heap, the watch of its node included.",
			median(r.Drainer), median(r.Loop), len(r.Drainer), r.Ratio(), r.Usage.CPU, rateNodes*rateEach, r.Usage.Plans, 1000*r.Usage.PlanMean,
			r.HeapPerPod/(1<<10))
	}
	if r := p.Reaction; r != nil {
		ms := func(l latencies, q float64) float64 { return 1000 * l.quantile(q) }
		lines["reaction"] = fmt.Sprintf("from sending the annotation until the node is seen cordoned: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms. A bare watcher that "+
			"answers with the cordon and nothing else: p50 %.1f ms, p95 %.1f ms, p99 %.1f ms.", ms(r.Drainer, .5), ms(r.Drainer, .95), ms(r.Drainer, .99),
			ms(r.Bare, .5), ms(r.Bare, .95), ms(r.Bare, .99))
	}
	if w := p.Watched; w != nil {
		lines["watched"] = fmt.Sprintf("%.1f MiB resident at most, with pods of %.1f KB as JSON; %.1f s of CPU until all were watched.",
			w.RSS/(1<<20), float64(w.PodBytes)/1000, w.CPU)
	}
	if n := p.Neighbour; n != nil {
		lines["neighbour"] = n.line()
	}
	if i := p.Idle; i != nil {
		lines["idle"] = fmt.Sprintf("%.1f MiB resident (%.1f MiB with 5,000 pods), %.2f %% of a core over %s. One node of %d pods is then empty after %.2f s "+
			"and Drained after %.2f s.", i.RSS/(1<<20), i.RSSFewPods/(1<<20), 100*i.CPU, idleWindow, idleEach, i.OneNode, i.OneNodeDrained)
	}
	return lines
}

// write writes the report as JSON, as a page and as plots.
func (r *Report) write(dir string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of the report: %w", err)
	}
	files := map[string]string{"benchmarks.json": string(text) + "\n", "benchmarks.md": r.page()}
	for _, sc := range scenarios() {
		if all := r.rows(sc); len(all) > 0 {
			files["benchmarks-"+sc.Name+".svg"] = plot(all)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

// bounds is what was found about why the figures are not better.
//
//go:embed bounds.md
var bounds string

func (r *Report) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, preface, cluster.KubernetesVersion, runtime.NumCPU())
	markdown(&b, goalColumns, cellsOf(r.goals()))
	for _, sc := range scenarios() {
		all := r.rows(sc)
		if len(all) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n![makespan](benchmarks-%s.svg)\n\n", sc.Name, sc.Title, sc.Name)
		markdown(&b, columns, cellsOf(all))
		fmt.Fprintf(&b, "\n%s\n", all[0].cost())
	}
	lines := r.Probes.lines()
	for _, p := range probes() {
		if line := lines[p.name]; line != "" {
			fmt.Fprintf(&b, "\n## %s\n\n%s: %s\n", p.name, p.title, line)
		}
	}
	b.WriteString("\n" + bounds)
	return b.String()
}

const preface = `# Benchmarks

Written by ` + "`make bench`" + `: every contender drains the same scene on the same local control plane (Kubernetes %s, %d cores
for everything), one after the other, in rounds; medians over the runs. Drainer's own limits are set so that they do not bind
(--max-draining=100%%, --eviction-qps=0, --eviction-workers=100). The rows called *model*, which run only with -slow,
are polling evictors of a few lines with the retry policies of other controllers, not those controllers.

*makespan*: from the first request until the last pod that had to leave is gone; the seconds that drainer waits before it
says Drained are not in it. *÷ bound*: the median of each run's makespan over that of an ideal planner without latency that meets the recovery and
termination times seen in the same run. *mean node empty*: over the nodes, until a node's last pod is gone. *pods* had to
leave; *evicted* are the evictions that the API server admitted, more if pods were moved onto nodes that were drained next.
POSTs to pods/eviction, answers 429, and GET and LIST of pods are counted from the API server's audit log by user.

`
