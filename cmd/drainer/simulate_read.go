package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/simulate"
)

// read lists the objects of the cluster. It changes nothing.
func (o *simulateOptions) read(ctx context.Context) (*simulate.Objects, error) {
	config, err := o.base()
	if err != nil {
		return nil, fmt.Errorf("reading the cluster (without --filename): %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client to read the cluster: %w", err)
	}
	return list(ctx, client)
}

func list(ctx context.Context, client kubernetes.Interface) (*simulate.Objects, error) {
	objects, all := &simulate.Objects{}, metav1.ListOptions{}
	for _, one := range []struct {
		what string
		read func() error
	}{
		{"nodes", func() error {
			l, err := client.CoreV1().Nodes().List(ctx, all)
			objects.Nodes = l.Items
			return err
		}},
		{"pods", func() error {
			l, err := client.CoreV1().Pods("").List(ctx, all)
			objects.Pods = l.Items
			return err
		}},
		{"budgets", func() error {
			l, err := client.PolicyV1().PodDisruptionBudgets("").List(ctx, all)
			objects.Budgets = l.Items
			return err
		}},
		{"deployments", func() error {
			l, err := client.AppsV1().Deployments("").List(ctx, all)
			objects.Deployments = l.Items
			return err
		}},
		{"replicasets", func() error {
			l, err := client.AppsV1().ReplicaSets("").List(ctx, all)
			objects.ReplicaSets = l.Items
			return err
		}},
		{"statefulsets", func() error {
			l, err := client.AppsV1().StatefulSets("").List(ctx, all)
			objects.StatefulSets = l.Items
			return err
		}},
		{"daemonsets", func() error {
			l, err := client.AppsV1().DaemonSets("").List(ctx, all)
			objects.DaemonSets = l.Items
			return err
		}},
	} {
		if err := one.read(); err != nil {
			return nil, fmt.Errorf("listing %s: %w", one.what, err)
		}
	}
	return objects, nil
}
