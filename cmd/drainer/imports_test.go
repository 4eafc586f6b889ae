package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports say which of our packages each of our packages may import. They point
// one way.
var imports = map[string][]string{
	"cmd/drainer":       {"pkg/api", "pkg/config", "pkg/plan", "pkg/cli", "pkg/drain", "pkg/leader", "pkg/watcher", "pkg/metrics", "pkg/guard", "pkg/retryafter", "pkg/forecast", "pkg/simulate"},
	"pkg/cli":           {"pkg/api", "pkg/config", "pkg/plan", "pkg/simulate"},
	"pkg/config":        {"pkg/api", "pkg/plan"},
	"pkg/watcher":       {"pkg/api", "pkg/plan"},
	"pkg/metrics":       {"pkg/api", "pkg/plan"},
	"pkg/drain":         {"pkg/api", "pkg/plan"},
	"pkg/leader":        {},
	"pkg/guard":         {},
	"pkg/retryafter":    {},
	"pkg/forecast":      {"pkg/api", "pkg/plan", "pkg/sim"},
	"pkg/simulate":      {"pkg/api", "pkg/plan", "pkg/sim", "pkg/forecast"},
	"pkg/plan":          {"pkg/api"},
	"pkg/sim":           {},
	"pkg/sim/apiserver": {"pkg/sim"},
	"pkg/api":           {},
}

// TestImports: a package that is not named, or imports another than it may, is
// an error. Files of tests are free.
func TestImports(t *testing.T) {
	const module = "drainer.dev/drainer/"
	for _, root := range []string{"cmd", "pkg"} {
		err := filepath.WalkDir(filepath.Join("..", "..", root), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			folder, err := filepath.Rel(filepath.Join("..", ".."), filepath.Dir(path))
			if err != nil {
				return err
			}
			may, known := imports[filepath.ToSlash(folder)]
			if !known {
				t.Errorf("%s is in a package of which it is not known what it may import", path)
			}
			tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range tree.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if ours, isOurs := strings.CutPrefix(imported, module); isOurs && !slices.Contains(may, ours) {
					t.Errorf("%s imports %s", path, ours)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSizes: a function fits a screen, and a file can be read in one go.
func TestSizes(t *testing.T) {
	const mostFunction, mostFile = 40, 300
	files := 0
	for _, root := range []string{"cmd", "pkg"} {
		err := filepath.WalkDir(filepath.Join("..", "..", root), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			if n := set.File(tree.Pos()).LineCount(); n > mostFile {
				t.Errorf("%s has %d lines, at most %d are allowed: split it", path, n, mostFile)
			}
			for _, d := range tree.Decls {
				f, is := d.(*ast.FuncDecl)
				if !is {
					continue
				}
				if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > mostFunction {
					t.Errorf("%s: %s has %d lines, at most %d are allowed: split it", path, f.Name.Name, n, mostFunction)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("looked at %d files: where are the others?", files)
	}
}

// TestArchitecture: the page about the architecture names every file of the packages
// that decide and act, and no other.
func TestArchitecture(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct{ folder, from, to string }{
		{"plan", "Inside `pkg/plan`", "Inside `pkg/drain`"},
		{"drain", "Inside `pkg/drain`", "Rules that hold everything together"},
	} {
		_, text, _ := strings.Cut(string(page), part.from)
		text, _, found := strings.Cut(text, part.to)
		if !found {
			t.Fatalf("the page has no part from %q to %q", part.from, part.to)
		}
		named := map[string]bool{}
		for _, match := range regexp.MustCompile("`(\\w+\\.go)`").FindAllStringSubmatch(text, -1) {
			named[match[1]] = true
		}
		files, err := filepath.Glob("../../pkg/" + part.folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			file := filepath.Base(path)
			if strings.HasSuffix(file, "_test.go") || file == "doc.go" {
				continue
			}
			if !named[file] {
				t.Errorf("the page does not say what pkg/%s/%s is for", part.folder, file)
			}
			delete(named, file)
		}
		for file := range named {
			t.Errorf("the page names pkg/%s/%s, which does not exist", part.folder, file)
		}
	}
}

// TestTimeZones: the program includes the time zones for windows, because its
// image has none.
func TestTimeZones(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("listing the dependencies: %v", err)
	}
	if !slices.Contains(strings.Fields(string(out)), "time/tzdata") {
		t.Error("time/tzdata is not part of the program")
	}
}
