package cluster

import (
	"fmt"
	"os"
	"strings"
)

// Versions of what the cluster is made of, and of what is installed and
// watches there. The go.mod files under build say the same; a test compares
// them.
const (
	KubernetesVersion = "v1.37.2"
	EtcdVersion       = "v3.7.3"
	KwokVersion       = "v0.8.0"
	Helm4Version      = "v4.3.1"
	Helm3Version      = "v3.22.0"
	PrometheusVersion = "v0.316.0"
)

// olderKubernetes is what the cluster can be made of instead, each pinned by a
// module of its own under build.
var olderKubernetes = []kubernetesRelease{{version: "v1.34.1", module: "kubernetes-1.34"}}

// KubernetesVariable is the environment variable that chooses the Kubernetes
// of new clusters by its minor, like 1.34. Unset, it is KubernetesVersion.
const KubernetesVariable = "DRAINER_TEST_KUBERNETES"

// kubernetesRelease is a Kubernetes that can be built.
type kubernetesRelease struct {
	version string
	// module is the folder under build whose go.mod pins it.
	module string
}

// minor is the release as people name it, like 1.34.
func (r kubernetesRelease) minor() string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(r.version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}

func knownKubernetes() []kubernetesRelease {
	return append([]kubernetesRelease{{version: KubernetesVersion, module: "kubernetes"}}, olderKubernetes...)
}

// chosenKubernetes is what the environment asks for.
func chosenKubernetes() (kubernetesRelease, error) {
	known := knownKubernetes()
	wanted := os.Getenv(KubernetesVariable)
	if wanted == "" {
		return known[0], nil
	}
	minors := make([]string, len(known))
	for i, r := range known {
		if r.minor() == wanted {
			return r, nil
		}
		minors[i] = r.minor()
	}
	return kubernetesRelease{}, fmt.Errorf("%s=%q: expected one of %s", KubernetesVariable, wanted, strings.Join(minors, ", "))
}

// ChosenKubernetes is the version that new clusters are made of, like v1.37.2.
func ChosenKubernetes() (string, error) {
	r, err := chosenKubernetes()
	return r.version, err
}
