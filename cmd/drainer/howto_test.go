package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"drainer.dev/drainer/pkg/config"
)

// TestHowToConfiguration: what the guides show of the configuration file is
// valid.
func TestHowToConfiguration(t *testing.T) {
	pages, err := filepath.Glob("../../docs/how-to/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("the guides are %v, %v", pages, err)
	}
	block := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$")
	checked := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range block.FindAllStringSubmatch(string(text), -1) {
			fields := strings.TrimPrefix(strings.ReplaceAll("\n"+match[2], "\n"+match[1], "\n"), "\n")
			if strings.HasPrefix(fields, "apiVersion:") {
				continue // It is of something else.
			}
			checked++
			name := filepath.Join(t.TempDir(), "drainer.yaml")
			file := "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n" + fields
			if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			c := command()
			c.SetArgs([]string{"config", "validate", name})
			c.SetOut(&strings.Builder{})
			if err := c.Execute(); err != nil {
				t.Errorf("%s shows\n%s\nof which drainer says %v", page, fields, err)
			}
		}
	}
	if checked < 2 {
		t.Errorf("only %d parts of a configuration file were found", checked)
	}
}
