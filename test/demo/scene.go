package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

const (
	namespace = "demo"
	// nodes are in the cluster, the first drained of which are drained.
	nodes, drained = 6, 3
)

func nodeName(i int) string { return fmt.Sprintf("node-%d", i+1) }

// createScene makes what is to be drained, and waits until it runs.
func createScene(ctx context.Context, client kubernetes.Interface) error {
	for i := range nodes {
		if err := workload.Create(ctx, client, workload.Node(nodeName(i), nil)); err != nil {
			return err
		}
	}
	quick := func(name string, replicas int, start, stop time.Duration) workload.Spec {
		return workload.Spec{Namespace: namespace, Name: name, Replicas: replicas, Start: start, Stop: stop}
	}
	if err := workload.Create(ctx, client,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		workload.DaemonSet(quick("agent", 0, 100*time.Millisecond, time.Second)),
		workload.Deployment(quick("web", 24, 500*time.Millisecond, time.Second)),
		workload.MaxUnavailable(namespace, "web", "web", "25%"),
		// Its pods take their time, one after the other: this one holds back.
		workload.Deployment(quick("checkout", 10, 3*time.Second, time.Second)),
		workload.MaxUnavailable(namespace, "checkout", "checkout", "1"),
		workload.StatefulSet(quick("db", 3, time.Second, 2*time.Second)),
		workload.MaxUnavailable(namespace, "db", "db", "1"),
		workload.Job(quick("batch", 4, 500*time.Millisecond, time.Second)),
	); err != nil {
		return err
	}
	const pods = nodes + 24 + 10 + 3 + 4
	return awaitReadyPods(ctx, client, pods)
}

func awaitReadyPods(ctx context.Context, client kubernetes.Interface, wanted int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	pods := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", namespace, fields.Everything())
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

// view is what a node says of itself.
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

// watchNodes calls look whenever a node changes, and now and then besides,
// until it says that it has seen enough.
func watchNodes(ctx context.Context, client kubernetes.Interface, look func(map[string]view) (bool, error)) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	w, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	defer w.Stop()
	seen := map[string]view{}
	for i := range list.Items {
		seen[list.Items[i].Name] = viewOf(&list.Items[i])
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := look(seen); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case event := <-w.ResultChan():
			n, ok := event.Object.(*corev1.Node)
			if !ok {
				return fmt.Errorf("the watch of nodes broke: %v", event)
			}
			seen[n.Name] = viewOf(n)
		}
	}
}

func allDrained(seen map[string]view) bool {
	for i := range drained {
		if v := seen[nodeName(i)]; v.drained != request || v.status.Phase != api.Drained {
			return false
		}
	}
	return true
}

func allReleased(seen map[string]view) bool {
	for _, v := range seen {
		if v.unschedulable || v.ours {
			return false
		}
	}
	return len(seen) == nodes
}

// checkDrained looks, without drainer's help, that only the DaemonSet's pods
// are left on the drained nodes.
func checkDrained(ctx context.Context, client kubernetes.Interface) error {
	for i := range drained {
		pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", nodeName(i)).String(),
		})
		if err != nil {
			return fmt.Errorf("listing the pods of %s: %w", nodeName(i), err)
		}
		for _, p := range pods.Items {
			if p.Labels[workload.AppLabel] != "agent" {
				return fmt.Errorf("%s is reported drained and still has pod %s", nodeName(i), p.Name)
			}
		}
		if len(pods.Items) != 1 {
			return fmt.Errorf("%s has %d pods, want the one of the DaemonSet", nodeName(i), len(pods.Items))
		}
	}
	return nil
}
