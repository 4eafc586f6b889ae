package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// target is where the demonstration takes place: on a local cluster, or on
// nodes of a cluster of the user's own.
type target struct {
	context string
	nodes   []string
	// picture is the file to draw, if any.
	picture string
}

func (t target) local() bool { return t.context == "" && len(t.nodes) == 0 }

// validate refuses a target with only a context or only nodes.
func (t target) validate() error {
	const both = `give both, make demo DEMO_CONTEXT=NAME DEMO_NODES="a b", or none for a local cluster`
	switch {
	case t.local():
		return nil
	case len(t.nodes) == 0:
		return fmt.Errorf("DEMO_CONTEXT=%s without DEMO_NODES: %s", t.context, both)
	case t.context == "":
		return fmt.Errorf("DEMO_NODES=%q without DEMO_CONTEXT: %s", strings.Join(t.nodes, " "), both)
	case len(t.nodes) < 2:
		return fmt.Errorf("DEMO_NODES=%s: expected at least 2 nodes, because the pods of one move to another", t.nodes[0])
	}
	return nil
}

func (t target) stage(ctx context.Context, dir string) (*stage, error) {
	if t.local() {
		return localStage(ctx, dir)
	}
	return t.ownStage(ctx)
}

// stage is where the demonstration takes place.
type stage struct {
	client    kubernetes.Interface
	namespace string
	// context is the one that the user names, empty for the local cluster.
	context string
	// nodes are used, the first half of which are drained.
	nodes []string
	// hosts are what the nodes have as their label of the host, if the pods have
	// to be kept there.
	hosts []string
	// flags are drainer's.
	flags []string
	// drainer is nil until it was started.
	drainer *daemon.Process
	// picture is the file that a picture of the drains is drawn into, if any.
	picture string
	// cluster is the local one, nil for the user's own.
	cluster *cluster.Cluster
}

func (s *stage) drained() []string { return s.nodes[:len(s.nodes)/2] }

func (s *stage) uses(node string) bool { return slices.Contains(s.nodes, node) }

// localStage starts a cluster. drainer gets the permissions there that deploy
// gives it.
func localStage(ctx context.Context, dir string) (*stage, error) {
	say("Starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok")
	c, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), WithoutKubectl: true, Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	s := &stage{cluster: c, namespace: "demo"}
	if err := s.furnish(ctx, dir); err != nil {
		return nil, errors.Join(err, s.clean())
	}
	return s, nil
}

// furnish makes the local cluster's nodes, and drainer's account.
func (s *stage) furnish(ctx context.Context, dir string) error {
	client, err := s.cluster.Client()
	if err != nil {
		return err
	}
	s.client = client
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("asking the cluster for its version: %w", err)
	}
	say("Kubernetes %s runs", version.GitVersion)
	if err := workload.Create(ctx, client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}); err != nil {
		return err
	}
	for i := range 6 {
		s.nodes = append(s.nodes, fmt.Sprintf("node-%d", i+1))
		if err := workload.Create(ctx, client, workload.Node(s.nodes[i], nil)); err != nil {
			return err
		}
	}
	if err := daemon.InstallClusterRole(ctx, client); err != nil {
		return err
	}
	if err := daemon.InstallAccount(ctx, client, s.namespace); err != nil {
		return err
	}
	if err := s.grantDelete(ctx); err != nil {
		return err
	}
	kubeconfig := filepath.Join(dir, "drainer.kubeconfig")
	if err := s.cluster.ServiceAccountKubeconfig(ctx, s.namespace, "drainer", kubeconfig); err != nil {
		return err
	}
	s.flags = append([]string{"--kubeconfig=" + kubeconfig}, s.commonFlags()...)
	return nil
}

func (s *stage) commonFlags() []string {
	return []string{
		"--leader-elect-resource-namespace=" + s.namespace, fmt.Sprintf("--max-draining=%d", len(s.drained())),
	}
}
