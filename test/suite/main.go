// Package suite has what the suites with a real control plane share: how they
// begin and end, and how their tests wait.
package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"drainer.dev/drainer/test/cluster"
)

// Main is a suite's TestMain: it runs the tests between prepare and end, and
// exits. Prepare gets a folder for what all tests share, which stays if
// anything fails. End is called also if prepare fails.
func Main(m *testing.M, name string, prepare func(ctx context.Context, dir string) error, end func() error) {
	cluster.KeeperMain()
	flag.Parse()
	os.Exit(run(m, name, prepare, end))
}

func run(m *testing.M, name string, prepare func(context.Context, string) error, end func() error) (status int) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			status = 1
		}
	}
	dir, err := os.MkdirTemp("", "drainer-"+name+"-")
	if err != nil {
		fail(err)
		return status
	}
	defer func() {
		if status == 0 {
			fail(os.RemoveAll(dir))
		} else {
			fmt.Fprintln(os.Stderr, "The cluster's logs, its audit log and the logs of drainer are in", dir)
		}
	}()
	defer func() { fail(end()) }()
	ctx, cancel := limited(context.Background())
	defer cancel()
	if err := prepare(ctx, dir); err != nil {
		fail(fmt.Errorf("preparing the tests: %w", err))
		return status
	}
	return m.Run()
}
