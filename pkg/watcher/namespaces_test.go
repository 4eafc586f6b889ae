package watcher

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/plan"
)

// TestNamespaces: what changes a label that a rule looks at asks for a plan, and what
// plans hold does not change.
func TestNamespaces(t *testing.T) {
	var asked counter
	w := New(nil, "", plan.Selectors{Rules: &plan.Rules{TrustedLabels: labels.SelectorFromSet(labels.Set{"team": "a"})}}, &asked)
	see := func(set map[string]string) {
		w.namespaceSeen(w.namespaceOf(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: set}}))
	}
	w.namespacesListed([]namespace{{name: "old"}})
	if _, known := w.NamespaceLabels()["old"]; !known || asked.wakes != 1 {
		t.Errorf("of the first list %v are known, woken %d times", w.NamespaceLabels(), asked.wakes)
	}
	see(nil)
	before := w.NamespaceLabels()
	if before["shop"] == nil || asked.wakes != 2 {
		t.Errorf("a new namespace is %v, woken %d times", before["shop"], asked.wakes)
	}
	see(map[string]string{"other": "x"})
	if asked.wakes != 2 {
		t.Error("a label that no rule looks at wakes somebody")
	}
	see(map[string]string{"other": "x", "team": "a"})
	if asked.wakes != 3 || w.NamespaceLabels()["shop"]["team"] != "a" {
		t.Errorf("woken %d times, known are %v", asked.wakes, w.NamespaceLabels())
	}
	if before["shop"]["team"] != "" {
		t.Error("what a plan may hold was changed")
	}
	w.namespaceGone(namespace{name: "shop"})
	if _, known := w.NamespaceLabels()["shop"]; known || asked.wakes != 4 {
		t.Errorf("one that is gone is known: %v, woken %d times", known, asked.wakes)
	}
	w.namespacesListed([]namespace{{name: "new", labels: labels.Set{}}})
	if all := w.NamespaceLabels(); len(all) != 1 || all["new"] == nil {
		t.Errorf("after another list %v are known", all)
	}
}
