// Package stage is a real drain that a real Prometheus looks at: a local
// control plane, two replicas of drainer under the permissions of deploy, and
// nodes whose drains end, wait and hang in all the ways that dashboards and
// alerts tell apart.
package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
)

// Namespace is where drainer is.
const Namespace = "drainer"

// Stage is the cluster and drainer beside it.
type Stage struct {
	Cluster *cluster.Cluster
	Client  *kubernetes.Clientset
	// Replicas of drainer by the names of the pods that they would be.
	Replicas map[string]*daemon.Process

	dir     string
	program string
}

// Start starts a cluster, with its files in dir, and no drainer yet. What was
// returned is to be stopped also when there is an error.
func Start(ctx context.Context, dir string) (*Stage, error) {
	s := &Stage{dir: dir, program: filepath.Join(dir, "drainer"), Replicas: map[string]*daemon.Process{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return s, fmt.Errorf("making the stage's folder: %w", err)
	}
	if err := daemon.Build(ctx, s.program); err != nil {
		return s, err
	}
	c, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), Progress: os.Stderr})
	if err != nil {
		return s, err
	}
	s.Cluster = c
	if s.Client, err = c.Client(); err != nil {
		return s, err
	}
	for _, name := range []string{Namespace, shop} {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := s.Client.CoreV1().Namespaces().Create(ctx, n, metav1.CreateOptions{}); err != nil {
			return s, fmt.Errorf("creating namespace %s: %w", name, err)
		}
	}
	return s, errors.Join(daemon.InstallClusterRole(ctx, s.Client), daemon.InstallAccount(ctx, s.Client, Namespace))
}

// Run starts a replica of drainer.
func (s *Stage) Run(ctx context.Context, name string, flags ...string) error {
	base := filepath.Join(s.dir, name)
	if err := s.Cluster.ServiceAccountKubeconfig(ctx, Namespace, "drainer", base+".kubeconfig"); err != nil {
		return err
	}
	p, err := daemon.Start(s.program, base+".log", nil, append([]string{
		"--kubeconfig=" + base + ".kubeconfig", "--leader-elect-resource-namespace=" + Namespace,
	}, flags...)...)
	if err != nil {
		return err
	}
	s.Replicas[name] = p
	return nil
}

// Targets are where the replicas are scraped.
func (s *Stage) Targets() map[string]string {
	all := map[string]string{}
	for name, p := range s.Replicas {
		all[name] = p.MetricsAddress()
	}
	return all
}

// Leader is the replica that leads, empty if none does.
func (s *Stage) Leader() string {
	for name, p := range s.Replicas {
		if m, err := p.Metrics(); err == nil && m.Sum("leader_election_master_status") == 1 {
			return name
		}
	}
	return ""
}

// Stop ends everything.
func (s *Stage) Stop() error {
	for _, p := range s.Replicas {
		p.Kill()
	}
	if s.Cluster == nil {
		return nil
	}
	return s.Cluster.Stop()
}
