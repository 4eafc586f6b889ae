package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTextsOccurOnce: the text that a mutant replaces is in the code exactly
// once, so that a change of the code that does not fit a mutant fails at once,
// and not after minutes of a run.
func TestTextsOccurOnce(t *testing.T) {
	all := mutants()
	for _, p := range append(plantedBugs(), controllerBugs()...) {
		all = append(all, p.mutant)
	}
	for _, m := range all {
		text, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: %s has %q %d times, want once", m.name, m.file, m.old, n)
		}
	}
}
