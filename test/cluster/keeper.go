package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// keeperVariable turns a process of any program that links this package into
// the keeper of a cluster. Its value is an order as JSON.
const keeperVariable = "DRAINER_CLUSTER_KEEPER"

// order says what a keeper is to keep.
type order struct {
	Dir, Binaries string
	// Outlive is true for a cluster that goes on after the process that
	// started it.
	Outlive bool
}

// report is what the keeper says, once, on its standard output.
type report struct {
	State *State `json:",omitempty"`
	Error string `json:",omitempty"`
}

func init() {
	if text := os.Getenv(keeperVariable); text != "" {
		os.Exit(keep(text))
	}
}

// keep starts the cluster, says so, and ends it when asked to or when whoever
// started it is gone.
func keep(text string) int {
	_ = os.Unsetenv(keeperVariable)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	say := func(r report) { _ = json.NewEncoder(os.Stdout).Encode(r) }
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		say(report{Error: err.Error()})
		return 1
	}
	if !o.Outlive {
		alive, gone := context.WithCancel(ctx)
		ctx = alive
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			gone()
		}()
	}
	unlock, err := lock(o.Dir+"/.lock", io.Discard)
	if err != nil {
		say(report{Error: err.Error()})
		return 1
	}
	defer unlock()
	plane, err := startControlPlane(ctx, o.Dir, o.Binaries)
	defer plane.stop()
	if err != nil {
		say(report{Error: err.Error()})
		return 1
	}
	say(report{State: &plane.state})
	select {
	case <-ctx.Done():
		return 0
	case err := <-plane.failed:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
}
