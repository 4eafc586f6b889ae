package chart

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"drainer.dev/drainer/test/suite"
)

// TestGenerated: regenerating the generated files changes nothing.
func TestGenerated(t *testing.T) {
	t.Parallel()
	files, err := shared.chart.Generated(suite.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 7 {
		t.Fatalf("only %d files are generated", len(files))
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(shared.chart.Checkout, path))
		if err != nil {
			t.Error(err)
			continue
		}
		if string(got) != want {
			t.Errorf("%s is not what is generated now: run make chart", path)
		}
	}
}

// TestDeploy: what kubectl apply -k deploy applies is what the chart renders
// without values, but for the namespace, the configuration file, whose defaults
// nothing repeats, and what only Helm says.
func TestDeploy(t *testing.T) {
	t.Parallel()
	kustomized := kubectl(t, "", "kustomize", filepath.Join(shared.chart.Checkout, "deploy"))
	got := map[string]*unstructured.Unstructured{}
	for _, o := range parse(t, kustomized) {
		got[nameOf(o)] = o
	}
	if _, ok := got["Namespace//drainer"]; !ok {
		t.Error("deploy does not make the namespace")
	}
	delete(got, "Namespace//drainer")
	file := takeConfig(t, got)
	if program, err := program(t, "config", "validate", file); err != nil {
		t.Errorf("drainer refuses deploy/drainer.yaml: %v\n%s", err, program)
	}
	for _, want := range render(t, "{}") {
		unstructured.RemoveNestedField(want.Object, "spec", "template", "metadata", "annotations")
		if _, hook := want.GetAnnotations()["helm.sh/hook"]; hook || want.GetKind() == "ConfigMap" {
			continue
		}
		labels := want.GetLabels()
		delete(labels, "helm.sh/chart")
		delete(labels, "app.kubernetes.io/managed-by")
		want.SetLabels(labels)
		name := nameOf(want)
		if o := got[name]; o == nil || !reflect.DeepEqual(o.Object, want.Object) {
			t.Errorf("%s is in deploy\n%v\nand in the chart\n%v", name, o, want)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("deploy has %s, the chart has not", name)
	}
}

// takeConfig takes the ConfigMap out of what kustomize made, undoes the name that
// it got, and returns a file with what is in it.
func takeConfig(t *testing.T, all map[string]*unstructured.Unstructured) string {
	t.Helper()
	volumes, _ := at(all["Deployment/drainer/drainer"], "spec", "template", "spec", "volumes").([]any)
	if len(volumes) != 1 {
		t.Fatalf("the volumes are %v", volumes)
	}
	volume := volumes[0].(map[string]any)["configMap"].(map[string]any)
	name, _ := volume["name"].(string)
	c := all["ConfigMap/drainer/"+name]
	if c == nil || !strings.HasPrefix(name, "drainer-config-") {
		t.Fatalf("the Deployment mounts the ConfigMap %s, and there is %v", name, slices.Sorted(maps.Keys(all)))
	}
	delete(all, "ConfigMap/drainer/"+name)
	volume["name"] = "drainer-config"
	path := filepath.Join(t.TempDir(), "drainer.yaml")
	if err := os.WriteFile(path, []byte(fmt.Sprint(at(c, "data", "drainer.yaml"))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// documentedYAML is a block of docs/install.md.
func documentedYAML(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.chart.Checkout, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- test: "+name+" -->\n```yaml\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatalf("docs/install.md has no block %s", name)
	}
	return block
}

// kustomize is what a documented overlay of deploy makes, with files beside it.
func kustomize(t *testing.T, name string, files map[string]string) objects {
	t.Helper()
	const base = "https://github.com/drainer-dev/drainer//deploy?ref=v0.1.0"
	overlay := documentedYAML(t, name)
	if !strings.Contains(overlay, base) {
		t.Fatalf("the block %s is no overlay of %s, but %q", name, base, overlay)
	}
	dir := t.TempDir()
	deploy, err := filepath.Rel(dir, filepath.Join(shared.chart.Checkout, "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	files = maps.Clone(files)
	if files == nil {
		files = map[string]string{}
	}
	files["kustomization.yaml"] = strings.Replace(overlay, base, deploy, 1)
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return parse(t, kubectl(t, "", "kustomize", dir))
}

// TestOverlayConfig: the documented overlay changes image and configuration, and
// another file makes other pods.
func TestOverlayConfig(t *testing.T) {
	t.Parallel()
	volume := func(o *unstructured.Unstructured) any {
		return at(o, "spec", "template", "spec", "volumes", 0, "configMap", "name")
	}
	own := documentedYAML(t, "overlay-config")
	all := kustomize(t, "overlay-own", map[string]string{"drainer.yaml": own})
	deployment, file := all.find(t, "Deployment", "drainer"), all.find(t, "ConfigMap", "")
	if image := fmt.Sprint(at(deployment, "spec", "template", "spec", "containers", 0, "image")); !strings.HasPrefix(image, "registry.example.com/drainer:") {
		t.Errorf("the image is %s", image)
	}
	if got := at(file, "data", "drainer.yaml"); got != own || volume(deployment) != file.GetName() {
		t.Errorf("the pods mount %v; %s has %v", volume(deployment), file.GetName(), got)
	}
	if got := effective(t, installedArgs(t, []string{"--config=" + configFile}, own)...)["maxDraining"]; got != 3. {
		t.Errorf("with the documented file maxDraining is %v", got)
	}
	other := kustomize(t, "overlay-own", map[string]string{"drainer.yaml": own + "settle: 6s\n"})
	if a, b := volume(deployment), volume(other.find(t, "Deployment", "drainer")); a == b {
		t.Errorf("two files have one name, %v", a)
	}
}

// TestOverlay: the documented overlay for another namespace changes all that is
// about it, the policies among them.
func TestOverlay(t *testing.T) {
	t.Parallel()
	all := kustomize(t, "overlay", nil)
	for _, policy := range []string{"nodes", "evictions", "deletions"} {
		o := all.find(t, "ValidatingAdmissionPolicy", "drainer-"+policy)
		const want = "request.userInfo.username == 'system:serviceaccount:evictions:drainer'"
		if got := at(o, "spec", "matchConditions", 0, "expression"); got != want || o.GetNamespace() != "" {
			t.Errorf("%s in namespace %q is about %v, want %s", o.GetName(), o.GetNamespace(), got, want)
		}
	}
	if account := all.find(t, "ServiceAccount", "drainer"); account.GetNamespace() != "evictions" {
		t.Errorf("the account is in %s", account.GetNamespace())
	}
}

// TestRoles: the rules of the chart are those of deploy, by which all of
// test/e2e runs, and lists what they are in full: more must not slip in.
func TestRoles(t *testing.T) {
	t.Parallel()
	all := render(t, "{}")
	var got []string
	for _, role := range [][2]string{{"ClusterRole", "drainer"}, {"Role", "drainer"}, {"Role", "drainer-control"}} {
		kind := role[0]
		rules, _ := at(all.find(t, kind, role[1]), "rules").([]any)
		for _, rule := range rules {
			r := rule.(map[string]any)
			got = append(got, strings.Join([]string{
				kind, words(r["apiGroups"]), words(r["resources"]), words(r["resourceNames"]), words(r["verbs"]),
			}, " "))
		}
	}
	want := []string{
		"ClusterRole [] [nodes] [] [get list watch patch]",
		"ClusterRole [] [nodes/status] [] [patch]",
		"ClusterRole [] [pods] [] [get list watch]",
		"ClusterRole [] [pods/eviction] [] [create]",
		"ClusterRole [policy] [poddisruptionbudgets] [] [get list watch]",
		"ClusterRole [apps] [daemonsets] [] [list watch]",
		"ClusterRole [events.k8s.io] [events] [] [create]",
		"Role [coordination.k8s.io] [leases] [] [create]",
		"Role [coordination.k8s.io] [leases] [drainer] [get update]",
		"Role [] [configmaps] [drainer-control] [list watch]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the chart grants\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func words(list any) string {
	var all []string
	items, _ := list.([]any)
	for _, item := range items {
		all = append(all, item.(string))
	}
	return "[" + strings.Join(all, " ") + "]"
}
