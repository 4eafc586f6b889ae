package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

// Reaction is from sending the annotation of a node until the node is seen
// cordoned, in seconds, one node at a time, sorted.
type Reaction []float64

const (
	reactionNodes = 1000
	reactions     = 300
)

// Quantile is an upper bound of the part q.
func (r Reaction) Quantile(q float64) float64 {
	if len(r) == 0 {
		return 0
	}
	return r[min(len(r)-1, int(q*float64(len(r))))]
}

func (s *stage) probeReaction(ctx context.Context, p *Probes) (err error) {
	b, err := s.newBareScene(ctx, "reaction", reactionNodes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clear(ctx)) }()
	process, _, err := b.startDrainer(ctx, b.namespace, append([]string{"--node-selector=scenario=" + b.name}, noLimits...)...)
	if err != nil {
		return err
	}
	defer process.Kill()
	p.Reaction = nil
	for i := range reactions {
		took, err := b.react(ctx, b.nodes[i*7%reactionNodes])
		if err != nil {
			return err
		}
		p.Reaction = append(p.Reaction, took.Seconds())
	}
	slices.Sort(p.Reaction)
	return nil
}

// react asks for one drain, waits for the cordon, and takes the request back.
func (b *bareScene) react(ctx context.Context, node string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := b.client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", node).String()})
	if err != nil {
		return 0, fmt.Errorf("watching node %s: %w", node, err)
	}
	defer w.Stop()
	begun := time.Now()
	if err := b.request(ctx, node, requestID); err != nil {
		return 0, err
	}
	if err := awaitCordon(ctx, w, node, true); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	if err := b.request(ctx, node, ""); err != nil {
		return 0, err
	}
	return took, awaitCordon(ctx, w, node, false)
}

func awaitCordon(ctx context.Context, w watch.Interface, name string, cordoned bool) error {
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s is not as wanted (unschedulable=%v): %w", name, cordoned, ctx.Err())
		case event := <-w.ResultChan():
			node, ok := event.Object.(*corev1.Node)
			if !ok {
				return fmt.Errorf("the watch of node %s broke: %v", name, event)
			}
			if node.Spec.Unschedulable == cordoned {
				return nil
			}
		}
	}
}
