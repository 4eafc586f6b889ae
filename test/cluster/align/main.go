// Command align lets the go.mod files of this repository require the same
// version of whatever two of them require, the highest that any needs. A
// package is then compiled once for all programs: Go's cache keeps it apart for
// each version of it and of everything that it imports.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// modules are the folders of the go.mod files that agree. Not those of older
// releases of Kubernetes, which cannot, nor that of gremlins, which would change
// what the local control plane is made of.
func modules() []string {
	return []string{
		".", "tools", "test/chart", "test/monitoring", "test/random", "test/release",
		"test/cluster/build/kubernetes", "test/cluster/build/kubelet", "test/cluster/build/chart", "test/cluster/build/prometheus",
	}
}

// apart are modules that no version of suits all who require them: a release
// candidate whose API still changes.
func apart() []string { return []string{"go.yaml.in/yaml/v4"} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "align:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// From within any folder of the checkout.
	out, err := goCommand(ctx, ".", "off", "list", "-m", "-f", "{{.Dir}}", "drainer.dev/drainer")
	if err != nil {
		return err
	}
	checkout := strings.TrimSpace(out)
	versions, err := selected(ctx, checkout)
	if err != nil {
		return err
	}
	for _, m := range modules() {
		if err := raise(ctx, filepath.Join(checkout, m), versions); err != nil {
			return err
		}
	}
	return nil
}

// selected are the versions that Go selects in a workspace of all modules.
func selected(ctx context.Context, checkout string) (map[string]string, error) {
	dir, err := os.MkdirTemp("", "align-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for go.work: %w", err)
	}
	defer os.RemoveAll(dir)
	workspace := filepath.Join(dir, "go.work")
	arguments := []string{"work", "init"}
	for _, m := range modules() {
		arguments = append(arguments, filepath.Join(checkout, m))
	}
	if _, err := goCommand(ctx, dir, workspace, arguments...); err != nil {
		return nil, err
	}
	out, err := goCommand(ctx, dir, workspace, "list", "-m", "-f", "{{if not .Main}}{{.Path}} {{.Version}}{{end}}", "all")
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for line := range strings.Lines(out) {
		if name, version, found := strings.Cut(strings.TrimSpace(line), " "); found {
			versions[name] = version
		}
	}
	return versions, nil
}

// raise writes the versions into a go.mod.
func raise(ctx context.Context, dir string, versions map[string]string) error {
	m, err := read(ctx, dir)
	if err != nil {
		return err
	}
	arguments := []string{"mod", "edit"}
	for _, r := range m.Require {
		// A version of zeros stands for what replaces it.
		zeros := r.Version == "v0.0.0" || strings.HasPrefix(r.Version, "v0.0.0-0001")
		if v := versions[r.Path]; v != "" && v != r.Version && !zeros && !slices.Contains(apart(), r.Path) {
			arguments = append(arguments, "-require="+r.Path+"@"+v)
		}
	}
	if len(arguments) == 2 {
		return nil
	}
	fmt.Printf("%s: %d versions\n", dir, len(arguments)-2)
	if _, err := goCommand(ctx, dir, "off", arguments...); err != nil {
		return err
	}
	_, err = goCommand(ctx, dir, "off", "mod", "tidy")
	return err
}

// goMod is what go mod edit -json says of a go.mod.
type goMod struct {
	Require []struct{ Path, Version string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

func read(ctx context.Context, dir string) (goMod, error) {
	var m goMod
	out, err := goCommand(ctx, dir, "off", "mod", "edit", "-json")
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		return m, fmt.Errorf("reading %s/go.mod: %w", dir, err)
	}
	return m, nil
}

// goCommand runs go in a folder, with a workspace.
func goCommand(ctx context.Context, dir, workspace string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK="+workspace)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w", strings.Join(arguments[:2], " "), dir, err)
	}
	return string(out), nil
}
