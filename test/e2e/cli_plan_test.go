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
	flags := []string{"--node-selector=" + poolLabel + "=" + e.pool, "--max-draining=100%", "--max-unavailable=100%", "-n", e.namespace}
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
	e.expect(0, []string{"--bare-pods=Evict"}, "simulate", "--drain="+e.nodes[0], "--max-draining=100%", "-n", e.namespace)
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

// TestPluginConfigured: the plugin assumes the configuration of the drainer that is deployed
// in the cluster, as an account sees it that may read that.
func TestPluginConfigured(t *testing.T) {
	e := setup(t, 2)
	e.create(workload.Deployment(on(e.spec("web", 1), e.nodes[0])))
	e.awaitReady("web", 1)
	text := "apiVersion: config.drainer.dev/v1alpha1\nkind: DrainerConfiguration\nmaxDraining: 50%\n" +
		"nodeSelector: {matchLabels: {" + poolLabel + ": " + e.pool + "}}\nrules:\n- {name: held, match: {namespaces: [" + e.namespace + "]}, action: Block}\n"
	daemon := daemonNamed(e.namespace, "registry.example.com/drainer:v9")
	pod := &daemon.Spec.Template.Spec
	pod.Containers[1].Args = []string{"--config=/etc/drainer-config/drainer.yaml", "--v=2"}
	pod.Containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: "/etc/drainer-config"}}
	pod.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "drainer-config"}},
	}}}
	flags := []string{"--max-unavailable=100%", "-n", e.namespace}
	e.expect(0, []string{"the configuration is the default one, because no Deployment with the label app.kubernetes.io/name=drainer was found in the namespace " + e.namespace}, append([]string{"plan", e.nodes[0], "--node-selector=" + poolLabel + "=" + e.pool, "--max-draining=100%"}, flags...)...)
	e.create(daemon, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: "drainer-config"}, Data: map[string]string{"drainer.yaml": text}})
	assumed := "the configuration is that of deployment/drainer in the namespace " + e.namespace
	e.expect(cli.ExitCannotFinish, []string{assumed, "held"}, append([]string{"plan", e.nodes[0]}, flags...)...)
	e.expect(0, []string{assumed, "held"}, append([]string{"simulate", "--drain=" + e.nodes[0]}, flags...)...)
	e.expect(cli.ExitUsage, []string{assumed, "you ask for the drain of 2 nodes, but drainer drains 1 of 2 at once (maxDraining: 50%)"}, "drain", e.nodes[0], e.nodes[1], "-n", e.namespace)
	e.expect(0, []string{"node/" + e.nodes[0], "node/" + e.nodes[1]}, "drain", e.nodes[0], e.nodes[1], "-n", e.namespace, "--yes", "--dry-run=server", "-o", "name")
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
