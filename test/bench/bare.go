package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// A bare scene has nodes without a kubelet, nor kwok in its place, and pods
// that nothing controls: they are gone as soon as they are evicted, and nothing
// but the API server has work with them.
type bareScene struct {
	*stage
	name, namespace string
	nodes           []string
	pods            int
}

// bareApp is the label of all pods of bare scenes.
const bareApp = "bare"

func (*bareScene) podName(i int) string { return fmt.Sprintf("pod-%05d", i) }

// newBareScene makes the nodes; it belongs to the probe of the name.
func (s *stage) newBareScene(ctx context.Context, name string, nodes int) (*bareScene, error) {
	b := &bareScene{stage: s, name: name}
	for i := range nodes {
		b.nodes = append(b.nodes, fmt.Sprintf("%s-%04d", name, i))
	}
	err := s.inParallel(nodes, func(i int) error {
		return workload.Create(ctx, s.Client, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: b.nodes[i], Labels: map[string]string{"scenario": name}},
			Status: corev1.NodeStatus{
				Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Bench", LastHeartbeatTime: metav1.Now()}},
				Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("250")},
			},
		})
	})
	if err != nil {
		return nil, err
	}
	return b, b.renew(ctx)
}

// renew begins a new namespace, so that what is done there can be told apart.
func (b *bareScene) renew(ctx context.Context) error {
	b.runs++
	b.namespace, b.pods = fmt.Sprintf("bench-%03d", b.runs), 0
	if err := workload.Create(ctx, b.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}); err != nil {
		return err
	}
	if err := daemon.InstallAccount(ctx, b.Client, b.namespace); err != nil {
		return err
	}
	return (&run1{stage: b.stage, namespace: b.namespace}).account(ctx, "peer")
}

// fill adds pods to every node.
func (b *bareScene) fill(ctx context.Context, each int) error {
	now, first := int64(0), b.pods
	b.pods += each * len(b.nodes)
	return b.inParallel(each*len(b.nodes), func(i int) error {
		return workload.Create(ctx, b.Client, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: b.podName(first + i), Labels: map[string]string{workload.AppLabel: bareApp}},
			Spec: corev1.PodSpec{
				NodeName: b.nodes[i%len(b.nodes)], TerminationGracePeriodSeconds: &now,
				Containers: []corev1.Container{{Name: "main", Image: "registry.k8s.io/pause:3.10"}},
			},
		})
	})
}

// inParallel does n things, many at once.
func (*stage) inParallel(n int, do func(int) error) error {
	var workers sync.WaitGroup
	next := make(chan int)
	failed := make([]error, concurrency)
	for w := range concurrency {
		workers.Go(func() {
			for i := range next {
				if failed[w] == nil {
					failed[w] = do(i)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	return errors.Join(failed...)
}

// awaitGone follows the deletions of pods until so many have been seen.
func awaitGone(ctx context.Context, pods watch.Interface, n int) error {
	for gone := 0; gone < n; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods are gone: %w", gone, n, ctx.Err())
		case event := <-pods.ResultChan():
			switch event.Type {
			case watch.Deleted:
				gone++
			case watch.Error, "":
				return fmt.Errorf("the watch of pods broke: %v", event)
			}
		}
	}
	return nil
}

// release takes all requests back and what they left.
func (b *bareScene) release(ctx context.Context) error {
	return (&run1{stage: b.stage}).cordon(ctx, b.nodes, false)
}

// clear takes the scene away.
func (b *bareScene) clear(ctx context.Context) error {
	now := int64(0)
	gone := metav1.DeleteOptions{GracePeriodSeconds: &now}
	of := metav1.ListOptions{LabelSelector: "scenario=" + b.name}
	if err := b.Client.CoreV1().Pods(b.namespace).DeleteCollection(ctx, gone, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting the pods: %w", err)
	}
	if err := b.Client.CoreV1().Nodes().DeleteCollection(ctx, gone, of); err != nil {
		return fmt.Errorf("deleting the nodes: %w", err)
	}
	return nil
}
