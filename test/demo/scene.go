package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// createScene makes what is to be drained, and waits until it runs.
func (s *stage) createScene(ctx context.Context) error {
	quick := func(name string, replicas int, start, stop time.Duration) workload.Spec {
		return workload.Spec{
			Namespace: s.namespace, Name: name, Replicas: replicas, Start: start, Stop: stop, Pod: s.place,
		}
	}
	if err := workload.Create(ctx, s.client,
		workload.DaemonSet(quick("agent", 0, 100*time.Millisecond, time.Second)),
		workload.Deployment(quick("web", 24, 500*time.Millisecond, time.Second)),
		workload.MaxUnavailable(s.namespace, "web", "web", "25%"),
		// Its pods are slow, one after the other: this one delays the drain.
		workload.Deployment(quick("checkout", 10, 2*time.Second, time.Second)),
		workload.MaxUnavailable(s.namespace, "checkout", "checkout", "1"),
		workload.StatefulSet(quick("db", 3, time.Second, 2*time.Second)),
		workload.MaxUnavailable(s.namespace, "db", "db", "1"),
		workload.Job(quick("batch", 4, 500*time.Millisecond, time.Second)),
	); err != nil {
		return err
	}
	if err := s.createLegacy(ctx); err != nil {
		return err
	}
	return s.awaitReadyPods(ctx, len(s.nodes)+24+10+3+4+1)
}

// place keeps pods on the nodes that are used.
func (s *stage) place(p *corev1.PodTemplateSpec) {
	if len(s.hosts) == 0 {
		return
	}
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: s.hosts,
			}},
		}}},
	}}
}

func (s *stage) awaitReadyPods(ctx context.Context, wanted int) error {
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	pods := cache.NewListWatchFromClient(s.client.CoreV1().RESTClient(), "pods", s.namespace, fields.Everything())
	ready := map[string]bool{}
	_, err := watchtools.UntilWithSync(ctx, pods, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		delete(ready, pod.Name)
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && event.Type != watch.Deleted {
				ready[pod.Name] = true
			}
		}
		return len(ready) == wanted, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %d ready pods, there are %d: %w", wanted, len(ready), err)
	}
	return nil
}

// view is what a node says about its drain.
type view struct {
	unschedulable bool
	// drained is the request for which the node is drained.
	drained string
	status  api.Status
	// ours is true while anything of drainer's is on the node.
	ours bool
}

func viewOf(n *corev1.Node) view {
	v := view{unschedulable: n.Spec.Unschedulable, drained: n.Annotations[api.DrainedAnnotation]}
	if text, ours := n.Annotations[api.StatusAnnotation]; ours {
		v.ours = true
		v.status, _ = api.ParseStatus(text)
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeDrainInProgress || c.Type == corev1.NodeDrained {
			v.ours = true
		}
	}
	return v
}

// viewsOf are what the nodes that are used say, by their names.
func (s *stage) viewsOf(list *corev1.NodeList) map[string]view {
	seen := map[string]view{}
	for i := range list.Items {
		if n := &list.Items[i]; s.uses(n.Name) {
			seen[n.Name] = viewOf(n)
		}
	}
	return seen
}

// watchNodes calls look whenever a node changes, and regularly in between,
// until look returns true. It ends if drainer ends.
func (s *stage) watchNodes(ctx context.Context, look func(map[string]view) (bool, error)) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := s.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing nodes: %w", err)
		}
		w, err := s.client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
		if err != nil {
			return fmt.Errorf("watching nodes: %w", err)
		}
		done, err := s.follow(ctx, w, tick.C, s.viewsOf(list), look)
		w.Stop()
		if done || err != nil {
			return err
		}
	}
}

// follow is false without an error when the watch has ended.
func (s *stage) follow(
	ctx context.Context, w watch.Interface, tick <-chan time.Time, seen map[string]view, look func(map[string]view) (bool, error),
) (bool, error) {
	for {
		if done, err := look(seen); done || err != nil {
			return done, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-tick:
		case event := <-w.ResultChan():
			n, ok := event.Object.(*corev1.Node)
			if !ok {
				return false, nil
			}
			if s.uses(n.Name) {
				seen[n.Name] = viewOf(n)
			}
		}
	}
}

func (s *stage) allDrained(seen map[string]view, _ daemon.Metrics) bool {
	for _, node := range s.drained() {
		if v := seen[node]; v.drained != request || v.status.Phase != api.Drained {
			return false
		}
	}
	return true
}

func (s *stage) allReleased(seen map[string]view) bool {
	for _, v := range seen {
		if v.unschedulable || v.ours {
			return false
		}
	}
	return len(seen) == len(s.nodes)
}

// checkDrained looks, without drainer's help, that only the DaemonSets' and
// static pods are left on the drained nodes.
func (s *stage) checkDrained(ctx context.Context) error {
	for _, node := range s.drained() {
		pods, err := s.podsOf(ctx, node)
		if err != nil {
			return err
		}
		agents := 0
		for i := range pods {
			if !stays(&pods[i]) {
				return fmt.Errorf("%s is reported drained and still has pod %s", node, pods[i].Name)
			}
			if pods[i].Namespace == s.namespace {
				agents++
			}
		}
		if agents != 1 {
			return fmt.Errorf("%s has %d pods of the demonstration, want the one of the DaemonSet", node, agents)
		}
	}
	return nil
}
