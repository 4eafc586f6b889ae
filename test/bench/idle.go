package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster/daemon"
)

// Idle is what drainer costs in a large cluster while nobody asks for anything.
type Idle struct {
	// RSSFewPods and RSS are in bytes, with as many pods as nodes, and with
	// ten times as many.
	RSSFewPods, RSS float64
	// CPU is the share of a core.
	CPU float64
	// OneNode is from the request for one node until its last pod is gone,
	// OneNodeDrained until it says Drained, in seconds.
	OneNode, OneNodeDrained float64
}

const (
	idleNodes  = 5000
	idleEach   = 10
	idleWindow = 30 * time.Second
)

// probeIdle leaves its scene to be taken away with the cluster: it is the last,
// and deleting so many pods takes minutes.
func (s *stage) probeIdle(ctx context.Context, p *Probes) error {
	b, err := s.newBareScene(ctx, "idle", idleNodes)
	if err != nil {
		return err
	}
	i := &Idle{}
	if err := b.fill(ctx, 1); err != nil {
		return err
	}
	if i.RSSFewPods, _, err = b.idleCost(ctx, nil); err != nil {
		return err
	}
	if err := b.fill(ctx, idleEach-1); err != nil {
		return err
	}
	i.RSS, i.CPU, err = b.idleCost(ctx, func() error { return b.drainOne(ctx, i) })
	p.Idle = i
	return err
}

// idleCost is a fresh process's memory and use of the processor over a while;
// then it does something.
func (b *bareScene) idleCost(ctx context.Context, then func() error) (rss, cpu float64, err error) {
	p, _, err := b.startDrainer(ctx, b.namespace, append([]string{"--bare-pods=Evict", "--node-selector=scenario=" + b.name}, noLimits...)...)
	if err != nil {
		return 0, 0, err
	}
	defer p.Kill()
	before, err := usageOf(ctx, p)
	if err != nil {
		return 0, 0, err
	}
	after, err := usageAfter(ctx, p, idleWindow)
	if err != nil || then == nil {
		return after.RSS, (after.CPU - before.CPU) / idleWindow.Seconds(), err
	}
	return after.RSS, (after.CPU - before.CPU) / idleWindow.Seconds(), then()
}

// usageAfter is the process's usage once a window of time has passed.
func usageAfter(ctx context.Context, p *daemon.Process, window time.Duration) (Usage, error) {
	select {
	case <-ctx.Done():
		return Usage{}, ctx.Err()
	case <-time.After(window):
		return usageOf(ctx, p)
	}
}

func (b *bareScene) drainOne(ctx context.Context, i *Idle) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	node := b.nodes[idleNodes/2]
	of := metav1.ListOptions{FieldSelector: "spec.nodeName=" + node}
	pods, err := b.Client.CoreV1().Pods(b.namespace).Watch(ctx, of)
	if err != nil {
		return fmt.Errorf("watching the pods of node %s: %w", node, err)
	}
	defer pods.Stop()
	begun := time.Now()
	if err := b.request(ctx, node, requestID); err != nil {
		return err
	}
	if err := awaitGone(ctx, pods, idleEach); err != nil {
		return err
	}
	i.OneNode = time.Since(begun).Seconds()
	err = patience.Until(ctx, "node "+node+" is Drained", await.Holds(func() (bool, error) {
		n, err := b.Client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		return err == nil && n.Annotations[api.DrainedAnnotation] == requestID, err
	}))
	i.OneNodeDrained = time.Since(begun).Seconds()
	return err
}
