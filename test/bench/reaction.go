package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"drainer.dev/drainer/pkg/api"
)

// Reaction is from sending the annotation of a node until the node is seen
// cordoned, one node at a time.
type Reaction struct {
	// Drainer is drainer's. Bare is that of a watcher that answers an
	// annotation with the cordon and does nothing else: what the API server and
	// the machine need at the least.
	Drainer, Bare latencies
}

const (
	reactionNodes = 1000
	reactions     = 300
	// warmUp is how many come before those: the cluster is still busy with a
	// thousand new nodes.
	warmUp = 100
	// reactionPace lets the rest of the cluster come to rest between two.
	reactionPace = 100 * time.Millisecond
)

// latencies are in seconds and sorted.
type latencies []float64

// quantile is an upper bound of the part q.
func (l latencies) quantile(q float64) float64 {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)-1, int(q*float64(len(l))))]
}

func (s *stage) probeReaction(ctx context.Context, p *Probes) (err error) {
	b, err := s.newBareScene(ctx, "reaction", reactionNodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clear(ctx)) }()
	r := &Reaction{}
	process, _, err := b.startDrainer(ctx, b.namespace, append([]string{"--node-selector=scenario=" + b.name}, noLimits...)...)
	if err != nil {
		return err
	}
	defer process.Kill()
	if r.Drainer, err = b.reactions(ctx); err != nil {
		return err
	}
	process.Kill()
	bare, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.cordonOnRequest(bare) }()
	r.Bare, err = b.reactions(ctx)
	stop()
	p.Reaction = r
	return errors.Join(err, <-ended)
}

// reactions measures how fast whoever runs reacts.
func (b *bareScene) reactions(ctx context.Context) (latencies, error) {
	// One watch for all: opening one would be work for the API server just then.
	w, err := b.watchNodes(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	var all latencies
	pace := time.NewTicker(reactionPace)
	defer pace.Stop()
	for i := range warmUp + reactions {
		<-pace.C
		took, err := b.react(ctx, w, b.nodes[i*7%reactionNodes])
		if err != nil {
			return nil, err
		}
		if i >= warmUp {
			all = append(all, took.Seconds())
		}
	}
	slices.Sort(all)
	return all, nil
}

func (b *bareScene) watchNodes(ctx context.Context) (watch.Interface, error) {
	w, err := b.Client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{LabelSelector: "scenario=" + b.name})
	if err != nil {
		return nil, fmt.Errorf("watching the nodes: %w", err)
	}
	return w, nil
}

// cordonOnRequest cordons nodes while they have the annotation, until ctx ends.
func (b *bareScene) cordonOnRequest(ctx context.Context) error {
	w, err := b.watchNodes(ctx)
	if err != nil {
		return err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		node, ok := event.Object.(*corev1.Node)
		switch {
		case ctx.Err() != nil:
			return nil
		case !ok:
			return fmt.Errorf("the watch broke: %v", event)
		}
		_, asked := node.Annotations[api.DrainAnnotation]
		if asked == node.Spec.Unschedulable {
			continue
		}
		patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%v}}`, asked)
		_, err := b.Client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("cordoning node %s: %w", node.Name, err)
		}
	}
	return nil
}

// react asks for one drain, waits for the cordon, takes the request back and
// waits until the node bears no trace of it.
func (b *bareScene) react(ctx context.Context, w watch.Interface, node string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	begun := time.Now()
	if err := b.request(ctx, node, requestID); err != nil {
		return 0, err
	}
	cordoned := func(n *corev1.Node) bool { return n.Spec.Unschedulable }
	if err := awaitNode(ctx, w, node, cordoned); err != nil {
		return 0, fmt.Errorf("node %s is not cordoned: %w", node, err)
	}
	took := time.Since(begun)
	if err := b.request(ctx, node, ""); err != nil {
		return 0, err
	}
	free := func(n *corev1.Node) bool {
		_, marked := n.Annotations[api.StatusAnnotation]
		return !n.Spec.Unschedulable && !marked
	}
	if err := awaitNode(ctx, w, node, free); err != nil {
		return 0, fmt.Errorf("node %s is not released: %w", node, err)
	}
	return took, nil
}

func awaitNode(ctx context.Context, w watch.Interface, name string, is func(*corev1.Node) bool) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event := <-w.ResultChan():
			node, ok := event.Object.(*corev1.Node)
			if !ok {
				return fmt.Errorf("the watch broke: %v", event)
			}
			if node.Name == name && is(node) {
				return nil
			}
		}
	}
}
