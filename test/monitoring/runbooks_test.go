package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"drainer.dev/drainer/pkg/plan"
)

// runbooks are the texts by the name of the alert.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(runbookFolder + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name != "README" {
			all[name] = string(text)
		}
	}
	return all
}

// TestRunbooks: every alert has a runbook, every runbook an alert, and all of
// them the same chapters.
func TestRunbooks(t *testing.T) {
	all := runbooks(t)
	for _, a := range readAlerts(t) {
		text, ok := all[a.Alert]
		if !ok {
			t.Errorf("%s has no runbook", a.Alert)
			continue
		}
		delete(all, a.Alert)
		chapters := regexp.MustCompile(`(?m)^#+ .*$`).FindAllString(text, -1)
		if want := []string{"# " + a.Alert, "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"}; !slices.Equal(chapters, want) {
			t.Errorf("%s has the chapters %v, want %v", a.Alert, chapters, want)
		}
		_, diagnosis, _ := strings.Cut(text, "## Diagnosis")
		if diagnosis, _, _ = strings.Cut(diagnosis, "## Mitigation"); len(blocks(diagnosis, "sh")) == 0 || len(blocks(diagnosis, "promql")) == 0 {
			t.Errorf("%s has no commands or no queries to find out more by", a.Alert)
		}
	}
	for name := range all {
		t.Errorf("there is a runbook for %s and no such alert", name)
	}
}

// blocks are the fenced blocks of a language.
func blocks(text, language string) []string {
	var all []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// kubectlFlags are not drainer's. TestRunbookCommands runs them.
var kubectlFlags = []string{
	"--ignore-not-found", "--show-managed-fields",
	"--all-namespaces", "--field-selector", "--sort-by", "--as", "--previous", "--tail", "--overwrite", "--type",
	"--raw", "--subresource", "--prefix", "--all",
}

// TestRunbookNames: flags, annotations, metrics, phases and reasons are those
// of the tables in docs/reference.
func TestRunbookNames(t *testing.T) {
	table := referenceTables(t)
	documented := func(name string) bool { return strings.Contains(table, "| `"+name+"` |") }
	for name, text := range runbooks(t) {
		for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(text, -1) {
			if !documented(flag) && !slices.Contains(kubectlFlags, flag) {
				t.Errorf("%s: drainer has no flag %s", name, flag)
			}
		}
		for _, a := range regexp.MustCompile(`drainer\.dev/[a-z-]+`).FindAllString(strings.ReplaceAll(text, `drainer\.dev`, "drainer.dev"), -1) {
			// kubectl takes away what ends in a dash.
			if a = "`" + strings.TrimSuffix(a, "-"); !strings.Contains(table, a+"`") && !strings.Contains(table, a+":") {
				t.Errorf("%s: drainer knows no %s", name, a)
			}
		}
		for _, metric := range regexp.MustCompile(`\b(drainer|leader|workqueue|rest)_[a-z_]+`).FindAllString(text, -1) {
			metric = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(metric, "_bucket"), "_count"), "_sum")
			if !documented(metric) {
				t.Errorf("%s: drainer has no metric %s", name, metric)
			}
		}
		for _, block := range blocks(text, "promql") {
			for expr := range strings.Lines(block) {
				checkExported(t, expr)
			}
		}
	}
}

// referenceTables are all pages of docs/reference.
func referenceTables(t *testing.T) string {
	t.Helper()
	pages, err := filepath.Glob(referenceFolder + "/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("the pages of the reference are %v, %v", pages, err)
	}
	var all strings.Builder
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// TestRunbookReasons: the alerts about pods know every reason that they should,
// and their runbooks say what to do about each.
func TestRunbookReasons(t *testing.T) {
	overdue := reasonsOf(t, "DrainerTerminatingOverdue")
	if !slices.Equal(overdue, texts(plan.TerminatingReasons())) {
		t.Errorf("DrainerTerminatingOverdue knows the reasons %v, want %v", overdue, plan.TerminatingReasons())
	}
	for _, name := range []string{"DrainerTerminatingOverdue", "DrainerPodNeverEvictable", "DrainerEvictionsFailing"} {
		for _, reason := range reasonsOf(t, name) {
			if !strings.Contains(runbooks(t)[name], "| `"+reason+"` |") {
				t.Errorf("the runbook of %s does not say what to do about %s", name, reason)
			}
		}
	}
}
