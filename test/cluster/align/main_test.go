package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAligned: what two go.mod files require has the same version in both, or
// it is compiled twice.
func TestAligned(t *testing.T) {
	type requirement struct{ module, version string }
	seen := map[string]requirement{}
	shared := 0
	for _, dir := range modules() {
		m, err := read(t.Context(), filepath.Join("../../..", dir))
		if err != nil {
			t.Fatal(err)
		}
		replaced := map[string]string{}
		for _, r := range m.Replace {
			replaced[r.Old.Path] = r.New.Version
		}
		for _, r := range m.Require {
			if strings.HasPrefix(r.Path, "drainer.dev/") || slices.Contains(apart(), r.Path) {
				continue
			}
			version, found := replaced[r.Path]
			if !found {
				version = r.Version
			}
			before, found := seen[r.Path]
			if !found {
				seen[r.Path] = requirement{dir, version}
				continue
			}
			shared++
			if before.version != version {
				t.Errorf("%s requires %s %s, %s requires %s: run make versions", dir, r.Path, version, before.module, before.version)
			}
		}
	}
	if shared < 100 {
		t.Errorf("the modules have only %d requirements in common", shared)
	}
}
