package e2e

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/version"

	"drainer.dev/drainer/test/cluster"
)

// serverBefore is true on a server older than the minor, like 1.35.
func serverBefore(t *testing.T, minor string) bool {
	t.Helper()
	found, err := shared.Client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	return version.MustParseGeneric(found.GitVersion).LessThan(version.MustParseGeneric(minor))
}

// TestKubernetesVersion: the suite runs on the Kubernetes that was asked for,
// and on no other by mistake.
func TestKubernetesVersion(t *testing.T) {
	t.Parallel()
	want, err := cluster.ChosenKubernetes()
	if err != nil {
		t.Fatal(err)
	}
	found, err := shared.Client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	// Programs that were built elsewhere may be of another patch.
	minor := want[:strings.LastIndex(want, ".")+1]
	if !strings.HasPrefix(found.GitVersion, minor) {
		t.Errorf("the API server is %s, want %sx", found.GitVersion, minor)
	}
}
