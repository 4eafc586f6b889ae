package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestPluginPlan: before anything is asked for, and without a drainer, a person
// sees what a drain would do; nothing is written. What cannot finish ends with
// another status, and why says it of a pod.
func TestPluginPlan(t *testing.T) {
	e := setup(t, 3)
	free, held := e.nodes[0], e.nodes[1]
	e.create(
		workload.Deployment(e.spec("web", 6)), workload.MaxUnavailable(e.namespace, "web", "web", "1"),
		workload.Deployment(on(e.spec("db", 1), held)), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
	)
	e.awaitReady("web", 6)
	e.awaitReady("db", 1)
	flags := []string{"--node-selector=" + poolLabel + "=" + e.pool, "--max-draining=100%", "--max-unavailable=100%"}
	e.expect(0, []string{e.namespace + "/web-", "leaves", "Forecast: "}, append([]string{"plan", free}, flags...)...)
	e.expect(cli.ExitCannotFinish, []string{
		e.namespace + "/db-", "waits", "The disruption budget db needs 1 healthy pods and has 1 currently", "Cannot finish:", "Fix: let PDB " + e.namespace + "/db allow",
	}, append([]string{"plan", held}, flags...)...)
	for _, app := range []string{"web", "db"} {
		for _, p := range e.pods(app) {
			if p.DeletionTimestamp != nil {
				t.Errorf("pod %s is being deleted", p.Name)
			}
		}
	}
	for _, node := range []string{free, held} {
		if now, err := shared.Client.CoreV1().Nodes().Get(e.Context(), node, metav1.GetOptions{}); err != nil || now.Annotations[api.DrainAnnotation] != "" || now.Spec.Unschedulable {
			t.Errorf("node %s was written to: %v, error %v", node, now, err)
		}
	}
	pod := e.pods("db")[0].Name
	e.expect(0, []string{"The node has no request", "The disruption budget db needs 1 healthy"}, "why", "-n", e.namespace, pod)
	e.start()
	e.request(held, "r")
	e.awaitBlocked(held, "db", "budget_never_allows")
	e.expect(0, []string{"drainer says: blocked", "by PDB " + e.namespace + "/db", "Fix: let PDB"}, "why", e.namespace+"/"+pod)
}

// TestPluginOthers: what else the program can do is there, by kubectl's flags.
func TestPluginOthers(t *testing.T) {
	e := setup(t, 2)
	e.create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: "bare"},
		Spec:       corev1.PodSpec{NodeName: e.nodes[0], Containers: []corev1.Container{{Name: "c", Image: "none"}}},
	})
	e.expect(0, []string{"Client: ", "Daemon: none found in the namespace " + e.namespace}, "version", "-n", e.namespace)
	e.create(daemonNamed(e.namespace, "registry.example.com/drainer:v9"))
	e.expect(0, []string{"Daemon: registry.example.com/drainer:v9 (deployment/drainer in " + e.namespace + ")"}, "version", "-n", e.namespace)
	e.expect(0, []string{"deployment: drainer\n  image: registry.example.com/drainer:v9"}, "version", "-n", e.namespace, "-o", "yaml")
	e.expect(0, []string{"--bare-pods=Evict"}, "simulate", "--drain="+e.nodes[0], "--max-draining=100%")
	e.expect(cli.ExitUsage, []string{`--output="text": expected json or yaml`}, "simulate", "--drain="+e.nodes[0], "-o=text")
	r := e.expect(0, nil, "__complete", "drain", "")
	if !strings.Contains(r.out, e.nodes[0]+"\n"+e.nodes[1]+"\n") {
		t.Errorf("completed\n%s", r.out)
	}
	if r, err := e.tryPlugin(e.plugin(), "config", "print"); err != nil || r.status != 0 || !strings.Contains(r.out, "kind: DrainerConfiguration") {
		t.Errorf("config print: %+v, %v", r, err)
	}
	file := filepath.Join(t.TempDir(), "drainer.yaml")
	for text, want := range map[string]ran{
		"settle: 3s\n":  {status: 0, out: "valid"},
		"settled: 3s\n": {status: cli.ExitUsage, err: file + `:3: settled: unknown field`},
	} {
		if err := os.WriteFile(file, []byte("apiVersion: config.drainer.dev/v1alpha1\nkind: DrainerConfiguration\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := e.tryPlugin(e.plugin(), "config", "validate", file)
		if err != nil || r.status != want.status || !strings.Contains(r.out, want.out) || !strings.Contains(r.err, want.err) {
			t.Errorf("config validate of %q: %+v, %v, want %+v", text, r, err, want)
		}
	}
}

// daemonNamed is a Deployment as the chart makes it, without pods.
func daemonNamed(namespace, image string) *appsv1.Deployment {
	set := map[string]string{"app.kubernetes.io/name": "drainer"}
	none := int32(0)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "drainer", Labels: set},
		Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: set}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: set},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "sidecar", Image: "sidecar:v1"}, {Name: "drainer", Image: image}}},
		}},
	}
}
