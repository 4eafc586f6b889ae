package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/test/await"
)

// Neighbour is how long another client's requests take while nodes are emptied.
type Neighbour struct {
	// Alone is while nobody evicts anything, Loop beside a bare loop that sends the
	// same evictions at the same rate as drainer, Drainer beside drainer.
	Alone, Loop, Drainer Spread
	// Later is of those beside drainer that are sent after neighbourStart: by then all
	// nodes are cordoned and watched.
	Later Spread
}

// Spread is of the times that requests took, in seconds.
type Spread struct {
	Requests      int
	P50, P95, P99 float64
}

// sample is a request: how long after the first it was sent, and how long it took, in
// seconds.
type sample struct {
	after time.Duration
	took  float64
}

// spreadOf is of the requests that were sent so long after the first, or later.
func spreadOf(samples []sample, from time.Duration) Spread {
	var all latencies
	for _, s := range samples {
		if s.after >= from {
			all = append(all, s.took)
		}
	}
	slices.Sort(all)
	return Spread{len(all), all.quantile(.5), all.quantile(.95), all.quantile(.99)}
}

// line is a sentence about it.
func (n *Neighbour) line() string {
	of := func(s Spread) string {
		return fmt.Sprintf("p99 %.0f ms (p95 %.0f ms, p50 %.1f ms, %d requests)", 1000*s.P99, 1000*s.P95, 1000*s.P50, s.Requests)
	}
	later := ""
	if n.Later.Requests > 0 {
		later = fmt.Sprintf(" (%s of those that are sent after the first %v)", of(n.Later), neighbourStart)
	}
	return fmt.Sprintf("its requests take %s beside drainer%s, %s beside a bare loop that sends the same evictions at the same rate, and %s beside neither.",
		of(n.Drainer), later, of(n.Loop), of(n.Alone))
}

const (
	neighbourNodes  = 500
	neighbourEach   = 20
	neighbourAsked  = 100
	neighbourRounds = 2
	// neighbourPace is between two of its requests, and neighbourAlone how long it is
	// measured while nobody evicts: about as long as the evictions take.
	neighbourPace  = 50 * time.Millisecond
	neighbourAlone = 40 * time.Second
	// neighbourStart is how long the nodes are cordoned and their pods listed, at most.
	neighbourStart = 5 * time.Second
	// These are drainer's defaults.
	evictionQPS, evictionBurst, evictionWorkers = 50, 100, 10
)

func (s *stage) probeNeighbour(ctx context.Context, p *Probes) (err error) {
	b, err := s.newBareScene(ctx, "neighbour", neighbourNodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.empty(ctx), b.clear(ctx)) }()
	if err := b.fill(ctx, neighbourEach); err != nil {
		return err
	}
	sides := []func(context.Context) ([]sample, error){b.besideNobody, b.besideLoop, b.besideDrainer}
	times := make([][]sample, len(sides))
	for range neighbourRounds {
		for i, measure := range sides {
			took, err := measure(ctx)
			if err != nil {
				return err
			}
			times[i] = append(times[i], took...)
		}
	}
	p.Neighbour = &Neighbour{
		Alone: spreadOf(times[0], 0), Loop: spreadOf(times[1], 0), Drainer: spreadOf(times[2], 0), Later: spreadOf(times[2], neighbourStart),
	}
	return nil
}

// beside measures the neighbour's requests while something else is done.
func (b *bareScene) beside(ctx context.Context, busy func() error) ([]sample, error) {
	config := b.Cluster.Config()
	// A connection of its own.
	config.Dial = (&net.Dialer{}).DialContext
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the neighbour's client: %w", err)
	}
	requests := []func() error{
		func() error {
			_, err := client.CoreV1().Nodes().Get(ctx, b.nodes[len(b.nodes)-1], metav1.GetOptions{})
			return err
		},
		func() error {
			_, err := client.CoreV1().Pods(b.namespace).List(ctx, metav1.ListOptions{Limit: 100})
			return err
		},
		func() error {
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"now":"%d"}}}`, time.Now().UnixNano())
			_, err := client.CoreV1().Namespaces().Patch(ctx, b.namespace, types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		},
	}
	done := make(chan error, 1)
	go func() { done <- busy() }()
	return timed(requests, done)
}

// timed sends the requests one after the other, at their pace, however long each takes, until
// done says how that ended.
func timed(requests []func() error, done <-chan error) ([]sample, error) {
	var mu sync.Mutex
	var all []sample
	var failed error
	var underWay sync.WaitGroup
	first := time.Now()
	pace := time.NewTicker(neighbourPace)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case err := <-done:
			underWay.Wait()
			return all, errors.Join(err, failed)
		case <-pace.C:
		}
		underWay.Go(func() {
			begun := time.Now()
			err := requests[i%len(requests)]()
			took := time.Since(begun).Seconds()
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, sample{begun.Sub(first), took}), errors.Join(failed, err)
		})
	}
}

func (b *bareScene) besideNobody(ctx context.Context) ([]sample, error) {
	return b.beside(ctx, func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(neighbourAlone):
			return nil
		}
	})
}

// besideLoop evicts the pods of the nodes as fast as drainer does by default.
func (b *bareScene) besideLoop(ctx context.Context) ([]sample, error) {
	pods, err := b.podsOfAsked(ctx)
	if err != nil {
		return nil, err
	}
	limit, turns := rate.NewLimiter(evictionQPS, evictionBurst), make(chan struct{}, evictionWorkers)
	took, err := b.beside(ctx, func() error {
		return b.inParallel(len(pods), func(i int) error {
			turns <- struct{}{}
			defer func() { <-turns }()
			if err := limit.Wait(ctx); err != nil {
				return err
			}
			eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: pods[i]}}
			return b.Client.PolicyV1().Evictions(b.namespace).Evict(ctx, eviction)
		})
	})
	return took, errors.Join(err, b.refill(ctx))
}

// besideDrainer lets drainer evict them, with its default limits to the evictions.
func (b *bareScene) besideDrainer(ctx context.Context) ([]sample, error) {
	p, _, err := b.startDrainer(ctx, b.namespace, "--bare-pods=Evict", "--node-selector=scenario="+b.name, "--max-draining=100%")
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	took, err := b.beside(ctx, func() error {
		for _, node := range b.nodes[:neighbourAsked] {
			if err := b.request(ctx, node, requestID); err != nil {
				return err
			}
		}
		return patience.Until(ctx, "the pods are gone", await.Holds(func() (bool, error) {
			m, err := p.Metrics(ctx)
			return err == nil && m.Sum("drainer_eviction_requests_total", "reason", "admitted") >= neighbourAsked*neighbourEach, err
		}))
	})
	p.Kill()
	return took, errors.Join(err, b.refill(ctx))
}

// podsOfAsked are the pods of the nodes that are emptied.
func (b *bareScene) podsOfAsked(ctx context.Context) (pods []string, err error) {
	list, err := b.Client.CoreV1().Pods(b.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the pods: %w", err)
	}
	for _, pod := range list.Items {
		if slices.Contains(b.nodes[:neighbourAsked], pod.Spec.NodeName) {
			pods = append(pods, pod.Name)
		}
	}
	return pods, nil
}

// refill takes the requests back and fills the nodes that were emptied.
func (b *bareScene) refill(ctx context.Context) error {
	few := *b
	few.nodes = b.nodes[:neighbourAsked]
	err := errors.Join(few.release(ctx), few.fill(ctx, neighbourEach))
	b.pods = few.pods
	return err
}
