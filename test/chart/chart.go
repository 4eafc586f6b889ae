// Package chart renders drainer's Helm chart, and makes the files that are
// generated from it: its README, its schema, and the manifests of deploy.
package chart

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"drainer.dev/drainer/test/cluster"
)

// Chart is the chart of this checkout.
type Chart struct {
	// Checkout is the folder of the repository.
	Checkout string

	tools cluster.ChartTools
}

// Open finds the chart, and builds what is missing of the programs that work
// on it, with those major versions of Helm.
func Open(ctx context.Context, progress io.Writer, helms ...string) (*Chart, error) {
	checkout, err := cluster.Checkout(ctx)
	if err != nil {
		return nil, err
	}
	tools, err := cluster.BuildChartTools(ctx, progress, helms...)
	if err != nil {
		return nil, err
	}
	return &Chart{Checkout: checkout, tools: tools}, nil
}

// Dir is the chart's folder.
func (c *Chart) Dir() string { return filepath.Join(c.Checkout, "charts", "drainer") }

// CRDs are files with the definitions of the kinds that the chart uses and no
// cluster has by itself.
func (c *Chart) CRDs() []string { return c.tools.CRDs() }

// Majors are the versions of Helm that the chart is for.
func Majors() []string { return cluster.HelmMajors() }

// Helm runs Helm of a major version without anything that the user has
// configured, and returns what it wrote.
func (c *Chart) Helm(ctx context.Context, major string, args ...string) (string, error) {
	return run(ctx, c.Dir(), c.helmEnvironment(), c.tools.Helm(major), args...)
}

func (c *Chart) helmEnvironment() []string {
	home := c.tools.HelmHome()
	return []string{
		"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home,
		"KUBECONFIG=", "HELM_NAMESPACE=", "HELM_KUBECONTEXT=",
	}
}

// Template renders the chart as release drainer in namespace drainer.
func (c *Chart) Template(ctx context.Context, major string, args ...string) (string, error) {
	return c.Helm(ctx, major, append([]string{"template", "drainer", c.Dir(), "--namespace", "drainer"}, args...)...)
}

func run(ctx context.Context, dir string, environment []string, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), environment...)
	var out, trouble bytes.Buffer
	command.Stdout, command.Stderr = &out, &trouble
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), args[0], err, strings.TrimSpace(trouble.String()))
	}
	return out.String(), nil
}
