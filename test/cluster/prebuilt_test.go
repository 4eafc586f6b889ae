package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakes makes a folder with scripts that say versions, as the programs do.
func fakes(t *testing.T, said map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range said {
		script := "#!/bin/sh\n" + text + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// whole is what the six programs of Kubernetes 1.37 say; another patch will do.
func whole() map[string]string {
	kubernetes := `test "$*" = --version && echo Kubernetes v1.37.9`
	return map[string]string{
		"etcd":           `test "$*" = --version && echo etcd Version: 3.6.1 && echo Git SHA: 012`,
		"kwok":           `test "$*" = --version && echo kwok version v0.8.3 go1.26 '(linux/amd64)'`,
		"kube-apiserver": kubernetes, "kube-controller-manager": kubernetes, "kube-scheduler": kubernetes,
		"kubectl": `test "$*" = "version --client" && echo Client Version: v1.37.0 && echo Kustomize Version: v5`,
	}
}

// TestPrebuilt: with all programs of the chosen release none is built, and what
// the user gave is used.
func TestPrebuilt(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	given := fakes(t, whole())
	t.Setenv(BinariesVariable, given)
	for range 2 {
		var progress bytes.Buffer
		dir, err := Binaries(t.Context(), &progress)
		if err != nil {
			t.Fatal(err)
		}
		for name := range whole() {
			if target, err := os.Readlink(filepath.Join(dir, name)); err != nil || target != filepath.Join(given, name) {
				t.Errorf("%s is %s, %v; want the one that was given", name, target, err)
			}
		}
		text, err := os.ReadFile(filepath.Join(dir, stagesFile))
		if err != nil || !strings.Contains(string(text), "pod-ready") {
			t.Errorf("kwok's stages are %q, %v", text, err)
		}
		if progress.Len() > 0 {
			t.Errorf("said %s", progress.String())
		}
	}
	// Nothing was written into the user's folder.
	entries, err := os.ReadDir(given)
	if err != nil || len(entries) != len(whole()) {
		t.Errorf("the folder that was given has %v, %v", entries, err)
	}
}

// TestPrebuiltRefused: what is missing or of another version is named, all of
// it, and nothing is built or mixed.
func TestPrebuiltRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(map[string]string)
		minor  string
		want   []string
		but    []string
	}{
		"missing": {
			change: func(said map[string]string) { delete(said, "kwok"); delete(said, "kubectl") },
			want:   []string{"  kwok: is missing", "  kubectl: is missing"}, but: []string{"etcd", "apiserver"},
		},
		"another minor": {
			change: func(said map[string]string) { said["kube-scheduler"] = "echo Kubernetes v1.36.2" },
			want:   []string{"  kube-scheduler: is v1.36.2, expected v1.37"}, but: []string{"kwok", "apiserver"},
		},
		"another release is chosen": {
			change: func(map[string]string) {}, minor: "1.34",
			want: []string{
				"Kubernetes 1.34", "  kube-apiserver: is v1.37.9, expected v1.34", "  kubectl: is v1.37.0, expected v1.34",
				"  kube-controller-manager:", "  kube-scheduler:",
			},
			but: []string{"etcd", "kwok"},
		},
		"a minor that begins alike": {
			change: func(said map[string]string) { said["kube-apiserver"] = "echo Kubernetes v1.370.0" },
			want:   []string{"  kube-apiserver: is v1.370.0, expected v1.37"},
		},
		"another kwok, to which these stages mean nothing": {
			change: func(said map[string]string) { said["kwok"] = "echo kwok version v0.7.0 go1.25" },
			want:   []string{"  kwok: is v0.7.0, expected v0.8"},
		},
		"another etcd": {
			change: func(said map[string]string) { said["etcd"] = "echo etcd Version: 4.0.0" },
			want:   []string{"  etcd: is 4.0.0, expected 3"},
		},
		"broken": {
			change: func(said map[string]string) { said["etcd"] = "echo oh no; exit 3"; said["kwok"] = "echo hello" },
			want:   []string{"  etcd: cannot be run: exit status 3 oh no", "  kwok: does not say its version: hello"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cache := t.TempDir()
			t.Setenv("XDG_CACHE_HOME", cache)
			t.Setenv(KubernetesVariable, test.minor)
			said := whole()
			test.change(said)
			given := fakes(t, said)
			t.Setenv(BinariesVariable, given)
			_, err := BinariesWithoutKubectl(t.Context(), new(bytes.Buffer))
			if err == nil {
				t.Fatal("the programs are used")
			}
			for _, want := range append(test.want, BinariesVariable+"="+given, KubernetesVariable, "unset") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
			for line := range strings.Lines(err.Error()) {
				if i := slices.IndexFunc(test.but, func(but string) bool { return strings.HasPrefix(line, "  "+but) }); i >= 0 {
					t.Errorf("the error names %s, which is as it has to be:\n%v", test.but[i], err)
				}
			}
			if entries, err := os.ReadDir(cache); err != nil || len(entries) > 0 {
				t.Errorf("made %v, %v", entries, err)
			}
		})
	}
}
