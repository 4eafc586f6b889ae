package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/metrics"
	"drainer.dev/drainer/pkg/plan"
)

// reference is the text of a page of docs/reference.
func reference(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/" + page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rowsOf are the rows of the tables of a page, by their first cell, which is code
// that begins with the prefix.
func rowsOf(t *testing.T, page, prefix string) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	for line := range strings.Lines(reference(t, page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " |")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		name := strings.Trim(cells[0], "`")
		if strings.HasPrefix(line, "| `") && strings.HasPrefix(name, prefix) {
			rows[name] = cells[1:]
		}
	}
	return rows
}

// TestReferenceFlags compares the table of flags with the flags.
func TestReferenceFlags(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	rows := rowsOf(t, "flags.md", "--")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaults().add(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		row, documented := rows["--"+f.Name]
		if !documented || len(row) != 2 {
			t.Errorf("--%s has no row of three cells in flags.md", f.Name)
			return
		}
		if got := strings.Trim(row[0], "`"); got != f.DefValue {
			t.Errorf("--%s has the default %q, flags.md says %q", f.Name, f.DefValue, got)
		}
		if row[1] != f.Usage {
			t.Errorf("--%s is described as %q, flags.md says %q", f.Name, f.Usage, row[1])
		}
		delete(rows, "--"+f.Name)
	})
	for name := range rows {
		t.Errorf("flags.md has %s, the program does not", name)
	}
}

// TestReferenceMetrics compares the table of metrics with what is exported.
func TestReferenceMetrics(t *testing.T) {
	m := metrics.New("v", "c")
	m.RegisterClient()
	m.NewQueues()
	m.RegisterPlans(nil, 0, false)
	m.RegisterControl(nil)
	m.RegisterMarks(nil)
	m.RegisterWatches(nil)
	described := describe(m)
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z_, ]*)\\| ")
	documented := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(reference(t, "metrics.md"), -1) {
		documented[match[1]] = strings.ReplaceAll(strings.TrimSpace(match[2]), " ", "")
	}
	for name, labels := range described {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		got, ok := documented[name]
		switch {
		case !ok:
			t.Errorf("%s is not in metrics.md", name)
		case got != labels:
			t.Errorf("%s has the labels %s, metrics.md says %s", name, labels, got)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("metrics.md has the metric %s, the program does not", name)
	}
}

// describe lists the exported metrics with their labels. A Desc shows them only
// in its text.
func describe(m *metrics.Metrics) map[string]string {
	all := map[string]string{}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		m.Registry.Describe(descriptions)
		close(descriptions)
	}()
	parts := regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)
	for d := range descriptions {
		if match := parts.FindStringSubmatch(d.String()); match != nil {
			all[match[1]] = match[2]
		}
	}
	return all
}

// TestReferenceWords: reasons and phases are all named, and so are the results
// of a drain and what nodes wait for.
func TestReferenceWords(t *testing.T) {
	var reasons, phases []string
	for _, r := range slices.Concat(plan.BlockedReasons(), plan.TerminatingReasons()) {
		reasons = append(reasons, string(r))
	}
	for _, a := range plan.KnownAnswers() {
		reasons = append(reasons, string(a.Reason))
	}
	var metricWords []string
	for _, r := range plan.Results() {
		metricWords = append(metricWords, string(r))
	}
	for _, w := range plan.Queueings() {
		metricWords = append(metricWords, string(w))
	}
	for _, p := range api.Phases() {
		phases = append(phases, string(p))
	}
	for page, words := range map[string][]string{"metrics.md": reasons, "conditions.md": phases, "events.md": phases} {
		text := reference(t, page)
		for _, word := range words {
			if !strings.Contains(text, "`"+word+"`") {
				t.Errorf("%s does not name %s", page, word)
			}
		}
	}
	for _, word := range metricWords {
		if !regexp.MustCompile(`[ (]` + word + `[,; (]`).MatchString(reference(t, "metrics.md")) {
			t.Errorf("metrics.md does not name %s", word)
		}
	}
}

