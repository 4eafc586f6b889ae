package release

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// imageContext are the files that a builder of the image gets to see.
func imageContext(t *testing.T) []string {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(sources(t), func(file string) bool {
		match, err := ignored.MatchesOrParentMatches(file)
		if err != nil {
			t.Fatal(err)
		}
		return match
	})
}

// TestImageContext: the builder sees all that the program is made of, and
// nothing that would make it build again without need.
func TestImageContext(t *testing.T) {
	context := imageContext(t)
	const format = `{{if .Module}}{{if .Module.Main}}{{$dir := .ImportPath}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}` +
		`{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`
	listed := run(t, checkout, nil, "go", "list", "-deps", "-f", format, "./cmd/drainer")
	needed := []string{"LICENSE", "Makefile", "go.mod", "go.sum"}
	for line := range strings.Lines(listed) {
		needed = append(needed, strings.TrimPrefix(strings.TrimSpace(line), "drainer.dev/drainer/"))
	}
	for _, file := range needed {
		if !slices.Contains(context, file) {
			t.Errorf(".dockerignore keeps %s from the image's builder", file)
		}
	}
	for _, file := range context {
		goes := strings.HasSuffix(file, ".go") && slices.Contains([]string{"cmd", "pkg"}, strings.Split(file, "/")[0])
		if strings.HasSuffix(file, "_test.go") || !goes && !slices.Contains(needed, file) {
			t.Errorf("%s goes to the image's builder and is not needed there (%s)", file, path.Dir(file))
		}
	}
}
