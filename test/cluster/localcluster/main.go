// Command localcluster gives a person a local Kubernetes cluster with fake
// nodes: up, down and status.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

func main() {
	cluster.KeeperMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "localcluster:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "localcluster", Short: "A local Kubernetes cluster with fake nodes",
		SilenceErrors: true, SilenceUsage: true,
	}
	name := root.PersistentFlags().String("name", "local", "which cluster; several can run side by side")
	nodes := 5
	up := &cobra.Command{
		Use: "up", Short: "Start a cluster that runs until down", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return start(c.Context(), *name, nodes) },
	}
	up.Flags().IntVar(&nodes, "nodes", nodes, "how many nodes it gets")
	root.AddCommand(up,
		&cobra.Command{
			Use: "down", Short: "Stop the cluster; its logs stay", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				c, err := running(*name)
				if err != nil {
					return err
				}
				return c.Stop()
			},
		},
		&cobra.Command{
			Use: "status", Short: "Say whether the cluster runs, and how to reach it", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return status(c.Context(), *name) },
		})
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

func folder(name string) (string, error) {
	if name == "" || filepath.Base(name) != name || name == "." || name == ".." {
		return "", fmt.Errorf("--name=%q: expected a name without slashes", name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	return filepath.Join(cache, "drainer", "clusters", name), nil
}

func running(name string) (*cluster.Cluster, error) {
	dir, err := folder(name)
	if err != nil {
		return nil, err
	}
	return cluster.Open(dir)
}

func start(ctx context.Context, name string, nodes int) error {
	dir, err := folder(name)
	if err != nil {
		return err
	}
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir, Outlive: true, Progress: os.Stderr})
	if err != nil {
		return err
	}
	client, err := c.Client()
	if err != nil {
		return err
	}
	// Where drainer, started beside the cluster, keeps its lease.
	if err := workload.Create(ctx, client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "drainer"}}); err != nil {
		return err
	}
	for i := range nodes {
		if err := workload.Create(ctx, client, workload.Node(fmt.Sprintf("node-%d", i), nil)); err != nil {
			return err
		}
	}
	return status(ctx, name)
}

func status(ctx context.Context, name string) error {
	c, err := running(name)
	if err != nil {
		return err
	}
	client, err := c.Client()
	if err != nil {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("asking the cluster: %w", err)
	}
	// The running cluster need not be what the environment chooses now.
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("asking the cluster: %w", err)
	}
	fmt.Printf("Kubernetes %s runs at %s with %d nodes.\n\n  export KUBECONFIG=%s\n\nIts logs are in %s.\n",
		version.GitVersion, c.URL, len(nodes.Items), c.Kubeconfig(), filepath.Join(c.Dir, "logs"))
	if _, err := exec.LookPath("kubectl"); err != nil {
		fmt.Printf("kubectl is not on your PATH: use %s.\n", c.Kubectl())
	}
	return nil
}