// TestReferenceConditions: the conditions have in each phase the status that the table
// says.
func TestReferenceConditions(t *testing.T) {
	_, table, found := strings.Cut(reference(t, "conditions.md"), "The status of the conditions in each phase:")
	if !found {
		t.Fatal("conditions.md has no table of the conditions")
	}
	type at struct{ started, stopped bool }
	begun, waiting, gaveUp := at{started: true}, at{}, at{started: true, stopped: true}
	means := map[string]map[at]corev1.ConditionStatus{
		"True":                          {begun: corev1.ConditionTrue},
		"False":                         {begun: corev1.ConditionFalse, waiting: corev1.ConditionFalse, gaveUp: corev1.ConditionFalse},
		"True once the drain has begun": {begun: corev1.ConditionTrue, waiting: corev1.ConditionFalse},
		"True with `Wait` and `Delete`, False with `Stop` and `Release`": {begun: corev1.ConditionTrue, gaveUp: corev1.ConditionFalse},
	}
	for _, phase := range api.Phases() {
		row := regexp.MustCompile("(?m)^\\| `" + string(phase) + "` \\| (.*) \\| (.*) \\|$").FindStringSubmatch(table)
		if row == nil {
			t.Errorf("the table has no row for %s", phase)
			continue
		}
		for i, cell := range row[1:] {
			if means[cell] == nil {
				t.Errorf("%s: %q is not one of the known cells", phase, cell)
			}
			for when, want := range means[cell] {
				inProgress, drained := plan.Conditions(phase, when.started, when.stopped)
				if got := []corev1.ConditionStatus{inProgress, drained}[i]; got != want {
					t.Errorf("%s, condition %d, %+v: the status is %s, the table says %q", phase, i+1, when, got, cell)
				}
			}
		}
	}
}

// TestReferenceEvents: the reasons of the events are those that the code names,
// and the phases.
func TestReferenceEvents(t *testing.T) {
	var code []byte
	for _, file := range []string{"tell.go", "marks.go"} {
		text, err := os.ReadFile("../../pkg/drain/" + file)
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, text...)
	}
	written := map[string]bool{}
	for _, p := range api.Phases() {
		written[string(p)] = true
	}
	for _, match := range regexp.MustCompile(`(?:events\.\w+\(e\.\w+|nodeEvent\(ctx, e\.Node, (?:e\.Request|"")), "(\w+)"`).FindAllStringSubmatch(string(code), -1) {
		written[match[1]] = true
	}
	if len(written) < len(api.Phases())+6 {
		t.Fatalf("the code names only the events %v", written)
	}
	rows := rowsOf(t, "events.md", "")
	for reason := range written {
		if len(rows[reason]) != 2 {
			t.Errorf("%s has no row of three cells in events.md", reason)
		}
		delete(rows, reason)
	}
	for reason := range rows {
		t.Errorf("events.md has %s, which is not written", reason)
	}
}

// TestReferenceExit: the exit statuses and the commands are those of the program.
func TestReferenceExit(t *testing.T) {
	text := reference(t, "flags.md")
	for status, words := range map[int]string{exitFailure: "the work failed", exitUsage: "there is a mistake"} {
		if row := fmt.Sprintf("| `%d` | %s", status, words); !strings.Contains(text, row) {
			t.Errorf("flags.md has no row that begins with %q", row)
		}
	}
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if c.Runnable() && !regexp.MustCompile("(?m)^\\| `"+c.CommandPath()+"[ `]").MatchString(text) {
			t.Errorf("flags.md does not name the command %q", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(command())
}

// writtenByPeople are the rows of the table of annotations that people write.
func writtenByPeople(t *testing.T) map[string][]string {
	t.Helper()
	rows := rowsOf(t, "annotations.md", api.Prefix)
	for _, ours := range []string{api.DrainedAnnotation, api.StatusAnnotation} {
		delete(rows, ours)
	}
	return rows
}

// TestReferenceAnnotations compares the table of annotations with the protocol:
// every documented one is known, with a value that the table gives as good,
// and every one that is known is documented.
func TestReferenceAnnotations(t *testing.T) {
	rows := writtenByPeople(t)
	good := map[string]string{
		api.DrainAnnotation: "r", api.PausedAnnotation: "true", api.NotBeforeAnnotation: "2030-01-31T22:00:00Z",
		api.TimeoutAnnotation: "1h", api.OnTimeoutAnnotation: "Stop", api.GracePeriodAnnotation: "30", api.PriorityAnnotation: "100", api.DeadlineAnnotation: "2030-01-31T22:00:00Z", api.DryRunAnnotation: "true", api.IgnoreWindowsAnnotation: "true",
		api.RequestedByAnnotation: "alice", api.ReasonAnnotation: "kernel update",
	}
	for name := range rows {
		value, known := good[name]
		if !known {
			t.Errorf("annotations.md has %s, which this test does not know", name)
		}
		if _, _, err := api.RequestOf(map[string]string{api.DrainAnnotation: "r", name: value}); err != nil {
			t.Errorf("annotations.md has %s, drainer says %v", name, err)
		}
	}
	_, _, err := api.RequestOf(map[string]string{api.DrainAnnotation: "r", api.Prefix + "unknown": ""})
	if err == nil {
		t.Fatal("an unknown annotation is accepted")
	}
	for _, name := range regexp.MustCompile(regexp.QuoteMeta(api.Prefix)+"[a-z-]+").FindAllString(err.Error(), -1) {
		if _, documented := rows[name]; !documented && name != api.Prefix+"unknown" {
			t.Errorf("drainer knows %s, annotations.md does not", name)
		}
	}
}
