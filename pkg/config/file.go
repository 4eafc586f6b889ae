package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// File is a configuration file that was read.
type File struct {
	name string
	// lines are where the fields are that the file sets, by path.
	lines map[string]int
}

// Sets is true if the file sets the field, or a part of it.
func (f *File) Sets(path string) bool {
	if f == nil {
		return false
	}
	_, sets := f.lines[path]
	return sets
}

// Place names the field's place for people, as FILE:LINE, or the file alone for
// a field that it does not set. Without a file it is the configuration.
func (f *File) Place(path string) string {
	if f == nil {
		return "the configuration"
	}
	if line, sets := f.lines[path]; sets {
		return fmt.Sprintf("%s:%d", f.name, line)
	}
	return f.name
}

// Decode reads a file, whose name is for messages, into a configuration, and
// leaves fields that the file does not set as they are. The error names every
// field that is unknown, set twice, or of a wrong type. Values are judged by
// Validate.
func Decode(name string, text []byte, into *DrainerConfiguration) (*File, error) {
	d := decoder{file: &File{name: name, lines: map[string]int{}}}
	root, err := document(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	into.APIVersion, into.Kind = "", ""
	d.decode(root, reflect.ValueOf(into).Elem(), nil)
	for _, known := range []struct{ path, got, want string }{{"apiVersion", into.APIVersion, APIVersion}, {"kind", into.Kind, Kind}} {
		if known.got != known.want {
			d.problem(field.NewPath(known.path), root, "%q: expected %s", known.got, known.want)
		}
	}
	return d.file, errors.Join(d.problems...)
}

// document is the one mapping that a file has to be.
func document(text []byte) (*yaml.Node, error) {
	var first, second yaml.Node
	stream := yaml.NewDecoder(bytes.NewReader(text))
	switch err := stream.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the file is empty: expected apiVersion: %s and kind: %s", APIVersion, Kind)
	case err != nil:
		return nil, err
	}
	if err := stream.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one YAML document: expected one")
	}
	root := first.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: expected fields, such as kind: %s", root.Line, Kind)
	}
	return root, nil
}

// decoder decodes a file and collects all that is wrong with it.
type decoder struct {
	file     *File
	problems []error
}

func (d *decoder) problem(path *field.Path, at *yaml.Node, format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf("%s:%d: %s: %s", d.file.name, at.Line, path, fmt.Sprintf(format, args...)))
}

func (d *decoder) decode(n *yaml.Node, into reflect.Value, path *field.Path) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	_, decodesItself := into.Addr().Interface().(json.Unmarshaler)
	switch {
	case decodesItself:
		d.decodeValue(n, into, path)
	case into.Kind() == reflect.Pointer:
		if into.IsNil() {
			into.Set(reflect.New(into.Type().Elem()))
		}
		d.decode(n, into.Elem(), path)
	case into.Kind() == reflect.Struct:
		d.decodeFields(n, into, path)
	case into.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		into.Set(reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content)))
		for i, element := range n.Content {
			d.decode(element, into.Index(i), path.Index(i))
		}
	default:
		d.decodeValue(n, into, path)
	}
}

// decodeFields decodes a mapping into a struct, field by field.
func (d *decoder) decodeFields(n *yaml.Node, into reflect.Value, path *field.Path) {
	if n.Kind != yaml.MappingNode {
		d.problem(path, n, "%q: expected the fields %s", n.Value, strings.Join(fieldNames(into.Type()), ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := path.Child(key.Value)
		target, known := fieldNamed(into, key.Value)
		switch line, twice := d.file.lines[at.String()]; {
		case !known:
			d.problem(at, key, "unknown field: expected one of %s", strings.Join(fieldNames(into.Type()), ", "))
		case twice:
			d.problem(at, key, "the field is already set in line %d", line)
		default:
			d.file.lines[at.String()] = key.Line
			d.decode(value, target, at)
		}
	}
}

// decodeValue decodes what has no fields of its own, by its type's rules for
// JSON.
func (d *decoder) decodeValue(n *yaml.Node, into reflect.Value, path *field.Path) {
	var value any
	err := n.Decode(&value)
	var text []byte
	if err == nil {
		text, err = json.Marshal(value)
	}
	if err == nil && value != nil {
		err = json.Unmarshal(text, into.Addr().Interface())
	}
	var mismatch *json.UnmarshalTypeError
	switch {
	case value == nil && err == nil:
		d.problem(path, n, "the value is missing: expected %s", nameOf(into.Type()))
	case errors.As(err, &mismatch):
		d.problem(path, n, "%s: expected %s", text, nameOf(into.Type()))
	case err != nil:
		d.problem(path, n, "%s: expected %s: %v", text, nameOf(into.Type()), err)
	}
}

// nameOf is what people call a type.
func nameOf(t reflect.Type) string {
	switch {
	case t.Name() == "Duration":
		return "a duration such as 90s"
	case t.Name() == "Time":
		return "an RFC 3339 time such as 2026-12-20T00:00:00Z"
	case t.Name() == "IntOrString":
		return "a number, or a share such as 10%"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map:
		return "a map of strings"
	default:
		return "a number"
	}
}

// fieldNamed finds a struct's field by its name in JSON.
func fieldNamed(of reflect.Value, name string) (reflect.Value, bool) {
	for i := range of.NumField() {
		switch tag, inline := jsonName(of.Type().Field(i)); {
		case inline:
			if found, is := fieldNamed(of.Field(i), name); is {
				return found, true
			}
		case tag == name:
			return of.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name, inline := jsonName(t.Field(i)); inline {
			names = append(names, fieldNames(t.Field(i).Type)...)
		} else {
			names = append(names, name)
		}
	}
	return slices.Sorted(slices.Values(names))
}

func jsonName(f reflect.StructField) (name string, inline bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, options == "inline"
}
