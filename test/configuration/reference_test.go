package configuration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"drainer.dev/drainer/pkg/config"
)

const root = "../.."

// TestCurrent: what is in the checkout is what the types say now.
func TestCurrent(t *testing.T) {
	files, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		if got, err := os.ReadFile(filepath.Join(root, path)); err != nil || string(got) != want {
			t.Errorf("%s is out of date (%v): run make configuration", path, err)
		}
	}
}

// TestExample: the example is valid, and sets every field.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, example))
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default("")
	file, err := config.Decode(example, text, c)
	if err != nil {
		t.Fatal(err)
	}
	if problems := c.Validate(); len(problems) > 0 {
		t.Error(problems.ToAggregate())
	}
	fields, err := fieldsIn(root)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	var check func([]Field)
	check = func(fields []Field) {
		for _, f := range fields {
			if seen++; !slices.ContainsFunc([]string{"[0]", "[1]", "[2]"}, func(i string) bool { return file.Sets(strings.ReplaceAll(f.Path, "[]", i)) }) {
				t.Errorf("the example does not set %s", f.Path)
			}
			if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s is described as %q: want sentences", f.Path, f.Doc)
			}
			check(f.Parts)
		}
	}
	check(fields)
	if seen < 30 {
		t.Errorf("only %d fields were checked", seen)
	}
}
