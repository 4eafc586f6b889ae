package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
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
	// recovery and termination times. AnsweredBound is Bound if each of its
	// evictions takes as long to be answered as in this run, too; 0 in results that
	// were written before it was measured.
	Makespan, Bound float64
	AnsweredBound   float64 `json:",omitempty"`
	// MeanEmpty and MedianEmpty are over the nodes: from the first request
	// until the node's last pod is gone.
	MeanEmpty, MedianEmpty float64
	// MeanDrained, MedianDrained and LastDrained are until a node says Drained,
	// for those who say so.
	MeanDrained, MedianDrained, LastDrained float64 `json:",omitempty"`
	// Evictions are the POSTs, Admitted those that were answered with 2xx,
	// Refused those that were answered with 429.
	Evictions, Admitted, Refused int
	// Gets and Lists are of pods.
	Gets, Lists int
	// Drained is how many nodes were.
	Drained int
	Usage   Usage
	// Forecast is what drainer simulate said before; nil for peers.
	Forecast *Forecast `json:",omitempty"`
}

// leaving is a pod that has to leave.
type leaving struct {
	app, node string
	// sent is when the API server got the request that it admitted, and all are
	// since the first request of a drain.
	sent, admitted, gone time.Duration
}

// observer watches, from outside, pods and budgets of one run.
type observer struct {
	begun  time.Time
	pods   map[types.UID]*leaving
	byName map[string]*leaving
	left   int
	// drained is when each node said Drained.
	drained map[string]time.Duration
	// allowed is what each budget last allowed, capacity what it did at first;
	// returns are when a disruption came back.
	allowed, capacity map[string]int
	returns           map[string][]time.Duration
}

// measure lets the contender drain and watches what happens.
func (r *run1) measure(ctx context.Context, contender string) (result Result, err error) {
	var seen *Forecast
	if contender == ours {
		if seen, err = r.foresee(ctx); err != nil {
			return Result{}, err
		}
	}
	drain, end, err := contenders[contender](ctx, r)
	if err != nil {
		return Result{}, err
	}
	result = Result{Scenario: r.Name, Contender: contender, Drained: len(r.drained), Forecast: seen}
	o, err := r.drainUnderWatch(ctx, drain, contender == ours)
	usage, endErr := end(ctx)
	if err := errors.Join(err, endErr); err != nil {
		return Result{}, err
	}
	result.Pods, result.Usage = len(o.pods), usage
	if err := r.count(ctx, &result, o); err != nil {
		return Result{}, err
	}
	result.summarize(o)
	if result.Forecast != nil {
		err = r.compare(ctx, result.Forecast, o, usage)
	}
	return result, err
}

// drainUnderWatch drains, and watches until every pod has left and, if the
// contender says so, every node is Drained.
func (r *run1) drainUnderWatch(ctx context.Context, drain func(context.Context) error, says bool) (*observer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o, w, err := r.observe(ctx)
	if err != nil {
		return nil, err
	}
	defer w.stop()
	done := make(chan error, 1)
	o.begun = time.Now()
	go func() { done <- drain(ctx) }()
	said := 0
	if says {
		said = len(r.drained)
	}
	return o, o.follow(ctx, w, done, said)
}

// watches are those of an observer.
type watches struct{ pods, budgets, nodes watch.Interface }

func (w watches) stop() {
	for _, one := range []watch.Interface{w.pods, w.budgets, w.nodes} {
		if one != nil {
			one.Stop()
		}
	}
}

