package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ChartTools is the folder of the programs that install, render and document
// the Helm chart.
type ChartTools struct{ dir string }

// Helm is the path of Helm of a major version, v4 or v3.
func (c ChartTools) Helm(major string) string {
	return filepath.Join(c.dir, "helm"+strings.TrimPrefix(major, "v"))
}

// HelmDocs is the path of the program that writes the chart's README.
func (c ChartTools) HelmDocs() string { return filepath.Join(c.dir, "helm-docs") }

// HelmSchema is the path of the program that writes the chart's schema.
func (c ChartTools) HelmSchema() string { return filepath.Join(c.dir, "helm-schema") }

// HelmHome is a folder for what Helm keeps between two runs.
func (c ChartTools) HelmHome() string { return filepath.Join(c.dir, "helm-home") }

// CRDs are the files of the CustomResourceDefinitions of what the chart makes
// for the operators of Prometheus and Grafana.
func (c ChartTools) CRDs() []string {
	files := []string{filepath.Join(c.dir, grafanaFile)}
	for _, kind := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		files = append(files, filepath.Join(c.dir, monitoringFolder, "monitoring.coreos.com_"+kind+".yaml"))
	}
	return files
}

const (
	controllerGen    = "controller-gen"
	monitoringFolder = "monitoring-crds"

	// The Grafana operator's module cannot be built from what is public, but
	// has the definition as a file. Its sum stands here, because no go.sum can
	// have it.
	grafanaModule = "github.com/grafana/grafana-operator/v5@v5.24.0"
	grafanaSum    = "h1:7NvVn7J7hknBBWte99giWEK4TV5qYfZdvDIW8WeU3oU="
	grafanaFile   = "grafana-dashboard-v5.24.0.yaml"
)

// HelmMajors are the major versions of Helm that there are.
func HelmMajors() []string { return []string{"v4", "v3"} }

func chartTools() []binary {
	minor, _, _ := strings.Cut(strings.TrimPrefix(KubernetesVersion, "v1."), ".")
	const module, helm3 = "chart", "-X helm.sh/helm/v3/"
	return []binary{
		{
			name: "helm4", module: module, pkg: "helm.sh/helm/v4/cmd/helm",
			ldflags: "-X helm.sh/helm/v4/internal/version.version=" + Helm4Version,
		},
		{
			name: "helm3", module: module, pkg: "helm.sh/helm/v3/cmd/helm",
			// Helm's own releases say, too, for which Kubernetes they render.
			ldflags: helm3 + "internal/version.version=" + Helm3Version + " " +
				helm3 + "pkg/chartutil.k8sVersionMajor=1 " + helm3 + "pkg/chartutil.k8sVersionMinor=" + minor,
		},
		{name: "helm-docs", module: module, pkg: "github.com/norwoodj/helm-docs/cmd/helm-docs"},
		{name: "helm-schema", module: module, pkg: "github.com/losisin/helm-values-schema-json/v2"},
		{name: controllerGen, module: module, pkg: "sigs.k8s.io/controller-tools/cmd/controller-gen"},
	}
}

// BuildChartTools builds those that are missing, in the way of Binaries. Of
// Helm it builds the major versions that are named.
func BuildChartTools(ctx context.Context, progress io.Writer, helms ...string) (ChartTools, error) {
	var without []string
	for _, major := range HelmMajors() {
		if !slices.Contains(helms, major) {
			without = append(without, "helm"+strings.TrimPrefix(major, "v"))
		}
	}
	set := programs{name: "chart", all: chartTools(), without: without, finish: func(ctx context.Context, build, dir string) error {
		return errors.Join(monitoringCRDs(ctx, build, dir), grafanaCRD(ctx, build, dir))
	}}
	dir, err := set.build(ctx, progress)
	return ChartTools{dir}, err
}

// monitoringCRDs makes the definitions of the Prometheus operator's objects:
// its module has the types and no more.
func monitoringCRDs(ctx context.Context, build, dir string) error {
	path := filepath.Join(dir, monitoringFolder)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	command := exec.CommandContext(ctx, filepath.Join(dir, controllerGen), "crd:allowDangerousTypes=true",
		"paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1", "output:dir="+path+".part")
	command.Dir = filepath.Join(build, "chart")
	command.Env = buildEnvironment()
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("making the Prometheus operator's CustomResourceDefinitions: %w\n%s", err, output.Bytes())
	}
	return os.Rename(path+".part", path)
}

// grafanaCRD copies the definition of GrafanaDashboard out of its module.
func grafanaCRD(ctx context.Context, build, dir string) error {
	path := filepath.Join(dir, grafanaFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", grafanaModule)
	command.Dir = filepath.Join(build, "chart")
	command.Env = buildEnvironment()
	module, err := downloaded(command)
	if err != nil {
		return err
	}
	if module.Sum != grafanaSum {
		return fmt.Errorf("%s has the sum %s, want %s", grafanaModule, module.Sum, grafanaSum)
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, "config", "crd", "bases", "grafana.integreatly.org_grafanadashboards.yaml"))
	if err != nil {
		return fmt.Errorf("reading the definition of GrafanaDashboard: %w", err)
	}
	return writeFile(path, text)
}
