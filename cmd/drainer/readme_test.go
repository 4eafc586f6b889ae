package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/metrics"
	"drainer.dev/drainer/pkg/plan"
)

// readmeRows are the rows of a table of the README, by their first cell, which
// is code that begins with the prefix.
func readmeRows(t *testing.T, prefix string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
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

// TestReadmeFlags compares the table of flags with the flags.
func TestReadmeFlags(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	rows := readmeRows(t, "--")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaults().add(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		row, documented := rows["--"+f.Name]
		if !documented || len(row) != 2 {
			t.Errorf("--%s has no row of three cells in the README", f.Name)
			return
		}
		if got := strings.Trim(row[0], "`"); got != f.DefValue {
			t.Errorf("--%s has the default %q, the README says %q", f.Name, f.DefValue, got)
		}
		if row[1] != f.Usage {
			t.Errorf("--%s is described as %q, the README says %q", f.Name, f.Usage, row[1])
		}
		delete(rows, "--"+f.Name)
	})
	for name := range rows {
		t.Errorf("the README has %s, the program does not", name)
	}
}

// TestReadmeMetrics compares the table of metrics with what is exported.
func TestReadmeMetrics(t *testing.T) {
	m := metrics.New("v", "c")
	m.RegisterClient()
	m.NewQueues()
	m.RegisterPlans(nil, 0)
	m.RegisterControl(nil)
	described := describe(m)
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z_, ]*)\\| ")
	documented := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		documented[match[1]] = strings.ReplaceAll(strings.TrimSpace(match[2]), " ", "")
	}
	for name, labels := range described {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		got, ok := documented[name]
		switch {
		case !ok:
			t.Errorf("%s is not in the README", name)
		case got != labels:
			t.Errorf("%s has the labels %s, the README says %s", name, labels, got)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("the README has the metric %s, the program does not", name)
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

// TestReadmeWords: reasons and phases are all named.
func TestReadmeWords(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{}
	for _, r := range slices.Concat(plan.BlockedReasons(), plan.TerminatingReasons()) {
		words = append(words, string(r))
	}
	for _, a := range plan.KnownAnswers() {
		words = append(words, string(a.Reason))
	}
	for _, p := range api.Phases() {
		words = append(words, string(p))
	}
	for _, word := range words {
		if !strings.Contains(string(text), "`"+word+"`") {
			t.Errorf("the README does not name %s", word)
		}
	}
}

// TestReadmeAnnotations compares the table of annotations with the protocol:
// every documented one is known, with a value that the table gives as good,
// and every one that is known is documented.
func TestReadmeAnnotations(t *testing.T) {
	rows := readmeRows(t, api.Prefix)
	good := map[string]string{
		api.DrainAnnotation: "r", api.PausedAnnotation: "true", api.NotBeforeAnnotation: "2030-01-31T22:00:00Z",
		api.TimeoutAnnotation: "1h", api.OnTimeoutAnnotation: "Stop", api.GracePeriodAnnotation: "30", api.PriorityAnnotation: "100", api.DryRunAnnotation: "true", api.IgnoreWindowsAnnotation: "true",
	}
	for name := range rows {
		value, known := good[name]
		if !known {
			t.Errorf("the README has %s, which this test does not know", name)
		}
		if _, _, err := api.RequestOf(map[string]string{api.DrainAnnotation: "r", name: value}); err != nil {
			t.Errorf("the README has %s, drainer says %v", name, err)
		}
	}
	_, _, err := api.RequestOf(map[string]string{api.DrainAnnotation: "r", api.Prefix + "unknown": ""})
	if err == nil {
		t.Fatal("an unknown annotation is accepted")
	}
	for _, name := range regexp.MustCompile(regexp.QuoteMeta(api.Prefix)+"[a-z-]+").FindAllString(err.Error(), -1) {
		if _, documented := rows[name]; !documented && name != api.Prefix+"unknown" {
			t.Errorf("drainer knows %s, the README does not", name)
		}
	}
}

// TestUnreleased: as long as the changelog has no version that is released,
// whoever is told how to install is told before that there is no image.
func TestUnreleased(t *testing.T) {
	const notice = "**no image is published yet**"
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	versions := regexp.MustCompile(`(?m)^## .*$`).FindAllString(string(changelog), -1)
	released := slices.ContainsFunc(versions, func(v string) bool { return !strings.HasSuffix(v, "(not released yet)") })
	for path, install := range map[string]string{
		"../../README.md":                "helm install ",
		"../../docs/install.md":          "helm install ",
		"../../docs/gitops.md":           "kind: Application",
		"../../charts/drainer/README.md": "helm install ",
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before, _, found := strings.Cut(string(text), install)
		if told := strings.Contains(strings.ToLower(before), notice); !found || told == released {
			t.Errorf("%s has %q: %v, says before that no image is published: %v, want %v", path, install, found, told, !released)
		}
	}
}
