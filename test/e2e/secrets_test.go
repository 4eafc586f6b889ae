package e2e

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/secrets"
)

// checkSecrets fails the test if the log of a process has a secret: a known one, or what
// looks like a credential. At the end of the suite all logs are looked at for the
// cluster's own.
func (e *env) checkSecrets(p process, known map[string]string) {
	e.Helper()
	found, err := secrets.InFile(p.Log, known)
	if err != nil {
		e.Fatal(err)
	}
	for _, what := range found {
		e.Error(what)
	}
}

// read is what a file has.
func (e *env) read(path string) string {
	e.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		e.Fatal(err)
	}
	return string(text)
}

// TestLogs: however much drainer logs, it logs no token, and nothing of what pods have
// in their environment.
func TestLogs(t *testing.T) {
	const password = "correct-horse-battery-staple"
	e := setup(t, 2)
	node := e.nodes[0]
	spec := on(e.spec("web", 3), node)
	spec.Pod = func(p *corev1.PodTemplateSpec) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", Value: password}}
	}
	e.create(workload.Deployment(spec))
	e.awaitReady("web", 3)
	// Pods that are streamed are not logged; servers before 1.34 do not stream lists.
	e.environment = []string{"KUBE_FEATURE_WatchListClient=false"}
	p := e.start("--v=10")
	e.request(node, "logs")
	e.awaitDrained(node, "logs")
	p.terminate()
	if log := e.read(p.Log); !strings.Contains(log, `"V8"`) || !strings.Contains(log, "/eviction") {
		t.Errorf("%s does not have what --v=10 logs", p.Log)
	}
	e.checkSecrets(p, map[string]string{"drainer's token": p.Token, "a pod's password": password})
}
