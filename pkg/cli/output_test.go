package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/pkg/api"
)

// shownNodes are the nodes that a command shows for programs, as an object or as a list.
func shownNodes(t *testing.T, text string) []corev1.Node {
	t.Helper()
	var list corev1.NodeList
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if list.Kind == "List" {
		return list.Items
	}
	var node corev1.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return []corev1.Node{node}
}

// TestChangeOutput: commands that change nodes show them for programs as kubectl does: as
// they are afterwards, or would be.
func TestChangeOutput(t *testing.T) {
	for args, want := range map[string]string{
		"drain na nb --yes --id=r -o json":                "na=r nb=r",
		"drain na --id=r -o yaml":                         "na=r",
		"drain na --id=r -o yaml --dry-run=client":        "na=r",
		"cancel nc -o json":                               "nc=",
		"cancel -l pool=y -o json":                        "nc=",
		"cancel nc -o json --dry-run=client":              "nc=",
		"drain nc --id=old -o json":                       "nc=old",
		"drain na nb --yes --id=r -o name":                "",
		"drain na nb --yes --id=r -o name --dry-run=none": "",
	} {
		busy := named("nc", nodeWith("drain", "old"))
		busy.Labels = map[string]string{"pool": "y"}
		busy.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "x"}}
		got := run(t, fake.NewClientset(append(fleet(2), busy)...), strings.Fields(args)...)
		if want == "" {
			if got.status != 0 || got.out != "node/na\nnode/nb\n" {
				t.Errorf("%s: status %d, %q", args, got.status, got.out)
			}
			continue
		}
		if isJSON := json.Valid([]byte(got.out)); isJSON != strings.Contains(args, "json") {
			t.Errorf("%s: is it JSON: %v\n%s%s", args, isJSON, got.out, got.err)
		}
		if list, want := strings.Contains(got.out, "items"), strings.Contains(args, "-l") || strings.Contains(args, "nb"); list != want {
			t.Errorf("%s: is it a list: %v\n%s", args, list, got.out)
		}
		var shown []string
		for _, n := range shownNodes(t, got.out) {
			shown = append(shown, n.Name+"="+n.Annotations[api.DrainAnnotation])
			if n.Kind != "Node" || n.APIVersion != "v1" || n.ManagedFields != nil {
				t.Errorf("%s: shows a %s %s with managed fields %v", args, n.APIVersion, n.Kind, n.ManagedFields)
			}
		}
		if slices.Sort(shown); strings.Join(shown, " ") != want {
			t.Errorf("%s: shows %v, want %s", args, shown, want)
		}
	}
}

// TestChangeOutputFails: what failed is not shown, and what a command did not do is said
// beside what programs read.
func TestChangeOutputFails(t *testing.T) {
	client := fake.NewClientset(append(fleet(1), named("nb", nodeWith("drain", "other")))...)
	if got := run(t, client, "release", "nb", "-o=json"); got.status != ExitFailure || got.out != "" {
		t.Errorf("a node that is not drained: status %d, %q", got.status, got.out)
	}
	if got := run(t, client, "drain", "na", "--id=r", "--deadline=1h", "-o=name"); got.status != 0 || got.err != "" {
		t.Fatalf("status %d: %s", got.status, got.err)
	}
	got := run(t, client, "drain", "na", "--id=r", "--deadline=2h", "-o=name")
	if got.status != 0 || got.out != "node/na\n" || !strings.Contains(got.err, "it keeps deadline=") {
		t.Errorf("status %d, %q, beside it %q", got.status, got.out, got.err)
	}
}
