package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/pkg/drain"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
)

const (
	namespace = "shop"
	request   = "CHG-1234"
	// The moments that are recorded: before the drains, and during them.
	before, during = "before", "during"
	// The nodes: the first is drained, the next waits for a budget and for a pod
	// without a controller, one for a pod that takes long to stop, and one is queued.
	done, held, slow, queued = "worker-1", "worker-2", "worker-3", "worker-4"
	spares                   = 3
)

// scene is the cluster that is recorded.
type scene struct {
	*daemon.Stage
	dir string
}

// record drains nodes of a local cluster, and writes what the plugin reads.
func record(ctx context.Context, root string) (err error) {
	dir, err := os.MkdirTemp("", "drainer-pictures-")
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stage, err := daemon.NewStage(ctx, dir, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Stop()) }()
	s := &scene{stage, dir}
	if err := s.furnish(ctx); err != nil {
		return err
	}
	if err := s.write(ctx, root, before); err != nil {
		return err
	}
	if err := s.drain(ctx); err != nil {
		return err
	}
	return s.write(ctx, root, during)
}

// furnish makes nodes and workloads, and waits until these are Ready.
func (s *scene) furnish(ctx context.Context) error {
	if err := workload.Create(ctx, s.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	for i := range 4 + spares {
		if err := workload.Create(ctx, s.Client, workload.Node(fmt.Sprintf("worker-%d", i+1), nil)); err != nil {
			return err
		}
	}
	spec := func(name string, replicas int, stop time.Duration, node string) workload.Spec {
		w := workload.Spec{Namespace: namespace, Name: name, Replicas: replicas, Start: time.Second, Stop: stop}
		if node != "" {
			w.NodeSelector = map[string]string{corev1.LabelHostname: node}
		}
		return w
	}
	if err := workload.Create(ctx, s.Client,
		workload.DaemonSet(spec("agent", 0, time.Second, "")),
		workload.Deployment(spec("web", 21, time.Second, "")), workload.MaxUnavailable(namespace, "web", "web", "3"),
		workload.Deployment(spec("db", 1, time.Second, held)), workload.MaxUnavailable(namespace, "db", "db", "0"),
		workload.Pod(spec("debug", 0, time.Second, ""), held),
		workload.Deployment(spec("render", 1, 10*time.Minute, slow)),
	); err != nil {
		return err
	}
	return s.awaitReady(ctx, 4+spares+21+1+1+1)
}

func (s *scene) awaitReady(ctx context.Context, wanted int) error {
	pods := cache.NewListWatchFromClient(s.Client.CoreV1().RESTClient(), "pods", namespace, fields.Everything())
	ready := map[string]bool{}
	_, err := watchtools.UntilWithSync(ctx, pods, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		if pod, is := event.Object.(*corev1.Pod); is {
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					ready[pod.Name] = true
				}
			}
		}
		return len(ready) == wanted, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %d ready pods, there are %d: %w", wanted, len(ready), err)
	}
	return nil
}

// drain starts drainer, asks for the drains with the plugin, and waits until each
// node is where the pictures need it.
func (s *scene) drain(ctx context.Context) error {
	program := filepath.Join(s.dir, "kubectl-drainer")
	if err := os.Symlink(s.Drainer, program); err != nil {
		return fmt.Errorf("linking the plugin: %w", err)
	}
	if err := daemon.InstallClusterRole(ctx, s.Client); err != nil {
		return err
	}
	if err := daemon.InstallAccount(ctx, s.Client, namespace); err != nil {
		return err
	}
	drainer, err := s.Run(ctx, types.NamespacedName{Namespace: namespace, Name: "drainer"}, "drainer", nil, "--max-draining=2", "--max-unavailable=100%")
	if err != nil {
		return err
	}
	defer drainer.Kill()
	ask := func(nodes ...string) error {
		args := append([]string{"drain", "--kubeconfig=" + s.Cluster.Kubeconfig(), "--id=" + request, "--yes", "--requested-by=alice", "--reason=kernel upgrade"}, nodes...)
		if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("asking for drains: %w: %s", err, out)
		}
		return nil
	}
	if err := ask(done); err != nil {
		return err
	}
	if err := s.awaitPhases(ctx, map[string]api.Phase{done: api.Drained}); err != nil {
		return err
	}
	if err := ask(held, slow); err != nil {
		return err
	}
	// These two hold both slots now.
	if err := s.awaitPhases(ctx, map[string]api.Phase{held: api.Blocked, slow: api.Draining}); err != nil {
		return err
	}
	if err := ask(queued); err != nil {
		return err
	}
	return s.awaitPhases(ctx, map[string]api.Phase{done: api.Drained, held: api.Blocked, slow: api.Draining, queued: api.Queued})
}

// awaitPhases waits until the nodes are in these phases.
func (s *scene) awaitPhases(ctx context.Context, wanted map[string]api.Phase) error {
	nodes := cache.NewListWatchFromClient(s.Client.CoreV1().RESTClient(), "nodes", "", fields.Everything())
	phases := map[string]api.Phase{}
	_, err := watchtools.UntilWithSync(ctx, nodes, &corev1.Node{}, nil, func(event watch.Event) (bool, error) {
		if n, is := event.Object.(*corev1.Node); is {
			status, _ := api.ParseStatus(n.Annotations[api.StatusAnnotation])
			phases[n.Name] = status.Phase
		}
		for node, phase := range wanted {
			if phases[node] != phase {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %v, the nodes are %v: %w", wanted, phases, err)
	}
	return nil
}

// write records the cluster as it is now.
func (s *scene) write(ctx context.Context, root, name string) error {
	objects, err := cli.ReadObjects(ctx, s.Client, nil)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	m := &moment{At: time.Now().UTC().Truncate(time.Second), Objects: *objects, Refusals: map[string]metav1.Status{}}
	version, err := drain.EvictionVersion(ctx, s.Client.Discovery())
	if err != nil {
		return err
	}
	judge := drain.NewDryRunFunc(s.Client.CoreV1().RESTClient(), version)
	for i := range objects.Pods {
		p := plan.PodOf(&objects.Pods[i])
		_, err := judge(ctx, p, nil)
		if refused := apierrors.APIStatus(nil); errors.As(err, &refused) {
			m.Refusals[p.Key()] = refused.Status()
		} else if err != nil {
			return fmt.Errorf("asking about pod %s: %w", p.Key(), err)
		}
	}
	return m.write(root, name)
}
