package prose

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the files whose links are followed.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "charts/*/*.md", "charts/*/*.gotmpl"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		all = append(all, found...)
	}
	return all
}

// outside are the addresses of the project's own files on the web.
var outside = []string{"https://github.com/drainer-dev/drainer/blob/main/", "https://github.com/drainer-dev/drainer/tree/main/"}

var (
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*?) *$`)
	target  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// anchors are those that GitHub gives to the headings of a document.
func anchors(markdown string) []string {
	var all []string
	seen := map[string]int{}
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(markdown, ""), -1) {
		text := strings.ToLower(target.ReplaceAllString(match[1], "$1"))
		text = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(text, "")
		anchor := strings.ReplaceAll(text, " ", "-")
		if n := seen[anchor]; n > 0 {
			all = append(all, fmt.Sprintf("%s-%d", anchor, n))
		} else {
			all = append(all, anchor)
		}
		seen[anchor]++
	}
	return all
}

// broken says what is wrong with a link in a document, empty if nothing is.
func broken(document, to string) string {
	path := filepath.Dir(document)
	for _, prefix := range outside {
		if rest, ours := strings.CutPrefix(to, prefix); ours {
			path, to = root, rest
		}
	}
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return ""
	}
	name, anchor, _ := strings.Cut(to, "#")
	file := filepath.Join(path, name)
	if name == "" {
		file = document
	}
	info, err := os.Stat(file)
	if err != nil {
		return err.Error()
	}
	if anchor == "" || info.IsDir() {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if all := anchors(string(text)); !slices.Contains(all, anchor) {
		return fmt.Sprintf("%s has no heading #%s, but %v", file, anchor, all)
	}
	return ""
}

// TestLinks: every link from one document to another leads to a file, and to a
// heading in it.
func TestLinks(t *testing.T) {
	links := 0
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		plain := code.ReplaceAllString(fenced.ReplaceAllString(string(text), ""), "")
		for _, match := range link.FindAllStringSubmatch(plain, -1) {
			links++
			if wrong := broken(document, match[1]); wrong != "" {
				t.Errorf("%s links to %s: %s", document, match[1], wrong)
			}
		}
	}
	if links < 200 {
		t.Errorf("only %d links were found", links)
	}
}

// TestReached: every document can be reached from the README by links.
func TestReached(t *testing.T) {
	all := documents(t)
	reached := map[string]bool{}
	var follow func(document string)
	follow = func(document string) {
		if reached[document] || filepath.Ext(document) != ".md" {
			return
		}
		reached[document] = true
		text, err := os.ReadFile(document)
		if err != nil {
			return // TestLinks tells.
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			name, _, _ := strings.Cut(match[1], "#")
			if name != "" && !strings.Contains(name, "://") {
				follow(filepath.Join(filepath.Dir(document), name))
			}
		}
	}
	follow(filepath.Join(root, "README.md"))
	for _, document := range all {
		// The README links to the folder of decisions.
		if filepath.Ext(document) == ".md" && !reached[document] && filepath.Base(filepath.Dir(document)) != "adr" {
			t.Errorf("no link leads from the README to %s", document)
		}
	}
}

// TestBroken: a link is followed to files and headings.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	document := filepath.Join(dir, "a.md")
	text := "# A `b` c, d\n```\n# not this\n```\n## Twice\n## Twice\n## [Link](x.md) end\n"
	if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for to, ok := range map[string]bool{
		"a.md": true, "#a-b-c-d": true, "a.md#twice": true, "#twice-1": true, "#link-end": true, "https://example.com/x#y": true,
		"b.md": false, "#not-this": false, "#twice-2": false, "a.md#nothing": false, outside[0] + "nothing.md": false, outside[0] + "README.md": true,
	} {
		if wrong := broken(document, to); (wrong == "") != ok {
			t.Errorf("the link %s is good: %v, want %v: %s", to, wrong == "", ok, wrong)
		}
	}
}
