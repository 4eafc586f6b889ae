package cluster

import (
	"os"
	"strings"
	"testing"
)

// TestVersions: the constants say what the go.mod files pin.
func TestVersions(t *testing.T) {
	for _, test := range []struct{ module, requirement, version string }{
		{"kubernetes", "k8s.io/kubernetes", KubernetesVersion},
		{"etcd", "go.etcd.io/etcd/server/v3", EtcdVersion},
		{"kwok", "sigs.k8s.io/kwok", KwokVersion},
	} {
		text, err := os.ReadFile("build/" + test.module + "/go.mod")
		if err != nil {
			t.Fatal(err)
		}
		if want := test.requirement + " " + test.version; !strings.Contains(string(text), want+" ") && !strings.Contains(string(text), want+"\n") {
			t.Errorf("build/%s/go.mod does not require %s", test.module, want)
		}
	}
}
