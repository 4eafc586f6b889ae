// Package stage is a real drain that a real Prometheus looks at: a local
// control plane, two replicas of drainer under the permissions of deploy, and
// nodes whose drains end, wait and hang in all the ways that dashboards and
// alerts tell apart.
package stage

import (
	"context"
	"errors"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

// Namespace is where drainer is.
const Namespace = "drainer"

// Stage is the cluster and drainer beside it.
type Stage struct {
	*daemon.Stage
	// Replicas of drainer by the names of the pods that they would be.
	Replicas map[string]*daemon.Process
}

// Start starts a cluster, with its files in dir, and no drainer yet. Nothing is
// left to stop if there is an error.
func Start(ctx context.Context, dir string) (*Stage, error) {
	running, err := daemon.NewStage(ctx, dir, os.Stderr)
	if err != nil {
		return nil, err
	}
	s := &Stage{Stage: running, Replicas: map[string]*daemon.Process{}}
	if err := s.furnish(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stage) furnish(ctx context.Context) error {
	for _, name := range []string{Namespace, shop} {
		if err := workload.Create(ctx, s.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	return errors.Join(daemon.InstallClusterRole(ctx, s.Client), daemon.InstallAccount(ctx, s.Client, Namespace))
}

// Replicate starts a replica of drainer.
func (s *Stage) Replicate(ctx context.Context, name string, flags ...string) error {
	p, err := s.Run(ctx, types.NamespacedName{Namespace: Namespace, Name: "drainer"}, name, nil, flags...)
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
func (s *Stage) Leader(ctx context.Context) string {
	for name, p := range s.Replicas {
		if p.Leads(ctx) {
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
	return s.Stage.Stop()
}
