package chart

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drainer.dev/drainer/test/suite"
)

// TestParentChart: a parent chart switches drainer on and off by its condition,
// and hands values down to it.
func TestParentChart(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	file := `
apiVersion: v2
name: platform
version: 1.0.0
dependencies:
- name: drainer
  version: 0.x.x
  repository: ""
  condition: drainer.enabled
`
	if err := os.WriteFile(filepath.Join(parent, "Chart.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(parent, "charts", "drainer"), os.DirFS(shared.chart.Dir())); err != nil {
		t.Fatal(err)
	}
	for values, want := range map[string]int{
		"drainer: {replicaCount: 3}":                                   1,
		"drainer: {enabled: true, podSecurityContext: {fsGroup: 0}}":   1,
		"{drainer: {enabled: true}, global: {imageRegistry: example}}": 1,
		"drainer: {enabled: false}":                                    0,
	} {
		for _, major := range shared.helms {
			out, err := shared.chart.Helm(suite.Context(t), major, "template", "platform", parent, "--values="+valuesFile(t, values))
			if err != nil {
				t.Errorf("Helm %s with %s: %v", major, values, err)
				continue
			}
			if got := parse(t, out).count("Deployment"); got != want {
				t.Errorf("Helm %s renders %d Deployments with %s, want %d", major, got, values, want)
			}
		}
	}
}

// TestKubeVersion: a cluster that is too old is refused, in whatever way its
// distribution writes the version, unless the check is off.
func TestKubeVersion(t *testing.T) {
	t.Parallel()
	const refused = "expected 1.34 or newer"
	for _, test := range []struct{ version, values, want string }{
		{"v1.34.0", "{}", ""},
		{"v1.34.1-gke.1829001", "{}", ""},
		{"v1.34.0-rc.1+k3s1", "{}", ""},
		{"v1.40.2-eks-113cf36", "{}", ""},
		{"v1.33.9", "{}", refused},
		{"v1.33.11+rke2r1", "{}", refused},
		{"v1.9.0", "{}", refused},
		{"v1.33.9", "checkKubeVersion: false", ""},
	} {
		for _, major := range shared.helms {
			_, err := shared.chart.Template(suite.Context(t), major, "--kube-version="+test.version, "--values="+valuesFile(t, test.values))
			checkRefused(t, major+" on "+test.version+" with "+test.values, err, test.want)
		}
	}
}

// TestOddVersion: a cluster whose version is not even a number is refused with
// the way around it. Helm itself takes such a version from a cluster only.
func TestOddVersion(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/version":
			fmt.Fprint(w, `{"major": "", "minor": "", "gitVersion": "rolling-release"}`)
		case "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		default:
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": []}`)
		}
	}))
	t.Cleanup(server.Close)
	for _, major := range shared.helms {
		_, err := shared.chart.Helm(suite.Context(t), major, "install", "odd", shared.chart.Dir(), "--dry-run=server", "--kube-apiserver="+server.URL)
		checkRefused(t, "Helm "+major, err, `its version is "rolling-release": expected one such as v1.34.1; if it is 1.34 or newer, set checkKubeVersion to false`)
	}
}

func checkRefused(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}
