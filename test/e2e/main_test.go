// Package e2e shows drainer's behaviour on a real control plane. The tests
// share one cluster; each has its own nodes, namespace, lease and processes.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
)

// suite is what all tests share.
var suite struct {
	cluster *cluster.Cluster
	client  *kubernetes.Clientset
	world   *world
	// drainer is the path of the program under test.
	drainer string
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	if dir := os.Getenv(strayCluster); dir != "" {
		return startStray(dir)
	}
	dir, err := os.MkdirTemp("", "drainer-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if status == 0 {
			_ = os.RemoveAll(dir)
		} else {
			fmt.Fprintln(os.Stderr, "The cluster's logs, its audit log and the logs of drainer are in", dir)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := prepare(ctx, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status = m.Run()
	cancel()
	suite.world.stop()
	if err := suite.cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

func prepare(ctx context.Context, dir string) (err error) {
	suite.drainer = filepath.Join(dir, "drainer")
	if err := daemon.Build(ctx, suite.drainer); err != nil {
		return err
	}
	suite.cluster, err = cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), Progress: os.Stderr})
	if err != nil {
		return err
	}
	if suite.client, err = suite.cluster.Client(); err != nil {
		return err
	}
	if suite.world, err = watchWorld(ctx, suite.client); err != nil {
		return err
	}
	return daemon.InstallClusterRole(ctx, suite.client)
}
