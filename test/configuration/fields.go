package configuration

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/plan"
)

// kindOf is what a value is: for people and, as the rest, for a schema.
type kindOf struct {
	name   string
	schema map[string]any
}

// Field is one field of the file.
type Field struct {
	// Path is from the root, with [] after a list, Doc the comment without the
	// field's name; Parts are the fields of one that has some, or of each element.
	Name, Path, Doc string
	Parts           []Field
	kind            kindOf
	fallback        string
}

// choices are the values of types that have few.
var choices = map[reflect.Type][]string{
	reflect.TypeFor[plan.BarePods]():            {string(plan.BlockBarePods), string(plan.EvictBarePods), string(plan.IgnoreBarePods)},
	reflect.TypeFor[plan.EmptyDir]():            {string(plan.EvictEmptyDir), string(plan.BlockEmptyDir)},
	reflect.TypeFor[plan.Action]():              {string(plan.EvictPod), string(plan.IgnorePod), string(plan.AwaitPod), string(plan.BlockPod)},
	reflect.TypeFor[plan.BudgetMatch]():         {string(plan.NoBudget), string(plan.NeverAllowingBudget)},
	reflect.TypeFor[config.AtEnd]():             {string(config.Finish), string(config.Pause)},
	reflect.TypeFor[config.UnreachableAction](): {string(config.WaitForNode), string(config.IgnorePods)},
	reflect.TypeFor[config.MarkRelease]():       {string(config.ReleaseNever), string(config.ReleaseWhenCleared)},
	reflect.TypeFor[config.MarkStart]():         {string(config.StartAtOnce), string(config.StartPaused)},
	reflect.TypeFor[api.OnTimeout]():            {string(api.Wait), string(api.Stop), string(api.Release), string(api.Delete)},
}

// embedded describes what the types of k8s.io/component-base mean for drainer.
var embedded = map[string]string{
	"clientConnection.kubeconfig":         "kubeconfig file; without it $KUBECONFIG, ~/.kube/config, or the service account of the pod.",
	"clientConnection.acceptContentTypes": "the media types that drainer asks the API server for; protobuf, then JSON, if empty.",
	"clientConnection.contentType":        "the media type of what drainer sends, but for evictions; protobuf if empty.",
	"clientConnection.qps":                "requests per second; 0 for no limit.",
	"clientConnection.burst":              "requests that may be sent at once, where qps limits them.",
	"leaderElection.leaderElect":          "act only while holding the lease; needed for more than one replica.",
	"leaderElection.leaseDuration":        "how long the other replicas wait for a leader that does not renew the lease.",
	"leaderElection.renewDeadline":        "how long the leader acts after it last renewed the lease; less than leaseDuration, and more than 1.2 times retryPeriod.",
	"leaderElection.retryPeriod":          "how often a replica tries to get or renew the lease.",
	"leaderElection.resourceLock":         "leases; there is no other kind of lock.",
	"leaderElection.resourceName":         "name of the Lease.",
	"leaderElection.resourceNamespace":    "namespace of the Lease; without the field that of the pod, or drainer outside of a pod. An empty value is rejected.",
}

// reader reads the comments of drainer's own types.
type reader struct {
	// comments are those of fields, by type and name in Go.
	comments map[string]string
}

// fieldsOf are the fields of a struct whose defaults are in value.
func (r *reader) fieldsOf(value reflect.Value, parent string) ([]Field, error) {
	var fields []Field
	for i := range value.NumField() {
		f := value.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options == "inline" {
			continue // apiVersion and kind: the page says what they are.
		}
		field := Field{Name: name, Path: strings.TrimPrefix(parent+"."+name, "."), kind: kind(f.Type)}
		if field.Doc = embedded[field.Path]; field.Doc == "" {
			field.Doc = r.comment(value.Type(), f.Name)
		}
		var err error
		switch {
		case field.kind.name == list:
			field.Parts, err = r.fieldsOf(reflect.Zero(f.Type.Elem()), field.Path+"[]")
		case field.kind.name == "":
			field.Parts, err = r.fieldsOf(value.Field(i), field.Path)
		default:
			field.fallback, err = textOf(value.Field(i))
		}
		if err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	return fields, nil
}

func textOf(v reflect.Value) (string, error) {
	text, err := json.Marshal(v.Interface())
	if err != nil {
		return "", fmt.Errorf("writing a default: %w", err)
	}
	switch s := strings.Trim(string(text), `"`); s {
	case "", "null":
		return "", nil
	default:
		return s, nil
	}
}

// list is what a list of structs is called.
const list = "list"

// kind is what a value of the type is; its name is empty for a struct whose
// fields are listed.
func kind(t reflect.Type) kindOf {
	if values := choices[t]; values != nil {
		last := len(values) - 1
		return kindOf{strings.Join(values[:last], ", ") + " or " + values[last], map[string]any{"enum": values}}
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Name() {
	case "Duration":
		return kindOf{"duration", map[string]any{"type": "string", "format": "duration"}}
	case "IntOrString":
		return kindOf{"number or share", map[string]any{"type": []string{"integer", "string"}}}
	case "Time":
		return kindOf{"time", map[string]any{"type": "string", "format": "date-time"}}
	case "LabelSelector":
		return kindOf{"LabelSelector", map[string]any{"type": "object"}}
	}
	if t == reflect.TypeFor[map[string]string]() {
		return kindOf{"mapping of texts", map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}}
	}
	if t == reflect.TypeFor[[]string]() {
		return kindOf{"list of texts", map[string]any{"type": "array", "items": map[string]any{"type": "string"}}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return kindOf{}
	case reflect.Slice:
		return kindOf{list, map[string]any{"type": "array"}}
	case reflect.Bool:
		return kindOf{"true or false", map[string]any{"type": "boolean"}}
	case reflect.Int, reflect.Int32:
		return kindOf{"whole number", map[string]any{"type": "integer"}}
	case reflect.Float32, reflect.Float64:
		return kindOf{"number", map[string]any{"type": "number"}}
	default:
		return kindOf{"text", map[string]any{"type": "string"}}
	}
}

// comment is the comment of a struct's field in one line, without the name at
// its beginning; empty if it has none.
func (r *reader) comment(t reflect.Type, name string) string {
	_, text, _ := strings.Cut(strings.Join(strings.Fields(r.comments[t.Name()+"."+name]), " "), " ")
	return strings.TrimPrefix(text, "is ")
}

// newReader reads the comments of all fields in some files.
func newReader(files ...string) (*reader, error) {
	r := &reader{comments: map[string]string{}}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("reading the types: %w", err)
		}
		r.read(tree)
	}
	return r, nil
}

func (r *reader) read(tree *ast.File) {
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, isType := n.(*ast.TypeSpec)
		if !isType {
			return true
		}
		if s, isStruct := spec.Type.(*ast.StructType); isStruct {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					r.comments[spec.Name.Name+"."+name.Name] = f.Doc.Text()
				}
			}
		}
		return false
	})
}
