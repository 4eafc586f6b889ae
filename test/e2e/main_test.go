// Package e2e shows drainer's behavior on a real control plane. The tests
// share one cluster; each has its own nodes, namespace, lease and processes.
package e2e

import (
	"context"
	"os"
	"testing"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/shells"
	"drainer.dev/drainer/test/suite"
)

// shared is what all tests share.
var shared struct {
	*daemon.Stage
	world *world
}

func TestMain(m *testing.M) {
	cluster.KeeperMain()
	if dir := os.Getenv(strayCluster); dir != "" {
		os.Exit(startStray(dir))
	}
	shells.Report()
	suite.Main(m, "e2e", prepare, end)
}

func prepare(ctx context.Context, dir string) (err error) {
	if shared.Stage, err = daemon.NewStage(ctx, dir, os.Stderr); err != nil {
		return err
	}
	if shared.world, err = watchWorld(ctx, shared.Client); err != nil {
		return err
	}
	if err := daemon.InstallClusterRole(ctx, shared.Client); err != nil {
		return err
	}
	return confineAll(ctx)
}

func end() error {
	sayJudged()
	sayFaults()
	if shared.world != nil {
		shared.world.stop()
	}
	return shared.Stop()
}