// observe lists what has to leave and begins to watch.
func (r *run1) observe(ctx context.Context) (*observer, watches, error) {
	var none watches
	o := &observer{
		pods: map[types.UID]*leaving{}, byName: map[string]*leaving{}, returns: map[string][]time.Duration{},
		drained: map[string]time.Duration{},
	}
	drained := map[string]bool{}
	for _, node := range r.drained {
		drained[node] = true
	}
	list, err := r.Client.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, none, fmt.Errorf("listing the pods: %w", err)
	}
	for _, p := range list.Items {
		if drained[p.Spec.NodeName] {
			l := &leaving{app: p.Labels[workload.AppLabel], node: p.Spec.NodeName}
			o.pods[p.UID], o.byName[p.Name] = l, l
		}
	}
	o.left = len(o.pods)
	bare, err := r.Client.PolicyV1().PodDisruptionBudgets(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, none, fmt.Errorf("listing the budgets: %w", err)
	}
	o.allowed, o.capacity = budgetsOf(bare.Items), budgetsOf(bare.Items)
	var w watches
	w.pods, err = watchFrom(ctx, list.ResourceVersion, r.Client.CoreV1().Pods(r.namespace).Watch)
	if err == nil {
		w.budgets, err = watchFrom(ctx, bare.ResourceVersion, r.Client.PolicyV1().PodDisruptionBudgets(r.namespace).Watch)
	}
	if err == nil {
		w.nodes, err = watchFrom(ctx, list.ResourceVersion, func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = "scenario=" + r.Name
			return r.Client.CoreV1().Nodes().Watch(ctx, o)
		})
	}
	if err != nil {
		w.stop()
		return nil, none, fmt.Errorf("watching the scene: %w", err)
	}
	return o, w, nil
}

// watchFrom watches from a version on, also if the API server ends the watch: it
// does if too many events wait for whoever watches.
func watchFrom(ctx context.Context, version string, open func(context.Context, metav1.ListOptions) (watch.Interface, error)) (watch.Interface, error) {
	w, err := toolswatch.NewRetryWatcherWithContext(ctx, version, &cache.ListWatch{WatchFuncWithContext: open})
	if err != nil {
		return nil, err // Not w, which would be an interface that is not nil.
	}
	return w, nil
}

// follow watches until everything has left, the contender has returned and so
// many nodes are said to be Drained.
func (o *observer) follow(ctx context.Context, w watches, done <-chan error, said int) error {
	returned := false
	for o.left > 0 || !returned || len(o.drained) < said {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods are still there, %d nodes are Drained: %w", o.left, len(o.pods), len(o.drained), ctx.Err())
		case err := <-done:
			if err != nil {
				return err
			}
			returned = true
		case event := <-w.nodes.ResultChan():
			n, ok := event.Object.(*corev1.Node)
			if !ok {
				return fmt.Errorf("the watch of nodes broke: %v", event)
			}
			if _, known := o.drained[n.Name]; !known && n.Annotations[api.DrainedAnnotation] == requestID {
				o.drained[n.Name] = time.Since(o.begun)
			}
		case event := <-w.pods.ResultChan():
			p, ok := event.Object.(*corev1.Pod)
			if !ok {
				return fmt.Errorf("the watch of pods broke: %v", event)
			}
			if l := o.pods[p.UID]; l != nil && event.Type == watch.Deleted {
				l.gone = time.Since(o.begun)
				o.left--
			}
		case event := <-w.budgets.ResultChan():
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
func (r *run1) count(ctx context.Context, result *Result, o *observer) error {
	// The log may still be written: what has left has been admitted.
	return patience.Until(ctx, "the audit log has the evictions of all pods", func() error {
		admitted, err := r.countOnce(result, o)
		if err == nil && admitted < len(o.pods) {
			err = await.NotYet("it has %d for %d pods", admitted, len(o.pods))
		}
		return err
	})
}

// countOnce returns how many of the pods that had to leave were admitted.
func (r *run1) countOnce(result *Result, o *observer) (admitted int, err error) {
	result.Evictions, result.Admitted, result.Refused, result.Gets, result.Lists = 0, 0, 0, 0, 0
	_, err = r.Cluster.AuditOf(r.user, func(a *cluster.AuditEvent) bool {
		switch {
		case a.ObjectRef.Resource != "pods":
		case a.Eviction():
			result.Evictions++
			if a.ResponseStatus.Code == 429 {
				result.Refused++
			}
			if a.ResponseStatus.Code/100 != 2 {
				break
			}
			result.Admitted++
			if l := o.byName[a.ObjectRef.Name]; l != nil {
				l.sent, l.admitted = a.Received.Sub(o.begun), a.Done.Sub(o.begun)
				admitted++
			}
		case a.Verb == "get":
			result.Gets++
		case a.Verb == "list":
			result.Lists++
		}
		return false
	})
	return admitted, err
}
