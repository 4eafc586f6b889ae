// Package shells runs the commands of the documentation as if they were pasted
// into a terminal, in each shell that people may use.
package shells

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// arguments lets a shell read commands from its standard input, without files
// of the user's. Only an interactive zsh takes a # for a word, as it does in a
// terminal.
var arguments = map[string][]string{
	"bash": {"--norc", "-s"},
	"dash": {"-s"},
	"zsh":  {"-f", "-i", "+o", "prompt_sp", "-s"},
}

// Names are the shells in which the commands must work.
func Names() []string { return []string{"bash", "dash", "zsh"} }

// Each runs a test with each shell. One that is not installed is skipped, which
// Report tells, and fails the test where CI is true.
func Each(t *testing.T, test func(t *testing.T, shell string)) {
	t.Helper()
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			if err := installed(name); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("%v, and CI is true", err)
				}
				t.Skip(err)
			}
			test(t, name)
		})
	}
}

func installed(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("NOT TESTED with %s: %w", name, err)
	}
	return nil
}

// Report says on standard error what Each skips, which go test does not.
func Report() {
	for _, name := range Names() {
		if err := installed(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// Command pastes the commands into the shell. Its exit status is that of the
// last one.
func Command(ctx context.Context, shell, commands string) *exec.Cmd {
	command := exec.CommandContext(ctx, shell, arguments[shell]...)
	command.Stdin = strings.NewReader(commands)
	return command
}

// Blocks are the commands in a text in Markdown, one a block, and the names that
// the text gives to some: <!-- test: NAME --> on the line before.
func Blocks(markdown string) []Block {
	var blocks []Block
	var name string
	var open *Block
	for line := range strings.Lines(markdown) {
		text := strings.TrimSpace(line)
		switch {
		case open != nil && text == "```":
			blocks = append(blocks, *open)
			open, name = nil, ""
		case open != nil:
			open.Commands += line
		case strings.HasPrefix(text, "```"):
			open = &Block{Name: name, Language: strings.TrimPrefix(text, "```")}
		case strings.HasPrefix(text, "<!-- test: "):
			name = strings.TrimSuffix(strings.TrimPrefix(text, "<!-- test: "), " -->")
		}
	}
	return blocks
}

// Block is a block of code.
type Block struct {
	Name, Language, Commands string
}

// Documented are the commands that a file of the documentation has under that name.
func Documented(t testing.TB, path, name string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range Blocks(string(text)) {
		if block.Name == name {
			return block.Commands
		}
	}
	t.Fatalf("%s has no block of commands that is named %q", path, name)
	return ""
}

// Fake writes a program of that name, which is a script of sh, into the folder.
func Fake(t testing.TB, dir, name, script string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}
