package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGroups: one run of go build makes all programs of a module but those
// that it would give the same name.
func TestGroups(t *testing.T) {
	var got []string
	for _, all := range [][]binary{
		binaries(knownKubernetes()[0]), binaries(knownKubernetes()[1]), chartTools(),
	} {
		for _, g := range groups(all) {
			got = append(got, g[0].module+": "+g.names())
		}
	}
	want := []string{
		"kubernetes: etcd, kwok, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl",
		"kubernetes: etcd, kwok",
		"kubernetes-1.34: kube-apiserver, kube-controller-manager, kube-scheduler, kubectl",
		"chart: helm4, helm-docs, helm-schema, controller-gen",
		"chart: helm3",
	}
	if !slices.Equal(got, want) {
		t.Errorf("built together are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for pkg, want := range map[string]string{
		"go.etcd.io/etcd/server/v3": "server", "sigs.k8s.io/kwok/cmd/kwok": "kwok", "x/very": "very",
	} {
		if got := (binary{pkg: pkg}).output(); got != want {
			t.Errorf("go build names %s %s, want %s", pkg, got, want)
		}
	}
}

// TestMissing: what is there, or not wanted, is not built.
func TestMissing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kwok"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	set := programs{all: binaries(knownKubernetes()[0]), without: []string{kubectl}}
	const want = "etcd, kube-apiserver, kube-controller-manager, kube-scheduler"
	if got := group(set.missing(dir)).names(); got != want {
		t.Errorf("missing are %s, want %s", got, want)
	}
}

// TestCount: what go writes while it builds becomes how far it is, and what
// else it writes is kept for the error.
func TestCount(t *testing.T) {
	var said bytes.Buffer
	c := newCount(&said)
	for _, step := range []struct{ text, want string }{
		{"", "finding out what there is to compile"},
		{"go: downloading k8s.io/api v0.37.2\ngo: down", "downloading module 1"},
		{"loading k8s.io/klog/v2 v2.140.0\n", "downloading module 2"},
	} {
		write(t, c, step.text)
		if got := c.state(); got != step.want {
			t.Errorf("after %q: %s, want %s", step.text, got, step.want)
		}
	}
	c.found([]string{"unsafe", "errors", "k8s.io/api/core/v1"})
	for _, step := range []struct{ text, want string }{
		{"errors\n", "compiling package 1 of 3"},
		// Only some of the others are compiled: a package that is named twice
		// is one.
		{"errors\nfmt\n", "compiling package 1 of 3"},
		{"unsafe\nk8s.io/api", "compiling package 2 of 3"},
		{"/core/v1\n", "compiling the last packages, linking"},
	} {
		write(t, c, step.text)
		if got := c.state(); got != step.want {
			t.Errorf("after %q: %s, want %s", step.text, got, step.want)
		}
	}
	write(t, c, "x.go:1:1: syntax error")
	if got, want := c.stop(), "errors\nfmt\nx.go:1:1: syntax error"; got != want {
		t.Errorf("go's other output is %q, want %q", got, want)
	}
	if got, want := said.String(), "  3 packages to compile\n"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func write(t *testing.T, c *count, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("wrote %d of %d bytes, %v", n, len(text), err)
	}
}
