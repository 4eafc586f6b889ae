package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// listed is a package as `go list` describes it.
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	DepOnly         bool
}

// packagesFor are the packages of the program on a platform, each after those
// that it imports.
func packagesFor(t *testing.T, goos, goarch string) []listed {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,DepOnly", "./cmd/...", "./pkg/...")
	c.Dir, c.Stderr = filepath.Join("..", ".."), os.Stderr
	c.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// imported finds the packages that were checked before.
type imported struct {
	checked map[string]*types.Package
	mapped  map[string]string
}

// Import implements types.Importer.
func (i imported) Import(path string) (*types.Package, error) {
	if mapped, is := i.mapped[path]; is {
		path = mapped
	}
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if p := i.checked[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("package %s was not checked", path)
}

// check checks the types of the packages, as the compiler does, and returns the
// errors. Of packages of others only the declarations are checked.
func check(t *testing.T, packages []listed, goarch string) []error {
	t.Helper()
	var wrong []error
	files, checked := token.NewFileSet(), map[string]*types.Package{}
	for _, p := range packages {
		if p.ImportPath == "unsafe" {
			continue
		}
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		c := types.Config{
			Importer: imported{checked, p.ImportMap}, IgnoreFuncBodies: p.DepOnly, FakeImportC: true,
			Sizes: types.SizesFor("gc", goarch), Error: func(err error) { wrong = append(wrong, err) },
		}
		checked[p.ImportPath], _ = c.Check(p.ImportPath, files, parsed, nil)
	}
	return wrong
}

// TestPlatforms: the program, which is also the plugin, compiles for the platforms
// that people run kubectl on. The types are checked, which takes seconds: the
// release builds all of them.
func TestPlatforms(t *testing.T) {
	for _, platform := range []string{"darwin/arm64", "windows/amd64"} {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			goos, goarch, _ := strings.Cut(platform, "/")
			packages := packagesFor(t, goos, goarch)
			if len(packages) < 500 {
				t.Errorf("there are only %d packages", len(packages))
			}
			for _, err := range check(t, packages, goarch) {
				t.Error(err)
			}
		})
	}
}
