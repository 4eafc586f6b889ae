package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster"
)

// Rate compares how fast drainer evicts what nothing holds up with a bare loop
// of the same number of concurrent POSTs that knows nothing.
type Rate struct {
	// Drainer and Loop are evictions per second, in pairs.
	Drainer, Loop []float64
	// Usage is what drainer's process took for the pods of one run.
	Usage Usage
	// HeapPerPod is what a watched pod takes of drainer's heap, in bytes, with
	// 100 pods on a node and the node's watch shared between them.
	HeapPerPod float64
}

const (
	ratePairs = 5
	rateNodes = 20
	rateEach  = 100
)

// Ratio is the median over the pairs.
func (r *Rate) Ratio() float64 {
	var ratios []float64
	for i := range r.Drainer {
		ratios = append(ratios, r.Drainer[i]/r.Loop[i])
	}
	return median(ratios)
}

func (s *stage) probeRate(ctx context.Context, p *Probes) (err error) {
	b, err := s.newBareScene(ctx, "rate", rateNodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clear(ctx)) }()
	r := &Rate{}
	if r.HeapPerPod, err = b.heapPerPod(ctx); err != nil {
		return err
	}
	for range ratePairs {
		for _, side := range []struct {
			rates *[]float64
			evict func(context.Context, *Rate) (string, error)
		}{{&r.Drainer, b.evictByDrainer}, {&r.Loop, b.evictByLoop}} {
			rate, err := b.rateOf(ctx, r, side.evict)
			if err != nil {
				return err
			}
			*side.rates = append(*side.rates, rate)
		}
	}
	p.Rate = r
	return nil
}

// heapPerPod lets drainer watch full nodes and keeps it from evicting.
func (b *bareScene) heapPerPod(ctx context.Context) (float64, error) {
	if err := b.fill(ctx, rateEach); err != nil {
		return 0, err
	}
	// One is sent, and the next in a year.
	p, _, err := b.startDrainer(ctx, b.namespace, "--max-draining=100%", "--allow-last-node", "--bare-pods=Evict", "--node-selector=scenario="+b.name,
		"--eviction-qps=0.00000003", "--eviction-burst=1")
	if err != nil {
		return 0, err
	}
	defer p.Kill()
	before, err := p.HeapBytes(ctx)
	if err != nil {
		return 0, err
	}
	for _, node := range b.nodes {
		if err := b.request(ctx, node, requestID); err != nil {
			return 0, err
		}
	}
	err = patience.Until(ctx, "all pods are watched", await.Holds(func() (bool, error) {
		m, err := p.Metrics(ctx)
		return err == nil && m.Sum("drainer_node_pods") >= float64(b.pods), err
	}))
	if err != nil {
		return 0, err
	}
	after, err := p.HeapBytes(ctx)
	if err != nil {
		return 0, err
	}
	p.Kill()
	now := int64(0)
	err = b.Client.CoreV1().Pods(b.namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	return (float64(after) - float64(before)) / float64(b.pods), errors.Join(err, b.release(ctx))
}

// rateOf fills the nodes, lets them be emptied, and reads from the API
// server's audit log how long that took.
func (b *bareScene) rateOf(ctx context.Context, r *Rate, evict func(context.Context, *Rate) (user string, err error)) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := b.renew(ctx); err != nil {
		return 0, err
	}
	if err := b.fill(ctx, rateEach); err != nil {
		return 0, err
	}
	user, err := evict(ctx, r)
	if err != nil {
		return 0, err
	}
	var first, last time.Time
	err = patience.Until(ctx, "the audit log has all evictions", await.Holds(func() (bool, error) {
		admitted := 0
		first, last = time.Time{}, time.Time{}
		_, err := b.Cluster.AuditOf(user, func(a *cluster.AuditEvent) bool {
			if a.Eviction() && a.ResponseStatus.Code/100 == 2 {
				admitted++
				if first.IsZero() || a.Received.Before(first) {
					first = a.Received
				}
				if a.Done.After(last) {
					last = a.Done
				}
			}
			return false
		})
		return admitted == b.pods, err
	}))
	if err != nil {
		return 0, err
	}
	return float64(b.pods) / last.Sub(first).Seconds(), b.release(ctx)
}

func (b *bareScene) evictByDrainer(ctx context.Context, r *Rate) (string, error) {
	p, user, err := b.startDrainer(ctx, b.namespace, append([]string{"--allow-last-node", "--bare-pods=Evict", "--node-selector=scenario=" + b.name}, noLimits...)...)
	if err != nil {
		return "", err
	}
	defer p.Kill()
	stop := b.profile(ctx, p, b.name)
	for _, node := range b.nodes {
		if err := b.request(ctx, node, requestID); err != nil {
			return "", err
		}
	}
	// A watch here would take the processor's time from drainer alone.
	err = patience.Until(ctx, "the pods are gone", await.Holds(func() (bool, error) {
		left, err := b.Client.CoreV1().Pods(b.namespace).List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil && len(left.Items) == 0, err
	}))
	if err != nil {
		return "", err
	}
	r.Usage, err = usageOf(ctx, p)
	return user, errors.Join(err, stop())
}

func (b *bareScene) evictByLoop(ctx context.Context, _ *Rate) (string, error) {
	kubeconfig := filepath.Join(b.dir, b.namespace+"-peer.kubeconfig")
	if err := b.Cluster.ServiceAccountKubeconfig(ctx, b.namespace, "peer", kubeconfig); err != nil {
		return "", err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return "", fmt.Errorf("reading the peer's kubeconfig: %w", err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", fmt.Errorf("making the peer's client: %w", err)
	}
	pods, err := client.CoreV1().Pods(b.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("listing the pods: %w", err)
	}
	return "system:serviceaccount:" + b.namespace + ":peer", b.inParallel(len(pods.Items), func(i int) error {
		return client.PolicyV1().Evictions(b.namespace).Evict(ctx, &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: pods.Items[i].Name},
		})
	})
}
