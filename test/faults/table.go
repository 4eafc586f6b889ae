package faults

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// Row is the result of one fault.
type Row struct {
	// Test is the name of the test, Fault what it does, for people.
	Test, Fault string
	Runs        int
	// Processes and Evictions are what was judged; Counters is true if a process
	// was also judged by its counters.
	Processes, Evictions int
	Counters             bool
	Violations           int
	// Recovered is how long after the fault all nodes were drained.
	Recovered time.Duration
}

// The table stands between these lines.
const (
	tableBegin = "<!-- faults: written by make faults-table -->"
	tableEnd   = "<!-- end of faults -->"
)

// Header is the first line of a table.
const Header = "| fault | test | runs | processes | evictions | invariants checked | violations | drained after the fault |"

// Table is the rows as a table for docs/reliability.md.
func Table(rows []Row) string {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.Test, b.Test) })
	var text strings.Builder
	fmt.Fprintln(&text, Header)
	fmt.Fprintln(&text, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		checked := "I1 to I7, I9"
		if r.Counters {
			checked = "I1 to I9"
		}
		fmt.Fprintf(&text, "| %s | `%s` | %d | %d | %d | %s | %d | %.0f s |\n",
			r.Fault, r.Test, r.Runs, r.Processes, r.Evictions, checked, r.Violations, r.Recovered.Seconds())
	}
	return text.String()
}

// WriteTable writes the rows into the table of a document. Rows of other tests
// stay.
func WriteTable(path string, rows []Row) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the document with the table of faults: %w", err)
	}
	before, table, after, err := parts(string(text))
	if err != nil {
		return fmt.Errorf("finding the table of faults in %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(before+"\n"+merged(table, Table(rows))+after), 0o644); err != nil {
		return fmt.Errorf("writing the table of faults: %w", err)
	}
	return nil
}

// parts are the table, and what stands before and after it, with its marks.
func parts(text string) (before, table, after string, err error) {
	before, rest, begins := strings.Cut(text, tableBegin)
	table, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return "", "", "", fmt.Errorf("the lines %q and %q are missing", tableBegin, tableEnd)
	}
	return before + tableBegin, table, tableEnd + after, nil
}

// merged is a table with the rows of both, of which those of the newer count.
func merged(old, newer string) string {
	rows := map[string]string{}
	for line := range strings.Lines(old + newer) {
		if cells := strings.Split(line, "|"); len(cells) > 2 && strings.Contains(cells[2], "`") {
			rows[cells[2]] = line
		}
	}
	text := Table(nil)
	for _, test := range slices.Sorted(maps.Keys(rows)) {
		text += rows[test]
	}
	return text
}
