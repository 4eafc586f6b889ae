package chart

import (
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
// without values, but for the namespace and what only Helm says.
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
	for _, want := range render(t, "{}") {
		if _, hook := want.GetAnnotations()["helm.sh/hook"]; hook {
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

// TestOverlay: the documented overlay for another namespace changes all that is
// about it, the policies among them.
func TestOverlay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(shared.chart.Checkout, "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- test: overlay -->\n```yaml\n")
	overlay, _, found := strings.Cut(rest, "```")
	const base = "https://github.com/drainer-dev/drainer//deploy?ref=v0.1.0"
	if !found || !strings.Contains(overlay, base) {
		t.Fatalf("docs/install.md has no overlay of %s, but %q", base, overlay)
	}
	dir := t.TempDir()
	deploy, err := filepath.Rel(dir, filepath.Join(shared.chart.Checkout, "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "kustomization.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(overlay, base, deploy, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	all := parse(t, kubectl(t, "", "kustomize", dir))
	for _, policy := range []string{"nodes", "evictions"} {
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
	for _, kind := range []string{"ClusterRole", "Role"} {
		rules, _ := at(all.find(t, kind, "drainer"), "rules").([]any)
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
