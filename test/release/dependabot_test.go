package release

import (
	"path"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDependabot: every module of this repository is kept up to date, except
// those of the local control plane.
func TestDependabot(t *testing.T) {
	var config struct {
		Updates []struct {
			Ecosystem   string   `yaml:"package-ecosystem"`
			Directories []string `yaml:"directories"`
		} `yaml:"updates"`
	}
	if err := yaml.Unmarshal([]byte(read(t, ".github/dependabot.yml")), &config); err != nil {
		t.Fatal(err)
	}
	var listed, ecosystems []string
	for _, u := range config.Updates {
		ecosystems = append(ecosystems, u.Ecosystem)
		listed = append(listed, u.Directories...)
	}
	var modules []string
	for _, file := range sources(t) {
		if path.Base(file) == "go.mod" && !strings.HasPrefix(file, "test/cluster/build/") {
			modules = append(modules, path.Clean("/"+path.Dir(file)))
		}
	}
	slices.Sort(modules)
	slices.Sort(listed)
	if !slices.Equal(listed, modules) {
		t.Errorf(".github/dependabot.yml lists the modules\n%v, there are\n%v", listed, modules)
	}
	for _, want := range []string{"gomod", "github-actions", "docker"} {
		if !slices.Contains(ecosystems, want) {
			t.Errorf(".github/dependabot.yml does not keep %s up to date", want)
		}
	}
}
