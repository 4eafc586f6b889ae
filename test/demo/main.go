// Command demo shows drainer's main job, end to end, on a real local control
// plane: nodes are annotated, drained while their budgets are kept, and handed
// back. It exits with 0 only if all of that was true.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
)

// request is the ID that the nodes are annotated with.
const request = "CHG-1234"

func main() {
	cluster.KeeperMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\nThe demonstration failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "drainer-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(os.Stderr, "Logs are in", dir)
		}
	}()
	version, err := cluster.ChosenKubernetes()
	if err != nil {
		return err
	}
	say("Starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok (Kubernetes %s)", version)
	c, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	client, err := c.Client()
	if err != nil {
		return err
	}
	say("Creating %d nodes, Deployments under budgets, a StatefulSet, a Job and a DaemonSet", nodes)
	if err := createScene(ctx, client); err != nil {
		return err
	}
	drainer, err := startDrainer(ctx, c, client, dir)
	if err != nil {
		return err
	}
	defer drainer.Kill()
	if err := demonstrate(ctx, client, drainer); err != nil {
		return err
	}
	say("Stopping drainer with SIGTERM")
	if status, _, err := drainer.Terminate(ctx); err != nil || status != 0 {
		return fmt.Errorf("drainer exited with %d: %w", status, err)
	}
	say("Done in %s", time.Since(begun).Round(100*time.Millisecond))
	return nil
}

// startDrainer runs drainer as its own process, under the permissions that
// deploy gives it.
func startDrainer(ctx context.Context, c *cluster.Cluster, client kubernetes.Interface, dir string) (*daemon.Process, error) {
	program := filepath.Join(dir, "drainer")
	if err := daemon.Build(ctx, program); err != nil {
		return nil, err
	}
	if err := daemon.InstallClusterRole(ctx, client); err != nil {
		return nil, err
	}
	if err := daemon.InstallAccount(ctx, client, namespace); err != nil {
		return nil, err
	}
	kubeconfig := filepath.Join(dir, "drainer.kubeconfig")
	if err := c.ServiceAccountKubeconfig(ctx, namespace, "drainer", kubeconfig); err != nil {
		return nil, err
	}
	flags := []string{
		"--kubeconfig=" + kubeconfig, "--leader-elect-resource-namespace=" + namespace,
		fmt.Sprintf("--max-draining=%d", drained),
	}
	say("Starting drainer %s %s", flags[1], flags[2])
	return daemon.Start(ctx, program, filepath.Join(dir, "drainer.log"), nil, flags...)
}

func demonstrate(ctx context.Context, client kubernetes.Interface, drainer *daemon.Process) error {
	for i := range drained {
		say("kubectl annotate node %s %s=%s", nodeName(i), api.DrainAnnotation, request)
		if err := annotate(ctx, client, nodeName(i), request); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	show := newScreen(os.Stdout)
	if err := watchNodes(ctx, client, func(seen map[string]view) (bool, error) {
		metrics, err := drainer.Metrics(ctx)
		if err != nil {
			return false, err
		}
		show.draw(seen, metrics)
		return allDrained(seen), nil
	}); err != nil {
		return fmt.Errorf("waiting until the nodes are drained: %w", err)
	}
	show.end()
	if err := checkDrained(ctx, client); err != nil {
		return err
	}
	if err := summarize(ctx, client, drainer); err != nil {
		return err
	}
	for i := range drained {
		say("kubectl annotate node %s %s-", nodeName(i), api.DrainAnnotation)
		if err := annotate(ctx, client, nodeName(i), nil); err != nil {
			return err
		}
	}
	if err := watchNodes(ctx, client, func(seen map[string]view) (bool, error) { return allReleased(seen), nil }); err != nil {
		return fmt.Errorf("waiting until the nodes are given back: %w", err)
	}
	say("All %d nodes are schedulable again", nodes)
	return nil
}

func annotate(ctx context.Context, client kubernetes.Interface, node string, value any) error {
	text := "null"
	if value != nil {
		text = fmt.Sprintf("%q", value)
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, api.DrainAnnotation, text)
	_, err := client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("annotating node %s: %w", node, err)
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf("==> "+format+"\n", args...) }
