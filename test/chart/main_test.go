package chart

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/shells"
	"drainer.dev/drainer/test/suite"
)

// shared is what all tests share.
var shared struct {
	chart *Chart
	// helms are the major versions of Helm that the tests run.
	helms []string
	// Stage has what the chart installs, and where; see onCluster.
	*daemon.Stage
	// staged is closed when Stage is made, or err says why it is not.
	staged chan struct{}
	err    error
}

// helms chooses the versions of Helm: the newest alone takes half as long.
var helms = flag.String("helm", Majors()[0], "major versions of Helm to test with, of "+strings.Join(Majors(), ","))

// chosenHelms reads the flag, and says what is left out.
func chosenHelms() ([]string, error) {
	chosen := strings.Split(*helms, ",")
	for _, major := range chosen {
		if !slices.Contains(Majors(), major) {
			return nil, fmt.Errorf("-helm=%s: expected one or more of %s", *helms, strings.Join(Majors(), ","))
		}
	}
	if chosen[0] != Majors()[0] {
		return nil, fmt.Errorf("-helm=%s: expected %s to be the first, which most tests use", *helms, Majors()[0])
	}
	for _, major := range Majors() {
		if !slices.Contains(chosen, major) {
			fmt.Fprintf(os.Stderr, "NOT TESTED with Helm %s: -helm=%s, or make test-all, does\n", major, strings.Join(Majors(), ","))
		}
	}
	return chosen, nil
}

func TestMain(m *testing.M) {
	shells.Report()
	suite.Main(m, "chart", prepare, end)
}

// prepare starts the cluster while the first tests run, which need none.
func prepare(ctx context.Context, dir string) (err error) {
	if shared.helms, err = chosenHelms(); err != nil {
		return err
	}
	if shared.chart, err = Open(ctx, os.Stderr, shared.helms...); err != nil {
		return err
	}
	shared.staged = make(chan struct{})
	go func() {
		defer close(shared.staged)
		if shared.Stage, shared.err = daemon.NewStage(ctx, dir, os.Stderr); shared.err == nil {
			shared.err = furnish(ctx)
		}
	}()
	return nil
}

func end() error {
	if shared.staged == nil {
		return nil
	}
	<-shared.staged
	return shared.Stop()
}

// onCluster is for a test that needs the cluster, or drainer.
func onCluster(t *testing.T) {
	t.Helper()
	suite.Receive(t, "the cluster runs", shared.staged)
	if shared.err != nil {
		t.Fatal(shared.err)
	}
}

// objects are what was rendered, in its order.
type objects []*unstructured.Unstructured

// parse reads YAML documents.
func parse(t *testing.T, text string) objects {
	t.Helper()
	var all objects
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		var content map[string]any
		if err := yaml.UnmarshalStrict([]byte(document+"\n"), &content); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(content) > 0 {
			all = append(all, &unstructured.Unstructured{Object: content})
		}
	}
	return all
}

// find is the only object of the kind with that end of its name.
func (all objects) find(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	var found objects
	for _, o := range all {
		if o.GetKind() == kind && strings.HasSuffix(o.GetName(), name) {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of kind %s named …%s, want 1; there are %s", len(found), kind, name, all.names())
	}
	return found[0]
}

func (all objects) count(kind string) int {
	n := 0
	for _, o := range all {
		if o.GetKind() == kind {
			n++
		}
	}
	return n
}

// names are what tells the objects apart.
func (all objects) names() []string {
	var names []string
	for _, o := range all {
		names = append(names, nameOf(o))
	}
	return names
}

func nameOf(o *unstructured.Unstructured) string {
	return strings.Join([]string{o.GetKind(), o.GetNamespace(), o.GetName()}, "/")
}

// render renders the chart with values as YAML.
func render(t *testing.T, values string) objects {
	t.Helper()
	return parse(t, rendered(t, Majors()[0], values))
}

func rendered(t *testing.T, major, values string) string {
	t.Helper()
	out, err := shared.chart.Template(suite.Context(t), major, "--values="+valuesFile(t, values))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func valuesFile(t *testing.T, values string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// at is what an object has at a path of names and indexes, nil if nothing.
func at(o *unstructured.Unstructured, path ...any) any {
	var here any = o.Object
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := here.(map[string]any)
			here = m[s]
		case int:
			list, _ := here.([]any)
			if s >= len(list) {
				return nil
			}
			here = list[s]
		}
	}
	return here
}

// ciFiles are the files of values that come with the chart, by their name.
func ciFiles(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(shared.chart.Dir(), "ci", "*-values.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("the chart has no ci/*-values.yaml: %v", err)
	}
	files := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), "-values.yaml")] = string(text)
	}
	return files
}
