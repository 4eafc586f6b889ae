package chart

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/test/shells"
)

// inObject is where tools that install the chart have its values.
var inObject = map[string][]string{
	"Application": {"spec", "source", "helm", "valuesObject"},
	"HelmRelease": {"spec", "values"},
}

// TestDocumentedValues: the API server accepts what the chart renders with the
// values that the documentation gives.
func TestDocumentedValues(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]int{"install.md": 2, "gitops.md": 3} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			all := documentedValues(t, file)
			if len(all) != want {
				t.Errorf("%d blocks have values, want %d", len(all), want)
			}
			for _, values := range all {
				for _, major := range shared.helms {
					dryRun(t, major, values)
				}
			}
		})
	}
}

// documentedValues are the blocks of a file that are named values, and the
// values in its objects of GitOps.
func documentedValues(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared.chart.Checkout, "docs", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, block := range shells.Blocks(string(text)) {
		if block.Name == "values" {
			all = append(all, block.Commands)
			continue
		}
		if block.Language != "yaml" {
			continue
		}
		for _, o := range parse(t, block.Commands) {
			values, found, err := unstructured.NestedMap(o.Object, inObject[o.GetKind()]...)
			if err != nil {
				t.Fatal(err)
			}
			if len(inObject[o.GetKind()]) == 0 || !found {
				continue
			}
			text, err := yaml.Marshal(values)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(text))
		}
	}
	return all
}

// TestQuota: the ResourceQuota that the guide gives for GKE is for drainer's
// priority class, and lets all its pods be replaced.
func TestQuota(t *testing.T) {
	t.Parallel()
	all := render(t, documentedValues(t, "install.md")[0])
	quota, deployment := all.find(t, "ResourceQuota", "drainer-critical"), all.find(t, "Deployment", "drainer")
	class := at(deployment, "spec", "template", "spec", "priorityClassName")
	if got := at(quota, "spec", "scopeSelector", "matchExpressions", 0, "values", 0); got != class {
		t.Errorf("the quota is for the class %v, the pods have %v", got, class)
	}
	if quota.GetNamespace() != deployment.GetNamespace() {
		t.Errorf("the quota is in namespace %s, the pods in %s", quota.GetNamespace(), deployment.GetNamespace())
	}
	pods, _ := at(quota, "spec", "hard", "pods").(float64)
	if replicas, _ := at(deployment, "spec", "replicas").(float64); pods < 2*replicas {
		t.Errorf("the quota is %v pods for %v replicas", pods, replicas)
	}
}
