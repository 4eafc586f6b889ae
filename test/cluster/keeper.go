package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"drainer.dev/drainer/test/await"
)

// keeperVariable makes KeeperMain keep a cluster. Its value is an order as
// JSON.
const keeperVariable = "DRAINER_CLUSTER_KEEPER"

const (
	// restartSignal makes a keeper restart the API server.
	restartSignal = syscall.SIGUSR1
	// restoreSignal makes it restore etcd from the backup.
	restoreSignal = syscall.SIGUSR2
)

// order says what a keeper is to keep.
type order struct {
	Dir, Binaries string
	// Outlive is true for a cluster that keeps running after the process that
	// started it.
	Outlive bool
}

// report is what the keeper says on its standard output: lines for a person
// until the cluster runs, or why it does not.
type report struct {
	State    *State `json:",omitempty"`
	Error    string `json:",omitempty"`
	Progress string `json:",omitempty"`
}

// mayKeep is true once KeeperMain has been called.
var mayKeep bool

// KeeperMain is the main function of a cluster's keeper, which is a process of
// the program that starts the cluster. It returns at once in any other process,
// and never in a keeper. Call it first in main or TestMain of a program that
// calls Start: what comes before it happens in the keeper, too.
func KeeperMain() {
	if text := os.Getenv(keeperVariable); text != "" {
		os.Exit(keep(text))
	}
	mayKeep = true
}

// errNoKeeper is of a program that starts a cluster and does not call
// KeeperMain.
var errNoKeeper = errors.New("cluster.KeeperMain was not called: call it first in main or TestMain, because the cluster is kept by another process of this program")

// keep starts the cluster, says so, and ends it when asked to or when whoever
// started it is gone.
func keep(text string) int {
	_ = os.Unsetenv(keeperVariable)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, restartSignal, restoreSignal)
	say := func(r report) { _ = json.NewEncoder(os.Stdout).Encode(r) }
	fail := func(err error) int { say(report{Error: err.Error()}); return 1 }
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fail(fmt.Errorf("reading %s: %w", keeperVariable, err))
	}
	if !o.Outlive {
		alive, gone := context.WithCancel(ctx)
		ctx = alive
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			gone()
		}()
	}
	patience := await.Waiter{Progress: progress(say)}
	unlock, err := lockFolder(ctx, o.Dir, patience)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	plane, err := startControlPlane(ctx, o.Dir, o.Binaries, patience)
	defer plane.stop()
	if err != nil {
		return fail(err)
	}
	say(report{State: &plane.state})
	return watchOver(ctx, plane, asked)
}

// watchOver returns when the cluster is to end, or when a part of it does.
func watchOver(ctx context.Context, plane *controlPlane, asked <-chan os.Signal) int {
	for {
		err := error(nil)
		select {
		case <-ctx.Done():
			return 0
		case s := <-asked:
			err = plane.obey(ctx, s)
		case err = <-plane.failed:
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

// obey does what a signal asks for.
func (p *controlPlane) obey(ctx context.Context, s os.Signal) error {
	if s == restoreSignal {
		return p.restore(ctx)
	}
	return p.restart("kube-apiserver")
}

// progress passes lines on to whoever started the keeper.
type progress func(report)

func (p progress) Write(line []byte) (int, error) {
	p(report{Progress: string(line)})
	return len(line), nil
}

// lockFolder waits for the lock that a cluster's keeper holds as long as it
// lives, and takes it.
func lockFolder(ctx context.Context, dir string, patience await.Waiter) (unlock func(), err error) {
	f, err := os.OpenFile(dir+"/.lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the cluster's lock: %w", err)
	}
	err = patience.Until(ctx, "the cluster in "+dir+" has ended", func() error {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return await.NotYet("its keeper runs")
		}
		return err
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
