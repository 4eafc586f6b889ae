package apiserver

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/sim"
)

// TestObserve: an observer is told of an eviction in order, and of who changed
// what.
func TestObserve(t *testing.T) {
	play(t, func(s *stage) {
		var told []string
		note := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
		s.Observe(Observer{
			Received: func(r Request) { note("received %s", r.Subresource) },
			Handled:  func(r Request, code int) { note("handled %s %d", r.Subresource, code) },
			Answered: func(r Request) { note("answered %s %d", r.Subresource, r.Code) },
			Changed: func(c sim.Change, client string) {
				switch o := c.Object.(type) {
				case *corev1.Pod:
					if o.Name == "web-1" && (o.DeletionTimestamp != nil || c.Type == watch.Deleted) {
						note("%s %s by %q", o.Name, c.Type, client)
					}
				case *corev1.Node:
					note("%s by %q", o.Name, client)
				}
			},
		})
		var pod *corev1.Pod
		s.Do(func(c *sim.Cluster) { pod = c.Pod(sim.Key{Namespace: "shop", Name: "web-1"}) })
		if err := s.evict("web-1", pod.UID); err != nil {
			t.Fatal(err)
		}
		shown(s.pods(), 1)
		if err := s.EditNode("n1", "kubectl", func(n *corev1.Node) { n.Spec.Unschedulable = true }); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"received eviction", "handled eviction 201", `web-1 MODIFIED by "test"`, "answered eviction 201", `n1 by ""`,
		}
		told = slices.DeleteFunc(told, func(line string) bool { return !slices.Contains(want, line) })
		if !slices.Equal(told, want) {
			t.Errorf("the observer is told %q, want %q", told, want)
		}
	})
}
