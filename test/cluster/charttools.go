package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ChartTools is the folder of the programs that install, render and document
// the Helm chart.
type ChartTools struct{ dir string }

// Helms are the paths of Helm, by its major version.
func (c ChartTools) Helms() map[string]string {
	return map[string]string{"v4": filepath.Join(c.dir, "helm4"), "v3": filepath.Join(c.dir, "helm3")}
}

// HelmDocs is the path of the program that writes the chart's README.
func (c ChartTools) HelmDocs() string { return filepath.Join(c.dir, "helm-docs") }

// HelmSchema is the path of the program that writes the chart's schema.
func (c ChartTools) HelmSchema() string { return filepath.Join(c.dir, "helm-schema") }

// HelmHome is a folder for what Helm keeps between two runs.
func (c ChartTools) HelmHome() string { return filepath.Join(c.dir, "helm-home") }

// MonitoringCRDs is the folder of the CustomResourceDefinitions of the
// Prometheus operator, made from its Go types.
func (c ChartTools) MonitoringCRDs() string { return filepath.Join(c.dir, monitoringFolder) }

const monitoringFolder = "monitoring-crds"

func chartTools() []binary {
	minor, _, _ := strings.Cut(strings.TrimPrefix(KubernetesVersion, "v1."), ".")
	const helm3 = "-X helm.sh/helm/v3/"
	return []binary{
		{
			name: "helm4", module: "helm4", pkg: "helm.sh/helm/v4/cmd/helm",
			ldflags: "-X helm.sh/helm/v4/internal/version.version=" + Helm4Version,
		},
		{
			name: "helm3", module: "helm3", pkg: "helm.sh/helm/v3/cmd/helm",
			// Helm's own releases say, too, for which Kubernetes they render.
			ldflags: helm3 + "internal/version.version=" + Helm3Version + " " +
				helm3 + "pkg/chartutil.k8sVersionMajor=1 " + helm3 + "pkg/chartutil.k8sVersionMinor=" + minor,
		},
		{name: "helm-docs", module: "helm-docs", pkg: "github.com/norwoodj/helm-docs/cmd/helm-docs"},
		{name: "helm-schema", module: "helm-schema", pkg: "github.com/losisin/helm-values-schema-json/v2"},
		{name: "controller-gen", module: "monitoring", pkg: "sigs.k8s.io/controller-tools/cmd/controller-gen"},
	}
}

// BuildChartTools builds those that are missing, in the way of Binaries.
func BuildChartTools(ctx context.Context, progress io.Writer) (ChartTools, error) {
	dir, err := buildAll(ctx, "chart", chartTools(), progress, monitoringCRDs)
	return ChartTools{dir}, err
}

// monitoringCRDs makes the definitions of the Prometheus operator's objects:
// its module has the types and no more.
func monitoringCRDs(ctx context.Context, build, dir string) error {
	path := filepath.Join(dir, monitoringFolder)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	command := exec.CommandContext(ctx, filepath.Join(dir, "controller-gen"), "crd:allowDangerousTypes=true",
		"paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1", "output:dir="+path+".part")
	command.Dir = filepath.Join(build, "monitoring")
	command.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("making the Prometheus operator's CustomResourceDefinitions: %w\n%s", err, output.Bytes())
	}
	return os.Rename(path+".part", path)
}
