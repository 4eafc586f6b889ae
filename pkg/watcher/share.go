package watcher

import (
	"sync"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// mostTexts bounds the texts that are kept for sharing.
const mostTexts = 4096

// texts lets equal texts share memory: each pod that is received has its own
// copy of the names of its node, its controller and its labels.
type texts struct {
	mu    sync.Mutex
	known map[string]string
}

// pod replaces the texts of a pod by shared ones. Nobody else may have the pod
// yet.
func (t *texts) pod(p *plan.Pod) *plan.Pod {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.Namespace, p.Node = t.one(p.Namespace), t.one(p.Node)
	p.Controller = plan.Owner{
		APIVersion: t.one(p.Controller.APIVersion), Kind: t.one(p.Controller.Kind),
		Name: t.one(p.Controller.Name), UID: types.UID(t.one(string(p.Controller.UID))),
	}
	p.Placement = t.one(p.Placement)
	p.Labels = plan.Labels(t.one(string(p.Labels)))
	return p
}

// node replaces the texts of a node's labels by shared ones. Nobody else may
// have the node yet.
func (t *texts) node(n *plan.Node) *plan.Node {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.Labels = t.set(n.Labels)
	return n
}

// shared are labels that share their texts with others.
func (t *texts) shared(all labels.Set) labels.Set {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set(all)
}

func (t *texts) set(all labels.Set) labels.Set {
	if all == nil {
		return nil
	}
	shared := make(labels.Set, len(all))
	for key, value := range all {
		shared[t.one(key)] = t.one(value)
	}
	return shared
}

// one is the shared copy of a text. When there are too many texts, all are
// forgotten, and those in use are soon stored again: most texts belong to a
// single pod.
func (t *texts) one(s string) string {
	if known, ok := t.known[s]; ok {
		return known
	}
	if t.known == nil || len(t.known) >= mostTexts {
		t.known = map[string]string{}
	}
	t.known[s] = s
	return s
}
