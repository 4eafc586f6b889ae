package e2e

import (
	"testing"

	"drainer.dev/drainer/test/cluster"
)

// TestKubernetesVersion: the suite runs on the Kubernetes that was asked for,
// and on no other by mistake.
func TestKubernetesVersion(t *testing.T) {
	t.Parallel()
	want, err := cluster.ChosenKubernetes()
	if err != nil {
		t.Fatal(err)
	}
	version, err := suite.client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != want {
		t.Errorf("the API server is %s, want %s", version.GitVersion, want)
	}
}
