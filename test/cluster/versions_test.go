package cluster

import (
	"os"
	"strings"
	"testing"
)

// TestVersions: the constants say what the go.mod files pin.
func TestVersions(t *testing.T) {
	type pin struct{ module, requirement, version string }
	pins := []pin{
		{"kubernetes", "go.etcd.io/etcd/server/v3", EtcdVersion},
		{"kubernetes", "sigs.k8s.io/kwok", KwokVersion},
		{"chart", "helm.sh/helm/v4", Helm4Version},
		{"chart", "helm.sh/helm/v3", Helm3Version},
		{"prometheus", "github.com/prometheus/prometheus", PrometheusVersion},
	}
	for _, r := range knownKubernetes() {
		staging := "v0" + strings.TrimPrefix(r.version, "v1")
		pins = append(pins, pin{r.module, "k8s.io/kubernetes", r.version}, pin{r.module, "k8s.io/apiserver => k8s.io/apiserver", staging})
	}
	for _, test := range pins {
		text, err := os.ReadFile("build/" + test.module + "/go.mod")
		if err != nil {
			t.Fatal(err)
		}
		if want := test.requirement + " " + test.version; !strings.Contains(string(text), want+" ") && !strings.Contains(string(text), want+"\n") {
			t.Errorf("build/%s/go.mod does not require %s", test.module, want)
		}
	}
}

// TestChosenKubernetes: the environment chooses among what is pinned, and every
// release has programs of its own.
func TestChosenKubernetes(t *testing.T) {
	folders := map[string]bool{}
	for _, test := range []struct{ value, want string }{
		{"", "v1.37.2"}, {"1.37", "v1.37.2"}, {"1.34", "v1.34.1"},
	} {
		t.Setenv(KubernetesVariable, test.value)
		r, err := chosenKubernetes()
		if err != nil || r.version != test.want {
			t.Errorf("%s=%q chooses %q, %v; want %s", KubernetesVariable, test.value, r.version, err, test.want)
		}
		key, err := cacheKey("build", r.version, binaries(r))
		if err != nil || !strings.HasPrefix(key, test.want+"-") {
			t.Errorf("the programs of %s are kept in %q, %v", test.want, key, err)
		}
		folders[key] = true
	}
	if len(folders) != 2 {
		t.Errorf("two releases have the folders %v", folders)
	}
	for _, value := range []string{"1.2", "v1.34", "1.34.1", "latest"} {
		t.Setenv(KubernetesVariable, value)
		_, err := ChosenKubernetes()
		const want = "expected one of 1.37, 1.34"
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), value) {
			t.Errorf("%s=%q: got the error %v, want %q", KubernetesVariable, value, err, want)
		}
	}
}
