package watcher

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// namespace is a Namespace that was seen, with the labels that rules look at.
type namespace struct {
	name   string
	labels labels.Set
}

// watchNamespaces watches the labels of namespaces. A Namespace is little more than
// its metadata, so nothing would be gained by asking for the metadata alone.
func (w *Watcher) watchNamespaces() <-chan struct{} {
	client := w.client.CoreV1().Namespaces()
	listed, first := once()
	return start(w, w.ctx, "namespaces", "", listed, lists(client.List, client.Watch, everything), &corev1.Namespace{}, sink[*corev1.Namespace, namespace]{
		convert: func(ns *corev1.Namespace) namespace { return w.namespaceOf(ns) },
		put:     w.namespaceSeen,
		remove:  w.namespaceGone,
		replace: func(all []namespace) { w.namespacesListed(all); first() },
	})
}

func (w *Watcher) namespaceOf(ns *corev1.Namespace) namespace {
	return namespace{name: ns.Name, labels: w.texts.shared(w.selectors.Rules.LabelsOf(ns))}
}

// namespaceSeen asks for a plan if a label has changed that a rule looks at.
func (w *Watcher) namespaceSeen(ns namespace) {
	w.changeNamespaces(func(all map[string]labels.Set) bool {
		was, known := all[ns.name]
		all[ns.name] = ns.labels
		return !known || !maps.Equal(was, ns.labels)
	})
}

func (w *Watcher) namespaceGone(ns namespace) {
	w.changeNamespaces(func(all map[string]labels.Set) bool {
		delete(all, ns.name)
		return true
	})
}

func (w *Watcher) namespacesListed(list []namespace) {
	w.changeNamespaces(func(all map[string]labels.Set) bool {
		clear(all)
		for _, ns := range list {
			all[ns.name] = ns.labels
		}
		return true
	})
}

// changeNamespaces changes what is known in one step. Plans read it without a lock,
// so it is copied.
func (w *Watcher) changeNamespaces(change func(map[string]labels.Set) bool) {
	w.mu.Lock()
	all := make(map[string]labels.Set, len(w.namespaces)+1)
	maps.Copy(all, w.namespaces)
	changed := change(all)
	if changed {
		w.namespaces = all
	}
	w.mu.Unlock()
	if changed {
		w.planner.Wake()
	}
}

// NamespaceLabels implements drain.View.
func (w *Watcher) NamespaceLabels() map[string]labels.Set {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.namespaces
}
