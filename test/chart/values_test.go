package chart

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/test/suite"
)

// defaults are values.yaml.
func defaults(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.chart.Dir(), "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

type node struct {
	Type                 any
	Description          string
	Properties           map[string]*node
	AdditionalProperties any
	Items                *node
}

func valuesSchema(t *testing.T) *node {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.chart.Dir(), "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	root := new(node)
	if err := json.Unmarshal(text, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// group is true for an object of whose keys all are known.
func (n *node) group() bool { return n.AdditionalProperties == false }

// leaves are the paths of what can be set as one.
func leaves(values map[string]any, schema *node) [][]string {
	var all [][]string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		child := schema.Properties[key]
		if m, ok := values[key].(map[string]any); ok && child != nil && child.group() {
			for _, path := range leaves(m, child) {
				all = append(all, append([]string{key}, path...))
			}
			continue
		}
		all = append(all, []string{key})
	}
	return all
}

// TestSchema: the schema has just the values of values.yaml, each with a type
// and a description, and lets nothing else through.
func TestSchema(t *testing.T) {
	t.Parallel()
	root, values := valuesSchema(t), defaults(t)
	delete(root.Properties, "global")
	if !root.group() {
		t.Error("the schema lets values through that do not exist")
	}
	for _, path := range leaves(values, root) {
		here := root
		for _, key := range path {
			if here = here.Properties[key]; here == nil {
				t.Fatalf("the schema does not have %s", strings.Join(path, "."))
			}
		}
		if here.Description == "" || here.Type == nil {
			t.Errorf("%s has type %v and description %q in the schema", strings.Join(path, "."), here.Type, here.Description)
		}
		if here.Type == "object" && here.AdditionalProperties == nil {
			t.Errorf("%s does not say what else it may have", strings.Join(path, "."))
		}
	}
	checkKeys(t, "", root, values)
}

func checkKeys(t *testing.T, path string, schema *node, values map[string]any) {
	t.Helper()
	for key, child := range schema.Properties {
		value, ok := values[key]
		if !ok {
			t.Errorf("the schema has %s%s, values.yaml has not", path, key)
			continue
		}
		if m, ok := value.(map[string]any); ok && child.group() {
			checkKeys(t, path+key+".", child, m)
		}
	}
}

// elsewhere are the values that change nothing of what is rendered, and the
// tests that show what they do.
var elsewhere = map[string]string{"enabled": "TestParentChart", "checkKubeVersion": "TestKubeVersion"}

// TestEveryValue: every value of values.yaml is another one in a file of ci,
// and to set it back there changes what is rendered.
func TestEveryValue(t *testing.T) {
	t.Parallel()
	own := defaults(t)
	files := ciFiles(t)
	baseline := map[string]string{}
	complete := map[string]map[string]any{}
	for name, text := range files {
		baseline[name] = rendered(t, Majors()[0], text)
		changes := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(text), &changes); err != nil {
			t.Fatal(err)
		}
		complete[name] = overlay(own, changes)
	}
	for _, path := range leaves(own, valuesSchema(t)) {
		if elsewhere[path[0]] != "" {
			continue
		}
		t.Run(strings.Join(path, "."), func(t *testing.T) {
			t.Parallel()
			changed := false
			for name := range files {
				values := complete[name]
				if reflect.DeepEqual(value(values, path), value(own, path)) {
					continue
				}
				changed = true
				text, err := yaml.Marshal(setBack(values, own, path))
				if err != nil {
					t.Fatal(err)
				}
				out, err := shared.chart.Template(suite.Context(t), Majors()[0], "--values="+valuesFile(t, string(text)))
				// What is refused by a template is used by it, too.
				if err != nil || out != baseline[name] {
					return
				}
			}
			if !changed {
				t.Fatal("no file of ci has another value")
			}
			t.Error("no template uses it")
		})
	}
}

// overlay is what Helm makes of the values of a chart and of a user.
func overlay(own, changes map[string]any) map[string]any {
	all := maps.Clone(own)
	for key, change := range changes {
		below, isMap := change.(map[string]any)
		ours, wasMap := own[key].(map[string]any)
		switch {
		case change == nil:
			// Helm takes the chart's own away when it is told null.
			all[key] = nil
		case isMap && wasMap:
			all[key] = overlay(ours, below)
		default:
			all[key] = change
		}
	}
	return all
}

func value(values map[string]any, path []string) any {
	for _, key := range path[:len(path)-1] {
		values, _ = values[key].(map[string]any)
	}
	return values[path[len(path)-1]]
}

// setBack is a copy of the values with one from the chart's own.
func setBack(values, own map[string]any, path []string) map[string]any {
	all := maps.Clone(values)
	if len(path) == 1 {
		all[path[0]] = own[path[0]]
		return all
	}
	below, _ := values[path[0]].(map[string]any)
	ours, _ := own[path[0]].(map[string]any)
	all[path[0]] = setBack(below, ours, path[1:])
	return all
}
