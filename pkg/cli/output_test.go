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
		"cancel nc -o json --dry-run=client":              "nc=",
		"drain nc --id=old -o json":                       "nc=old",
		"drain na nb --yes --id=r -o name":                "",
		"drain na nb --yes --id=r -o name --dry-run=none": "",
	} {
		busy := named("nc", nodeWith("drain", "old"))
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
