package drain

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// BenchmarkStep is all that happens between an event and the next: snapshot,
// plan, what is remembered of it, and what is published.
func BenchmarkStep(b *testing.B) {
	for _, size := range []struct{ nodes, pods, apps int }{{1, 100, 10}, {50, 100, 100}, {500, 100, 1000}} {
		b.Run(fmt.Sprintf("nodes=%d/pods=%d/budgets=%d", size.nodes, size.pods, size.apps), func(b *testing.B) {
			v := fleet(size.nodes, size.pods, size.apps)
			c := New(Options{Config: testConfig(), Client: kubernetes.NewForConfigOrDie(&rest.Config{}), View: v, Observer: silent{}, QPS: rate.Inf, Workers: 1})
			for i := range size.apps {
				c.Ledger.Observe(&plan.Budget{
					Namespace: fmt.Sprintf("ns-%d", i/10), Name: fmt.Sprintf("pdb-%d", i), UID: types.UID(fmt.Sprint(i)), ResourceVersion: "1", Observed: true,
					Selector: labels.SelectorFromSet(labels.Set{"app": fmt.Sprint(i)}),
					Allowed:  int32(i % 3), CurrentHealthy: 100, DesiredHealthy: 99, ExpectedPods: 110,
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				if c.step(quiet()); len(c.plans) != size.nodes {
					b.Fatalf("%d nodes are planned", len(c.plans))
				}
			}
		})
	}
}

// fleet is nodes that have been draining for a minute, whose pods are spread
// over apps, ten apps to a namespace.
func fleet(nodes, pods, apps int) *view {
	v := &view{pods: map[string][]*plan.Pod{}}
	begun := time.Now().Add(-time.Minute)
	for i := range nodes {
		name := fmt.Sprintf("node-%04d", i)
		v.nodes = append(v.nodes, &plan.Node{
			Name: name, UID: types.UID(name), ResourceVersion: "1", Served: true, Ready: true, Unschedulable: true, OwnCordon: true, OwnStatus: true,
			Annotations: map[string]string{
				api.DrainAnnotation:  "r",
				api.StatusAnnotation: api.Status{Request: "r", Phase: api.Draining, RequestedAt: &begun, StartedAt: &begun}.Format(),
			},
		})
		for j := range pods {
			app := (i*pods + j) % apps
			pod := fmt.Sprintf("app%d-%d-%d", app, i, j)
			v.pods[name] = append(v.pods[name], &plan.Pod{
				Namespace: fmt.Sprintf("ns-%d", app/10), Name: pod, UID: types.UID(pod), Node: name, Phase: corev1.PodRunning, Ready: true,
				Labels: plan.LabelsOf(map[string]string{"app": fmt.Sprint(app)}), Controller: plan.Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", UID: types.UID(fmt.Sprint(app))},
			})
		}
	}
	return v
}
