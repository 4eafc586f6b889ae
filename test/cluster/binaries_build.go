package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// group is programs that one run of go build makes, so that what they share is
// compiled once and what they do not share is compiled side by side.
type group []binary

// groups puts programs together that come from the same module with the same
// tags. Two that go build would give the same name are built apart.
func groups(all []binary) []group {
	var found []group
	for _, b := range all {
		i := slices.IndexFunc(found, func(g group) bool {
			return g[0].module == b.module && g[0].tags == b.tags &&
				!slices.ContainsFunc(g, func(other binary) bool { return other.output() == b.output() })
		})
		if i < 0 {
			found = append(found, group{b})
			continue
		}
		found[i] = append(found[i], b)
	}
	return found
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// output is the name that go build gives the program.
func (b binary) output() string {
	dir, name := path.Split(b.pkg)
	if majorVersion.MatchString(name) {
		return path.Base(dir)
	}
	return name
}

func (g group) names() string {
	names := make([]string, len(g))
	for i, b := range g {
		names[i] = b.name
	}
	return strings.Join(names, ", ")
}

func (g group) packages() []string {
	packages := make([]string, len(g))
	for i, b := range g {
		packages[i] = b.pkg
	}
	return packages
}

func (g group) ldflags() string {
	flags := []string{"-s -w"}
	for _, b := range g {
		if b.ldflags != "" && !slices.Contains(flags, b.ldflags) {
			flags = append(flags, b.ldflags)
		}
	}
	return strings.Join(flags, " ")
}

// buildEnvironment leaves Go's settings as the user has them. What go run, go
// test, go vet and an editor compile is then found in Go's cache, and what is
// compiled here is found by them: another CGO_ENABLED, or -trimpath, means
// another place there for each package, the standard library included. Only
// the compiler's garbage is collected less often, for which it takes 6 % less
// processor time, and at most a third more memory.
func buildEnvironment() []string {
	environment := append(os.Environ(), "GOWORK=off")
	if os.Getenv("GOGC") == "" {
		environment = append(environment, "GOGC=400")
	}
	return environment
}

// build builds the programs into the folder. Each appears there whole or not
// at all.
func (g group) build(ctx context.Context, build, dir string, progress io.Writer) error {
	part := filepath.Join(dir, ".part")
	if err := os.RemoveAll(part); err != nil {
		return fmt.Errorf("removing what a build that was stopped has left: %w", err)
	}
	defer os.RemoveAll(part)
	module := filepath.Join(build, g[0].module)
	count, err := startCount(ctx, module, g, progress)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "go", append([]string{
		"build", "-v", "-buildvcs=false", "-ldflags", g.ldflags(), "-tags", g[0].tags, "-o", part + "/",
	}, g.packages()...)...)
	command.Dir, command.Env = module, buildEnvironment()
	command.Stdout, command.Stderr = count, count
	err = command.Run()
	output := count.stop()
	if err != nil {
		return fmt.Errorf("building %s: %w\n%s", g.names(), err, output)
	}
	for _, b := range g {
		if err := os.Rename(filepath.Join(part, b.output()), filepath.Join(dir, b.name)); err != nil {
			return fmt.Errorf("keeping %s: %w", b.name, err)
		}
	}
	count.say("built %s in %s", g.names(), time.Since(count.begun).Round(time.Second))
	return nil
}

// module is a module in Go's cache.
type module struct{ Dir, Sum string }

// downloaded runs go mod download -json for one module.
func downloaded(command *exec.Cmd) (module, error) {
	var trouble bytes.Buffer
	command.Stderr = &trouble
	out, err := command.Output()
	name := command.Args[len(command.Args)-1]
	if err != nil {
		return module{}, fmt.Errorf("downloading %s: %w\n%s%s", name, err, out, trouble.Bytes())
	}
	var m module
	if err := json.Unmarshal(out, &m); err != nil {
		return module{}, fmt.Errorf("downloading %s: %w", name, err)
	}
	return m, nil
}
