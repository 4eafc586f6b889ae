package faults

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTable: the table has a row for each fault, and keeps those of the table
// before that did not run.
func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("before\n"+tableBegin+"\n| old | `TestFaultA` | 7 |\n| kept | `TestFaultC` | 1 |\n"+tableEnd+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rows := []Row{
		{Test: "TestFaultB", Fault: "b", Runs: 1, Recovered: 3 * time.Second},
		{Test: "TestFaultA", Fault: "a", Runs: 1, Processes: 2, Evictions: 7, Counters: true},
	}
	if err := WriteTable(path, rows); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	want := "before\n" + tableBegin + "\n" + Header + "\n| --- | --- | --- | --- | --- | --- | --- | --- |\n" +
		"| a | `TestFaultA` | 1 | 2 | 7 | I1 to I9 | 0 | 0 s |\n| b | `TestFaultB` | 1 | 0 | 0 | I1 to I7, I9 | 0 | 3 s |\n| kept | `TestFaultC` | 1 |\n" + tableEnd + "\nafter\n"
	if err != nil || string(text) != want {
		t.Errorf("the document is %q, %v; want %q", text, err, want)
	}
	if err := os.WriteFile(path, []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteTable(path, nil); err == nil || !strings.Contains(err.Error(), tableBegin) {
		t.Errorf("error %v does not say what is missing", err)
	}
}

// TestReliability: the table of docs/reliability.md has each test of a fault, and
// no other, without a violation. What the numbers are is for the run to say.
func TestReliability(t *testing.T) {
	files, err := filepath.Glob("../e2e/faults_*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	tests := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (TestFault\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
	}
	text, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), tableBegin)
	table, _, _ = strings.Cut(table, tableEnd)
	if !strings.Contains(table, Header) {
		t.Errorf("the table does not begin with %s; run make faults-table", Header)
	}
	row := regexp.MustCompile("(?m)^\\| [^|]+ \\| `(TestFault\\w+)` \\| [1-9]\\d* \\| \\d+ \\| \\d+ \\| I1 to [^|]+ \\| 0 \\| \\d+ s \\|$")
	rows := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		rows[m[1]] = true
	}
	if !maps.Equal(rows, tests) {
		t.Errorf("the table has %v, the tests are %v; run make faults-table", slices.Sorted(maps.Keys(rows)), slices.Sorted(maps.Keys(tests)))
	}
}
