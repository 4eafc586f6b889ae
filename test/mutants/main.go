// Command mutants deletes one guard of the daemon at a time and expects a test
// to fail: a guard whose deletion makes no test fail has no test. With -planted
// it plants bugs, and expects the random tests to find each by an invariant. It
// changes no file: the Go command compiles the changed text as an overlay.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "run the mutants whose name contains this")
	plant := flag.Bool("planted", false, "plant bugs instead, and expect the random tests to find them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	act := run
	if *plant {
		act = find
	}
	if err := act(ctx, *only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) error {
	var survivors []string
	killed := 0
	for _, m := range mutants() {
		if !strings.Contains(m.name, only) {
			continue
		}
		begun := time.Now()
		test, err := m.kill(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if test == "" {
			survivors = append(survivors, m.name)
			fmt.Printf("SURVIVED %s\n", m.name)
			continue
		}
		killed++
		fmt.Printf("killed   %s, by %s in %s\n", m.name, test, time.Since(begun).Round(time.Second))
	}
	fmt.Printf("%d mutants killed, %d survived\n", killed, len(survivors))
	if len(survivors) > 0 {
		return fmt.Errorf("no test notices: %s", strings.Join(survivors, "; "))
	}
	return nil
}

// kill runs the tests of the mutant's package, and then those of the others
// that see it, until one fails. It returns the name of that test, empty if there
// is none.
func (m mutant) kill(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir)
	if err != nil {
		return "", err
	}
	for _, pkg := range []string{"./" + filepath.Dir(m.file), "./pkg/plan", "./pkg/drain"} {
		test, err := failing(ctx, overlay, pkg)
		if test != "" || err != nil {
			return test, err
		}
	}
	return "", nil
}

// overlay writes the changed file, and what tells the Go command of it.
func (m mutant) overlay(dir string) (string, error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", fmt.Errorf("reading what to change: %w", err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%s has %q %d times, want once: change the table of mutants with the code", m.file, m.old, n)
	}
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return "", fmt.Errorf("writing the mutant: %w", err)
	}
	whole, err := filepath.Abs(m.file)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", m.file, err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{whole: changed}})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, replace, 0o600)
}

// failing is the first test of the package that fails with the overlay. A hang
// counts as a failure.
func failing(ctx context.Context, overlay, pkg string) (string, error) {
	text, err := test(ctx, ".", "-overlay", overlay, "-failfast", "-timeout=3m", pkg)
	if err != nil || text == "" {
		return "", err
	}
	for line := range strings.Lines(text) {
		if name, failed := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); failed {
			return strings.Fields(name)[0], nil
		}
	}
	if strings.Contains(text, "panic: test timed out") {
		return "a test that hangs", nil
	}
	return "", fmt.Errorf("go test %s fails without a failing test: the mutant does not compile?\n%s", pkg, text)
}

// test runs go test in a folder. It returns what that prints if it fails, and
// nothing otherwise.
func test(ctx context.Context, dir string, args ...string) (string, error) {
	var out bytes.Buffer
	command := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
	command.Dir, command.Stdout, command.Stderr = dir, &out, &out
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case !errors.As(err, &exit):
		return "", fmt.Errorf("running go test: %w", err)
	}
	return out.String(), nil
}
