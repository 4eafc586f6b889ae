package watcher

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// BenchmarkSnapshot is what a plan is made from, after one pod has changed.
func BenchmarkSnapshot(b *testing.B) {
	for _, nodes := range []int{5, 500} {
		b.Run(fmt.Sprintf("nodes=%d/pods=100", nodes), func(b *testing.B) {
			w := New(nil, "", plan.Selectors{}, &counter{})
			var changing *plan.Pod
			for i := range nodes {
				name := fmt.Sprintf("node-%d", i)
				w.nodes[name] = &plan.Node{Name: name}
				p := &nodePods{pods: map[types.UID]*plan.Pod{}, synced: true}
				for j := range 100 {
					changing = &plan.Pod{Namespace: "ns", Name: fmt.Sprintf("pod-%d", j), UID: types.UID(fmt.Sprintf("%d-%d", i, j)), Node: name}
					p.set(changing)
				}
				w.pods[name] = p
			}
			b.ReportAllocs()
			for b.Loop() {
				w.pods[changing.Node].set(changing)
				if len(w.Nodes()) != nodes || len(w.Pods()) != nodes {
					b.Fatalf("%d nodes, pods of %d", len(w.Nodes()), len(w.Pods()))
				}
			}
		})
	}
}
