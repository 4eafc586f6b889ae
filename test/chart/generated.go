package chart

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Generated are the files that are made from the chart, by their path in the
// checkout.
func (c *Chart) Generated(ctx context.Context) (map[string]string, error) {
	schema, err := c.schema(ctx)
	if err != nil {
		return nil, err
	}
	readme, err := run(ctx, c.Dir(), nil, c.tools.HelmDocs(), "--dry-run", "--chart-search-root=.",
		"--sort-values-order=file", "--log-level=warning")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(readme, "`replicaCount`") {
		return nil, fmt.Errorf("helm-docs writes a README without values:\n%s", readme)
	}
	files, err := c.manifests(ctx)
	if err != nil {
		return nil, err
	}
	files["charts/drainer/values.schema.json"] = schema
	files["charts/drainer/README.md"] = readme
	return files, nil
}

// Write writes the generated files. The schema comes first: the others are
// rendered under it.
func (c *Chart) Write(ctx context.Context) error {
	schema, err := c.schema(ctx)
	if err != nil {
		return err
	}
	if err := c.write("charts/drainer/values.schema.json", schema); err != nil {
		return err
	}
	files, err := c.Generated(ctx)
	if err != nil {
		return err
	}
	for path, text := range files {
		if err := c.write(path, text); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chart) write(path, text string) error {
	if err := os.WriteFile(filepath.Join(c.Checkout, path), []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// schema is made into a file of its own: the program writes nothing else.
func (c *Chart) schema(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "drainer-schema-")
	if err != nil {
		return "", fmt.Errorf("making a folder for the schema: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "values.schema.json")
	_, err = run(ctx, c.Dir(), nil, c.tools.HelmSchema(), "--values=values.yaml", "--output="+path,
		"--draft=7", "--indent=2", "--use-helm-docs", "--schema-root.additional-properties=false")
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the schema: %w", err)
	}
	return string(text), nil
}

var (
	source    = regexp.MustCompile(`(?m)^# Source: drainer/templates/(.+)$`)
	helmLabel = regexp.MustCompile(`(?m)^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n`)
	checksum  = regexp.MustCompile(`(?m)^ *annotations:\n *checksum/config: .*\n`)
)

// configMap is the only template that deploy has another way: kustomize makes
// the ConfigMap from a file, under a name that follows from what is in it.
const configMap = "configmap.yaml"

// manifests are those of deploy: what the chart renders without any value,
// one file for a template, without what only Helm needs.
func (c *Chart) manifests(ctx context.Context) (map[string]string, error) {
	rendered, err := c.Template(ctx, Majors()[0], "--no-hooks")
	if err != nil {
		return nil, err
	}
	documents := map[string][]string{}
	for document := range strings.SplitSeq("\n"+rendered, "\n---\n") {
		match := source.FindStringSubmatch(document)
		if match == nil || match[1] == configMap {
			continue
		}
		text := document
		for _, only := range []*regexp.Regexp{source, helmLabel, checksum} {
			text = only.ReplaceAllString(text, "")
		}
		path := "deploy/" + match[1]
		documents[path] = append(documents[path], strings.TrimSpace(text)+"\n")
	}
	files := map[string]string{}
	for path, texts := range documents {
		files[path] = "# Made from charts/drainer by `make chart`; do not edit.\n" + strings.Join(texts, "---\n")
	}
	return files, nil
}
