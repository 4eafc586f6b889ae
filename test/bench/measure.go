package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// Result is what one run came to. Times are in seconds.
type Result struct {
	Scenario, Contender string
	Round               int
	// Pods had to leave.
	Pods int
	// Makespan is from the first request until the last of them is gone,
	// Bound the same of an ideal planner without latency that meets the same
	// recovery and termination times.
	Makespan, Bound float64
	// MeanEmpty and MedianEmpty are over the nodes: from the first request
	// until the node's last pod is gone.
	MeanEmpty, MedianEmpty float64
	// Evictions are the POSTs, Refused those that were answered with 429.
	Evictions, Refused int
	// Gets and Lists are of pods.
	Gets, Lists int
	Usage       Usage
}

// leaving is a pod that has to leave.
type leaving struct {
	app, node string
	// admitted and gone are since the first request.
	admitted, gone time.Duration
}

// observer watches, from outside, pods and budgets of one run.
type observer struct {
	begun  time.Time
	pods   map[types.UID]*leaving
	byName map[string]*leaving
	left   int
	// allowed is what each budget last allowed, capacity what it did at first;
	// returns are when a disruption came back.
	allowed, capacity map[string]int
	returns           map[string][]time.Duration
}

// measure lets the contender drain and watches what happens.
func (r *run1) measure(ctx context.Context, c contender) (Result, error) {
	drain, end, err := c.prepare(ctx, r)
	if err != nil {
		return Result{}, err
	}
	o, pods, budgets, err := r.observe(ctx)
	if err != nil {
		end()
		return Result{}, err
	}
	defer pods.Stop()
	defer budgets.Stop()
	done := make(chan error, 1)
	o.begun = time.Now()
	go func() { done <- drain(ctx) }()
	if err := o.follow(ctx, pods, budgets, done); err != nil {
		end()
		return Result{}, err
	}
	result := Result{Scenario: r.Name, Contender: c.name, Pods: len(o.pods)}
	result.Usage = end()
	if err := r.count(&result, o); err != nil {
		return Result{}, err
	}
	result.summarize(o)
	return result, nil
}

// observe lists what has to leave and begins to watch.
func (r *run1) observe(ctx context.Context) (*observer, watch.Interface, watch.Interface, error) {
	o := &observer{pods: map[types.UID]*leaving{}, byName: map[string]*leaving{}, returns: map[string][]time.Duration{}}
	drained := map[string]bool{}
	for _, node := range r.drained {
		drained[node] = true
	}
	list, err := r.client.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("listing the pods: %w", err)
	}
	for _, p := range list.Items {
		if drained[p.Spec.NodeName] {
			l := &leaving{app: p.Labels[workload.AppLabel], node: p.Spec.NodeName}
			o.pods[p.UID], o.byName[p.Name] = l, l
		}
	}
	o.left = len(o.pods)
	bare, err := r.client.PolicyV1().PodDisruptionBudgets(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("listing the budgets: %w", err)
	}
	o.allowed, o.capacity = budgetsOf(bare.Items), budgetsOf(bare.Items)
	pods, err := r.client.CoreV1().Pods(r.namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("watching the pods: %w", err)
	}
	budgets, err := r.client.PolicyV1().PodDisruptionBudgets(r.namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: bare.ResourceVersion})
	if err != nil {
		pods.Stop()
		return nil, nil, nil, fmt.Errorf("watching the budgets: %w", err)
	}
	return o, pods, budgets, nil
}

// follow watches until everything has left and the contender has returned.
func (o *observer) follow(ctx context.Context, pods, budgets watch.Interface, done <-chan error) error {
	returned := false
	for o.left > 0 || !returned {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods are still there: %w", o.left, len(o.pods), ctx.Err())
		case err := <-done:
			if err != nil {
				return err
			}
			returned = true
		case event := <-pods.ResultChan():
			p, ok := event.Object.(*corev1.Pod)
			if !ok {
				return fmt.Errorf("the watch of pods broke: %v", event)
			}
			if l := o.pods[p.UID]; l != nil && event.Type == watch.Deleted {
				l.gone = time.Since(o.begun)
				o.left--
			}
		case event := <-budgets.ResultChan():
			b, ok := event.Object.(*policyv1.PodDisruptionBudget)
			if !ok {
				return fmt.Errorf("the watch of budgets broke: %v", event)
			}
			for range max(0, int(b.Status.DisruptionsAllowed)-o.allowed[b.Name]) {
				o.returns[b.Name] = append(o.returns[b.Name], time.Since(o.begun))
			}
			o.allowed[b.Name] = int(b.Status.DisruptionsAllowed)
		}
	}
	return nil
}

// count reads from the API server's own audit log what the contender asked for.
func (r *run1) count(result *Result, o *observer) error {
	// The log may still be written: what has left has been admitted.
	deadline := time.Now().Add(10 * time.Second)
	for {
		result.Evictions, result.Refused, result.Gets, result.Lists = 0, 0, 0, 0
		admitted := 0
		_, err := r.cluster.Audit(r.user, func(a *cluster.AuditEvent) bool {
			if a.User.Username != r.user || a.ObjectRef.Resource != "pods" {
				return false
			}
			switch {
			case a.Eviction():
				result.Evictions++
				if a.ResponseStatus.Code == 429 {
					result.Refused++
				}
				if l := o.byName[a.ObjectRef.Name]; l != nil && a.ResponseStatus.Code/100 == 2 {
					l.admitted = a.Done.Sub(o.begun)
					admitted++
				}
			case a.Verb == "get":
				result.Gets++
			case a.Verb == "list":
				result.Lists++
			}
			return false
		})
		switch {
		case err != nil:
			return err
		case admitted >= len(o.pods):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the audit log has %d admitted evictions for %d pods", admitted, len(o.pods))
		}
		// The log is a file of another process: nobody tells when it grows.
		time.Sleep(100 * time.Millisecond)
	}
}
