package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script runs one of .github's scripts.
func script(t *testing.T, environment []string, name string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(checkout, ".github", name), args...)
	command.Env = append(os.Environ(), environment...)
	out, err := command.CombinedOutput()
	return string(out), err
}

// TestCheckPins lets the script ask a git that knows the tags, and one that
// says of one action that its tag is something else.
func TestCheckPins(t *testing.T) {
	tags := map[string]string{}
	for _, text := range workflows(t) {
		for _, use := range pinned.FindAllString(text, -1) {
			action, rest, _ := strings.Cut(strings.TrimSpace(use[strings.Index(use, "uses: ")+len("uses: "):]), "@")
			commit, tag, _ := strings.Cut(rest, " # ")
			tags[action+" "+tag] = commit
		}
	}
	ask := func(wrong string) (string, error) {
		var git strings.Builder
		git.WriteString("#!/bin/sh\ncase \"$2 $3\" in\n")
		for use, commit := range tags {
			action, tag, _ := strings.Cut(use, " ")
			if action == wrong {
				commit = strings.Repeat("0", 40)
			}
			git.WriteString("'https://github.com/" + action + " refs/tags/" + tag + "')\n" +
				"printf '" + strings.Repeat("1", 40) + "\\trefs/tags/" + tag + "\\n'\n" +
				"printf '" + commit + "\\trefs/tags/" + tag + "^{}\\n' ;;\n")
		}
		git.WriteString("*) exit 1 ;;\nesac\n")
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "git"), []byte(git.String()), 0o755); err != nil {
			t.Fatal(err)
		}
		return script(t, []string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")}, "check-pins")
	}
	said, err := ask("")
	if err != nil {
		t.Fatalf("with all tags right: %v\n%s", err, said)
	}
	for use, commit := range tags {
		if !strings.Contains(said, use+" is "+commit) {
			t.Errorf("nothing is said of %s:\n%s", use, said)
		}
	}
	if said, err := ask("actions/cache"); err == nil || !strings.Contains(said, "actions/cache v4.3.0 is 000") {
		t.Errorf("a wrong pin was not found: %v\n%s", err, said)
	}
}

// TestReleaseNotes: a version that the changelog knows has notes, its own only.
func TestReleaseNotes(t *testing.T) {
	said, err := script(t, nil, "release-notes", "0.1.0")
	if err != nil || strings.Contains(said, "## ") || !strings.Contains(said, "drain") {
		t.Errorf("the notes of 0.1.0: %v\n%s", err, said)
	}
	if said, err := script(t, nil, "release-notes", "9.9.9"); err == nil {
		t.Errorf("a version that never was has notes: %s", said)
	}
}

// TestScriptsAreClean checks the scripts that are files of their own; without
// shellcheck at least their syntax.
func TestScriptsAreClean(t *testing.T) {
	for _, path := range []string{".ci/run", ".github/check-pins", ".github/pin-images", ".github/plugin-archives", ".github/release-notes", "test/compile", "test/parts"} {
		if shellcheck, err := exec.LookPath("shellcheck"); err == nil {
			run(t, checkout, nil, shellcheck, path)
		} else {
			run(t, checkout, nil, "bash", "-n", path)
		}
	}
}
