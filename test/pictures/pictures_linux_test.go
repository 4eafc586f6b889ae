package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"testing"
)

const root = "../.."

// TestCurrent: the pictures show what the commands of today show of the recorded
// cluster, and the page about the plugin has all of them.
func TestCurrent(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("NO_COLOR", "")
	page, err := os.ReadFile(root + "/docs/kubectl-drainer.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shots {
		want, err := s.draw(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(s.file(root))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s differs from what the command shows: go run ./test/pictures -draw", s.file(root))
		}
		if link := "(" + strings.TrimPrefix(s.file(root), root+"/docs/") + ")"; !strings.Contains(string(page), link) {
			t.Errorf("docs/kubectl-drainer.md does not show %s", link)
		}
	}
}

// TestShown: the pictures show what they are there for, and nothing is outside of
// them.
func TestShown(t *testing.T) {
	for name, says := range map[string][]string{
		"plan":        {"$ kubectl drainer plan worker-2", "shop/debug", "no controller would create it again", "waits", "Cannot finish:", "Fix: delete the pod yourself, or use --bare-pods=Evict"},
		"status":      {"$ kubectl drainer status", "GONE", "Drained", "Blocked", "Draining", "Queued", "alice"},
		"status-node": {"$ kubectl drainer status worker-2", "by PDB shop/db (needs 1 healthy, has 1)", "Fix: let PDB shop/db allow a disruption"},
		"why":         {"$ kubectl drainer why shop/db-", "drainer says: blocked for", "Fix: let PDB shop/db allow a disruption"},
	} {
		text, err := os.ReadFile(shot{name: name}.file(root))
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			ViewBox string `xml:"viewBox,attr"`
			Texts   []struct {
				X      float64 `xml:"x,attr"`
				Y      float64 `xml:"y,attr"`
				Length float64 `xml:"textLength,attr"`
				Text   string  `xml:",chardata"`
			} `xml:"text"`
		}
		if err := xml.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var w, h float64
		if _, err := fmt.Sscanf(d.ViewBox, "0 0 %g %g", &w, &h); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var all []string
		for _, x := range d.Texts {
			all = append(all, x.Text)
			if x.Length <= 0 || x.X < 0 || x.X+x.Length > w || x.Y < 0 || x.Y > h {
				t.Errorf("%s: %q at %g, %g, %g wide, is outside of %s", name, x.Text, x.X, x.Y, x.Length, d.ViewBox)
			}
		}
		for _, want := range says {
			if !strings.Contains(strings.Join(all, " "), want) {
				t.Errorf("%s does not say %q, but\n%s", name, want, strings.Join(all, "\n"))
			}
		}
	}
}
