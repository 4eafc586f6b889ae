package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// The contenders. A model is a polling evictor of a few lines.
const (
	ours            = "drainer"
	kubectlParallel = "kubectl drain, a process for each node"
	kubectlOne      = "kubectl drain, all nodes in one command"
	every20s        = "model: retry every 20 s"
	doubling        = "model: retry after 0.1 s doubling to 10 s"
	windows         = "model: retry every 5 s, pause 60 s after 90 s"
)

// prepare gets a contender ready. What it returns drains, is timed, and need
// not wait for the end; and takes the contender away.
type prepare func(context.Context, *run1) (drain func(context.Context) error, end func(context.Context) (Usage, error), err error)

// contenders are the ways to drain nodes.
var contenders = map[string]prepare{
	ours:            drainNodes,
	kubectlParallel: drainInParallel,
	kubectlOne:      drainInOneCommand,
	every20s:        polling(func(int) time.Duration { return 20 * time.Second }),
	doubling:        polling(exponential),
	windows:         polling(window),
}

// Usage is what a contender cost, where it can be known.
type Usage struct {
	// RSS is in bytes, CPU in seconds.
	RSS, CPU float64 `json:",omitempty"`
	// Plans is how many plans were made, PlanMean and PlanP99 how long they
	// took in seconds; P99 is the upper bound of a histogram's bucket.
	Plans, PlanMean, PlanP99 float64 `json:",omitempty"`
	// Answer is how long an eviction took to be answered in the mean, in seconds.
	Answer float64 `json:",omitempty"`
	// Termination is how long a pod took from then until it was gone in the mean, in
	// seconds.
	Termination float64 `json:",omitempty"`
}

func nothing(context.Context) (Usage, error) { return Usage{}, nil }

func exponential(failures int) time.Duration {
	d := 100 * time.Millisecond
	for range failures - 1 {
		if d *= 2; d >= 10*time.Second {
			return 10 * time.Second
		}
	}
	return d
}

// window: after 18 tries of 5 s a window of 90 s is over.
func window(failures int) time.Duration {
	if failures%18 == 0 {
		return time.Minute
	}
	return 5 * time.Second
}

// drainNodes lets drainer drain, with limits that do not bind.
func drainNodes(ctx context.Context, r *run1) (func(context.Context) error, func(context.Context) (Usage, error), error) {
	p, user, err := r.startDrainer(ctx, r.namespace, append(slices.Clone(noLimits), "--node-selector=scenario="+r.Name)...)
	if err != nil {
		return nil, nil, err
	}
	r.user = user
	drain := func(ctx context.Context) error {
		for _, node := range r.drained {
			if err := r.request(ctx, node, requestID); err != nil {
				return err
			}
		}
		return nil
	}
	stop := r.profile(ctx, p, r.Name)
	return drain, func(ctx context.Context) (Usage, error) {
		defer p.Kill()
		usage, err := usageOf(ctx, p)
		return usage, errors.Join(err, stop())
	}, nil
}

// peer is a client of its own for whoever drains beside drainer.
func (r *run1) peer(ctx context.Context) (kubeconfig string, err error) {
	kubeconfig = filepath.Join(r.dir, r.namespace+".kubeconfig")
	r.user = "system:serviceaccount:" + r.namespace + ":peer"
	return kubeconfig, r.Cluster.ServiceAccountKubeconfig(ctx, r.namespace, "peer", kubeconfig)
}

// drainInParallel is what people do today.
func drainInParallel(ctx context.Context, r *run1) (func(context.Context) error, func(context.Context) (Usage, error), error) {
	kubeconfig, err := r.peer(ctx)
	return func(ctx context.Context) error {
		failures := make(chan error, len(r.drained))
		for _, node := range r.drained {
			go func() { failures <- r.kubectl(ctx, kubeconfig, node) }()
		}
		var first error
		for range r.drained {
			if err := <-failures; first == nil {
				first = err
			}
		}
		return first
	}, nothing, err
}

func drainInOneCommand(ctx context.Context, r *run1) (func(context.Context) error, func(context.Context) (Usage, error), error) {
	kubeconfig, err := r.peer(ctx)
	return func(ctx context.Context) error { return r.kubectl(ctx, kubeconfig, r.drained...) }, nothing, err
}

func (r *run1) kubectl(ctx context.Context, kubeconfig string, nodes ...string) error {
	command := exec.CommandContext(ctx, r.Cluster.Kubectl(), append([]string{
		"--kubeconfig=" + kubeconfig, "drain", "--ignore-daemonsets", "--delete-emptydir-data",
	}, nodes...)...)
	command.Env = append(os.Environ(), "HOME="+r.dir)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl drain %v: %w\n%.2000s", nodes, err, out)
	}
	return nil
}

// polling models an evictor that tries each pod again after the delay for its
// n-th refusal, as controllers do that do not watch budgets.
func polling(delay func(failures int) time.Duration) prepare {
	return func(ctx context.Context, r *run1) (func(context.Context) error, func(context.Context) (Usage, error), error) {
		kubeconfig, err := r.peer(ctx)
		if err != nil {
			return nil, nil, err
		}
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the peer's kubeconfig: %w", err)
		}
		config.QPS = -1
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, nil, fmt.Errorf("making the peer's client: %w", err)
		}
		return func(ctx context.Context) error { return r.poll(ctx, client, delay) }, nothing, nil
	}
}

func (r *run1) poll(ctx context.Context, client kubernetes.Interface, delay func(int) time.Duration) error {
	var evictors sync.WaitGroup
	failures := make(chan error, r.pods())
	for _, node := range r.drained {
		patch := []byte(`{"spec":{"unschedulable":true}}`)
		if _, err := client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("cordoning node %s: %w", node, err)
		}
		pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		})
		if err != nil {
			return fmt.Errorf("listing the pods of node %s: %w", node, err)
		}
		for _, pod := range pods.Items {
			evictors.Go(func() { failures <- evict(ctx, client, pod.Namespace, pod.Name, delay) })
		}
	}
	evictors.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func evict(ctx context.Context, client kubernetes.Interface, namespace, name string, delay func(int) time.Duration) error {
	for refused := 1; ; refused++ {
		err := client.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
		if err == nil || apierrors.IsNotFound(err) {
			return nil
		}
		if !apierrors.IsTooManyRequests(err) {
			return fmt.Errorf("evicting %s/%s: %w", namespace, name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay(refused)):
		}
	}
}
