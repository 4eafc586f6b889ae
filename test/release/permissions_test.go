package release

import (
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestPermissions: docs/install.md explains every permission that deploy
// grants, and no other.
func TestPermissions(t *testing.T) {
	_, table, found := strings.Cut(read(t, "docs/install.md"), "| may | on | for |\n| --- | --- | --- |\n")
	if !found {
		t.Fatal("docs/install.md has no table of permissions")
	}
	var explained []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 {
			break
		}
		if len(strings.TrimSpace(cells[2])) < len("| so that it can") {
			t.Errorf("not explained: %s", line)
		}
		explained = append(explained, strings.TrimPrefix(cells[0], "| ")+" "+cells[1])
	}
	var granted []string
	for _, file := range sources(t) {
		if path.Dir(file) == "deploy" && path.Ext(file) == ".yaml" {
			granted = append(granted, permissions(t, file)...)
		}
	}
	slices.Sort(explained)
	slices.Sort(granted)
	if !slices.Equal(explained, granted) {
		t.Errorf("docs/install.md explains\n%s\ndeploy grants\n%s", strings.Join(explained, "\n"), strings.Join(granted, "\n"))
	}
}

// permissions are the rules of a manifest's roles, as the documentation has
// them.
func permissions(t *testing.T, file string) (granted []string) {
	t.Helper()
	documents := yaml.NewDecoder(strings.NewReader(read(t, file)))
	for {
		var role struct {
			Kind  string `yaml:"kind"`
			Rules []struct {
				Groups    []string `yaml:"apiGroups"`
				Resources []string `yaml:"resources"`
				Names     []string `yaml:"resourceNames"`
				Verbs     []string `yaml:"verbs"`
			} `yaml:"rules"`
		}
		if err := documents.Decode(&role); errors.Is(err, io.EOF) {
			return granted
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, rule := range role.Rules {
			for _, group := range rule.Groups {
				for _, resource := range rule.Resources {
					text := strings.Join(rule.Verbs, ", ") + " " + strings.TrimSuffix(resource+"."+group, ".")
					if len(rule.Names) > 0 {
						text += ", only `" + strings.Join(rule.Names, "`, `") + "`"
					}
					if role.Kind == "Role" {
						text += " (own namespace)"
					}
					granted = append(granted, text)
				}
			}
		}
	}
}
