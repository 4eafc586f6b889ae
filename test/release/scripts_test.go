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

// TestParts: a part that fails ends the command with an error, and keeps what comes after
// it from running unless all parts are asked for.
func TestParts(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "make")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho \"made $2\"\n[ \"$2\" != bad ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args   []string
		made   []string
		notRun bool
		fails  bool
	}{
		"all is well":      {[]string{"one", "two + three"}, []string{"one", "two", "three"}, false, false},
		"it stops":         {[]string{"one + bad", "three"}, []string{"one", "bad"}, true, true},
		"it keeps going":   {[]string{"-k", "one + bad", "three"}, []string{"one", "bad", "three"}, false, true},
		"the last is bad":  {[]string{"-k", "one", "bad"}, []string{"one", "bad"}, false, true},
		"only one is made": {[]string{"-k", "bad"}, []string{"bad"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.CommandContext(t.Context(), filepath.Join(checkout, "test", "parts"), test.args...)
			command.Env = append(os.Environ(), "MAKE="+fake)
			out, err := command.CombinedOutput()
			if (err != nil) != test.fails || strings.Contains(string(out), "not run") != test.notRun || strings.Count(string(out), "made ") != len(test.made) {
				t.Errorf("the error is %v:\n%s", err, out)
			}
			for _, part := range test.made {
				if !strings.Contains(string(out), "made "+part) {
					t.Errorf("%s was not made:\n%s", part, out)
				}
			}
			if test.fails && !strings.Contains(string(out), "FAILED") {
				t.Errorf("the table does not say what failed:\n%s", out)
			}
		})
	}
}
