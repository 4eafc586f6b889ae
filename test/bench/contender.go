package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"drainer.dev/drainer/test/cluster/daemon"
)

// contender is a way to drain nodes.
type contender struct {
	name string
	// once is true for a model, which runs in the first round only: they are
	// slow, and vary little.
	once bool
	// prepare gets ready; drain is timed, and need not wait for the end; the
	// function that prepare returns takes the contender away.
	prepare func(context.Context, *run1) (drain func(context.Context) error, end func() Usage, err error)
}

// Usage is what a contender cost, where it can be known.
type Usage struct {
	// RSS is in bytes, CPU in seconds.
	RSS, CPU float64 `json:",omitempty"`
}

func contenders(sc Scenario) []contender {
	list := []contender{
		{name: "drainer", prepare: drainer},
		{name: "kubectl drain, a process for each node", prepare: kubectlParallel},
		{name: "kubectl drain, all nodes in one command", prepare: kubectlOne},
	}
	if sc.Polling {
		list = append(list,
			contender{name: "model: retry every 20 s", once: true, prepare: polling(func(int) time.Duration { return 20 * time.Second })},
			contender{name: "model: retry after 0.1 s doubling to 10 s", once: true, prepare: polling(exponential)},
			contender{name: "model: retry every 5 s, pause 60 s after 90 s", once: true, prepare: polling(windows)},
		)
	}
	return list
}

func exponential(failures int) time.Duration {
	d := 100 * time.Millisecond
	for range failures - 1 {
		if d *= 2; d >= 10*time.Second {
			return 10 * time.Second
		}
	}
	return d
}

// windows: after 18 tries of 5 s a window of 90 s is over.
func windows(failures int) time.Duration {
	if failures%18 == 0 {
		return time.Minute
	}
	return 5 * time.Second
}

// drainer runs with limits that do not bind.
func drainer(ctx context.Context, r *run1) (func(context.Context) error, func() Usage, error) {
	base := filepath.Join(r.dir, r.namespace)
	if err := r.cluster.ServiceAccountKubeconfig(ctx, r.namespace, "drainer", base+".kubeconfig"); err != nil {
		return nil, nil, err
	}
	r.user = "system:serviceaccount:" + r.namespace + ":drainer"
	p, err := daemon.Start(r.drainer, base+".log", nil,
		"--kubeconfig="+base+".kubeconfig", "--leader-elect-resource-namespace="+r.namespace, "--node-selector=scenario="+r.Name,
		"--max-draining=100%", "--eviction-qps=0", "--eviction-workers=50", "--kube-api-qps=1000", "--kube-api-burst=1000")
	if err != nil {
		return nil, nil, err
	}
	for !p.Ready() || !leads(p) {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	drain := func(ctx context.Context) error {
		for _, node := range r.drained {
			patch := []byte(`{"metadata":{"annotations":{"drainer.dev/drain":"bench"}}}`)
			if _, err := r.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				return fmt.Errorf("annotating node %s: %w", node, err)
			}
		}
		return nil
	}
	end := func() Usage {
		var u Usage
		if m, err := p.Metrics(); err == nil {
			u = Usage{RSS: m.Sum("process_resident_memory_bytes"), CPU: m.Sum("process_cpu_seconds_total")}
		}
		p.Kill()
		return u
	}
	return drain, end, nil
}

func leads(p *daemon.Process) bool {
	m, err := p.Metrics()
	return err == nil && m.Sum("leader_election_master_status") == 1
}

// peer is a client of its own for whoever drains beside drainer.
func (r *run1) peer(ctx context.Context) (kubeconfig string, err error) {
	kubeconfig = filepath.Join(r.dir, r.namespace+".kubeconfig")
	r.user = "system:serviceaccount:" + r.namespace + ":peer"
	return kubeconfig, r.cluster.ServiceAccountKubeconfig(ctx, r.namespace, "peer", kubeconfig)
}

// kubectlParallel is what people do today.
func kubectlParallel(ctx context.Context, r *run1) (func(context.Context) error, func() Usage, error) {
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
	}, func() Usage { return Usage{} }, err
}

func kubectlOne(ctx context.Context, r *run1) (func(context.Context) error, func() Usage, error) {
	kubeconfig, err := r.peer(ctx)
	return func(ctx context.Context) error { return r.kubectl(ctx, kubeconfig, r.drained...) }, func() Usage { return Usage{} }, err
}

func (r *run1) kubectl(ctx context.Context, kubeconfig string, nodes ...string) error {
	command := exec.CommandContext(ctx, r.cluster.Kubectl(), append([]string{
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
func polling(delay func(failures int) time.Duration) func(context.Context, *run1) (func(context.Context) error, func() Usage, error) {
	return func(ctx context.Context, r *run1) (func(context.Context) error, func() Usage, error) {
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
		return func(ctx context.Context) error { return r.poll(ctx, client, delay) }, func() Usage { return Usage{} }, nil
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
