package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/suite"
)

// shared is what all tests share: a cluster with one machine.
var shared struct {
	*daemon.Stage
	machine *machine
}

func TestMain(m *testing.M) { suite.Main(m, "kubelet", prepare, end) }

func prepare(ctx context.Context, dir string) (err error) {
	if err := missing(); err != nil {
		return fmt.Errorf("this machine cannot run a kubelet:\n%w", err)
	}
	if shared.Stage, err = daemon.NewStage(ctx, dir, os.Stderr); err != nil {
		return err
	}
	if err := daemon.InstallClusterRole(ctx, shared.Client); err != nil {
		return err
	}
	// Paths of sockets are short: this is not the folder of the cluster.
	machineDir, err := os.MkdirTemp("", "kubelet-")
	if err != nil {
		return err
	}
	shared.machine, err = startMachine(ctx, shared.Cluster, machineDir, "real", os.Stderr)
	return err
}

func end() error {
	err := shared.machine.stop(context.Background())
	if err == nil && shared.machine != nil {
		err = os.RemoveAll(shared.machine.dir)
	}
	return errors.Join(err, shared.Stop())
}
