package invariant

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReliabilityPage: docs/reliability.md states every invariant once, and the
// tests that it names exist.
func TestReliabilityPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []ID{OnlyTargets, Stops, KeepsBudgets, AdmittedOnce, DrainedIsEmpty, Finishes, OwnCordonOnly, CountsAnswers, KeepsLimits} {
		if n := strings.Count(string(text), "**"+string(id)+". "); n != 1 {
			t.Errorf("%s is stated %d times, want once", id, n)
		}
		if n := strings.Count(string(text), "\n| "+string(id)+" |"); n != 1 {
			t.Errorf("the table of tests has %s %d times, want once", id, n)
		}
	}
	tests := testNames(t)
	for _, name := range regexp.MustCompile("`Test[A-Za-z]+`").FindAllString(string(text), -1) {
		if !tests[strings.Trim(name, "`")] {
			t.Errorf("there is no test %s", name)
		}
	}
}

// testNames are the names of the tests of this repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
