package configuration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"drainer.dev/drainer/pkg/config"
)

// The files, by their path in the checkout.
const (
	example = "docs/configuration.yaml"
	page    = "docs/configuration.md"
	schema  = "docs/configuration.schema.json"
)

// Files are the generated files, by their path in the checkout whose root is
// given.
func Files(root string) (map[string]string, error) {
	fields, err := fieldsIn(root)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, example))
	if err != nil {
		return nil, fmt.Errorf("reading the example: %w", err)
	}
	schemaText, err := schemaOf(fields)
	if err != nil {
		return nil, err
	}
	return map[string]string{page: pageOf(fields, string(text)), schema: schemaText}, nil
}

// fieldsIn are all fields of the file, as the checkout's comments say.
func fieldsIn(root string) ([]Field, error) {
	r, err := newReader(filepath.Join(root, "pkg/config/types.go"), filepath.Join(root, "pkg/config/rules.go"), filepath.Join(root, "pkg/config/presets.go"),
		filepath.Join(root, "pkg/config/requests.go"))
	if err != nil {
		return nil, err
	}
	// The namespace is that of the pod.
	return r.fieldsOf(reflect.ValueOf(config.Default("")).Elem(), "")
}

const preface = `# Configuration file

drainer reads a file with ` + "`--config`" + `, which is optional: every field has a default, except those of list entries that are marked
required. [Flags](reference/flags.md) set the simple fields. A field that the file sets may not be set by its flag, too.

To check a file, which reports every mistake with its field and line, and to print the configuration that drainer would use, with all defaults:

` + "```" + `
drainer config validate drainer.yaml
drainer config print --config drainer.yaml --v=2
` + "```" + `

The file is decoded strictly: a field that is unknown, set twice, or of a wrong type is an error, and drainer does not start.
It is read once, when drainer starts. To change the configuration, start a new process: a restart loses nothing, and all
drains continue.

The Helm chart writes its values under ` + "`drain` and `eviction`" + ` to the file, and every other field that you set under
` + "`config`" + `. A change replaces the pods one at a time: if drainer refuses the file, the new pod fails and says why, and the
old ones keep working. With kustomize, [an overlay](install.md#with-kustomize) provides the file.

An editor that knows JSON schemas checks the file while you write it, with [configuration.schema.json](configuration.schema.json).

## Example

It sets every field; leave out what you do not need.

` + "```yaml\n%s```" + `

## Fields

Durations are written as in Go, such as ` + "`90s` or `1h30m`" + `.

| field | | default | |
| --- | --- | --- | --- |
`

func pageOf(fields []Field, example string) string {
	var b strings.Builder
	fmt.Fprintf(&b, preface, example)
	rows(&b, fields)
	return b.String()
}

func rows(b *strings.Builder, fields []Field) {
	for _, f := range fields {
		fallback := ""
		if f.fallback != "" {
			fallback = "`" + f.fallback + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Path, f.kind.name, fallback, strings.ReplaceAll(f.Doc, "|", `\|`))
		rows(b, f.Parts)
	}
}

func schemaOf(fields []Field) (string, error) {
	root := object(fields)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = config.Kind
	properties := root["properties"].(map[string]any)
	properties["apiVersion"] = map[string]any{"const": config.APIVersion}
	properties["kind"] = map[string]any{"const": config.Kind}
	root["required"] = []string{"apiVersion", "kind"}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing the schema: %w", err)
	}
	return string(text) + "\n", nil
}

// object is the schema of a mapping with these fields and no others.
func object(fields []Field) map[string]any {
	properties := map[string]any{}
	for _, f := range fields {
		one := map[string]any{"description": f.Doc}
		for key, value := range f.kind.schema {
			one[key] = value
		}
		if f.kind.name == list {
			one["items"] = object(f.Parts)
		} else if len(f.Parts) > 0 {
			for key, value := range object(f.Parts) {
				one[key] = value
			}
		}
		properties[f.Name] = one
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}
