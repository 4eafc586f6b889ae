package shells

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Report()
	os.Exit(m.Run())
}

// programs are those that the documentation runs, but for what shells have
// themselves.
var programs = []string{
	".github/pin-images", "base64", "bin/drainer", "cosign", "docker", "drainer", "gh", "git", "go", "helm", "jq", "kubectl", "make", "sha256sum", "sleep",
}

// documents are the files whose commands people paste.
func documents(t *testing.T) []string {
	t.Helper()
	paths := []string{"../../README.md", "../../SECURITY.md", "../../CONTRIBUTING.md", "../../charts/drainer/README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		paths = append(paths, found...)
	}
	return paths
}

// isCommands is true for a block of commands, and false for a drawing or for
// what a program has written.
func isCommands(b Block) bool {
	first, _, _ := strings.Cut(b.Commands, "\n")
	return b.Language == "sh" || b.Language == "" && !strings.HasPrefix(first, "$ ") && !strings.HasPrefix(first, " ")
}

// TestSameInEveryShell: every block of commands in the documentation calls the
// same programs with the same arguments in every shell, and fails in none: no
// glob that zsh does not find, no comment that it takes for arguments, no list
// that it does not split.
func TestSameInEveryShell(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range Blocks(string(text)) {
			if !isCommands(block) {
				continue
			}
			checked++
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(path), i), func(t *testing.T) {
				t.Parallel()
				var want string
				Each(t, func(t *testing.T, shell string) {
					got := callsOf(t, shell, block.Commands)
					if got == "" {
						t.Errorf("no program is called by\n%s", block.Commands)
					}
					if want == "" {
						want = got
					}
					if got != want {
						t.Errorf("called are\n%s\nin another shell\n%s", got, want)
					}
				})
			})
		}
	}
	if checked < 30 {
		t.Errorf("only %d blocks of commands were found", checked)
	}
}

// TestFailedWait: whoever pastes a block of which the wait fails must not go past it to
// what removes a node that is not drained.
func TestFailedWait(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range Blocks(string(text)) {
			if !isCommands(block) || !removes.MatchString(block.Commands) || !strings.Contains(block.Commands, "wait node") {
				continue
			}
			checked++
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(path), i), func(t *testing.T) {
				t.Parallel()
				Each(t, func(t *testing.T, shell string) {
					if calls := callsWithoutWait(t, shell, block.Commands); removes.MatchString(calls) || !strings.Contains(calls, "wait node") {
						t.Errorf("although the wait fails, called are\n%s\nby\n%s", calls, block.Commands)
					}
				})
			})
		}
	}
	if checked < 2 {
		t.Errorf("only %d blocks wait and then remove something", checked)
	}
}

// removes finds what removes a node, or lets something else remove it undrained.
var removes = regexp.MustCompile(`delete (node|machine) |exclude-node-draining=`)

// callsWithoutWait are the calls of kubectl by commands that are pasted, if each wait fails.
func callsWithoutWait(t *testing.T, shell, commands string) string {
	t.Helper()
	dir := t.TempDir()
	Fake(t, dir, "kubectl", `echo "$*" >>"$CALLS"; case "$*" in *"wait node"*) exit 1;; esac; echo n1`+"\n")
	command := Command(t.Context(), shell, commands)
	command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+filepath.Join(dir, "calls"), "HOME="+dir)
	// What the shell says of the failure does not matter, only what it calls then.
	_ = command.Run()
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	return string(calls)
}

// callsOf are the programs that commands call, each with its arguments, in an
// order of their own: those of a pipe run at once.
func callsOf(t *testing.T, shell, commands string) string {
	t.Helper()
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	for _, name := range programs {
		// One write, so that those of a pipe do not mix.
		Fake(t, dir, name, `for a do all="$all [$a]"; done; echo "$(basename "$0")$all" >>"$CALLS"`+"\n")
	}
	command := Command(t.Context(), shell, "set -e\n"+commands)
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+calls, "HOME="+dir, "KUBECONFIG=/dev/null",
		"NODE=n", "NAMESPACE=ns", "POD=p", "BUDGET=b")
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\nby\n%s", err, out, commands)
	}
	text, err := os.ReadFile(calls)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	lines := slices.Sorted(strings.Lines(strings.ReplaceAll(string(text), dir, "/home/me")))
	return strings.Join(lines, "")
}

// TestYAMLInBlocks: kubectl up to 1.32 takes what begins with a brace for JSON.
func TestYAMLInBlocks(t *testing.T) {
	t.Parallel()
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "{apiVersion") {
			t.Errorf("%s has YAML that begins with a brace: write a line a key", path)
		}
	}
}

// TestBlocks: blocks are found with their names and languages.
func TestBlocks(t *testing.T) {
	t.Parallel()
	got := Blocks("a\n```\nb\n```\n<!-- test: c -->\n```sh\nd\ne\n```\n")
	want := []Block{{Commands: "b\n"}, {Name: "c", Language: "sh", Commands: "d\ne\n"}}
	if !slices.Equal(got, want) {
		t.Errorf("the blocks are %v, want %v", got, want)
	}
}
