package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReadmeLength: the README is short enough to be read to its end.
func TestReadmeLength(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 120 {
		t.Errorf("the README has %d lines, want at most 120: move details to docs", lines)
	}
}

// TestReadmeBenchmark: the figures of the README are those that were measured.
func TestReadmeBenchmark(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	measured, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, scene, _ := strings.Cut(string(measured), "\n## contended\n")
	// makespan, 429
	row := regexp.MustCompile(`(?m)^\| (drainer|kubectl drain).*?\| \d+ \| ([^|]*) \|.*\| ([^|]*) \|[^|]*\|$`)
	rows := row.FindAllStringSubmatch(scene, 2)
	if len(rows) != 2 {
		t.Fatalf("docs/benchmarks.md has the rows %q in the scene contended", rows)
	}
	if rows[0][3] != "0" {
		t.Errorf("drainer got %s answers 429, the README says none", rows[0][3])
	}
	text := strings.Join(strings.Fields(string(readme)), " ")
	for _, want := range []string{"are drained in " + rows[0][2] + " with", "takes " + rows[1][2] + " with " + rows[1][3] + " refused"} {
		if !strings.Contains(text, want) {
			t.Errorf("the README does not say %q, which docs/benchmarks.md does", want)
		}
	}
}

// TestUnreleased: as long as the changelog has no released version,
// instructions for the installation say first that there is no image.
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
