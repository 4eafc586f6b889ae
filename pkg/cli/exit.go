package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// Exit statuses. Scripts rely on them.
const (
	// ExitFailure: something went wrong, such as an API server that cannot be
	// reached.
	ExitFailure = 1
	// ExitUsage: the command line is wrong. Nothing was done.
	ExitUsage = 2
	// ExitTimedOut: the request took longer than its timeout.
	ExitTimedOut = 3
	// ExitCannotFinish: a node cannot be drained by waiting alone.
	ExitCannotFinish = 4
	// ExitWaited: --timeout expired. The drain continues.
	ExitWaited = 5
	// ExitEnded: the request was removed or replaced, or the node was deleted.
	ExitEnded = 6
	// ExitInterrupted: Ctrl-C. The drain continues.
	ExitInterrupted = 130
)

// exitStatuses say what each status means, for help and documentation.
var exitStatuses = []struct {
	status  int
	meaning string
}{
	{0, "Success. With --wait: all nodes are drained."},
	{ExitFailure, "Something failed; the message says what."},
	{ExitUsage, "The command line is wrong. Nothing was done."},
	{ExitTimedOut, "With --wait: a request took longer than its timeout (--drain-timeout, or the daemon's)."},
	{ExitCannotFinish, "With --wait, and of plan: a node cannot be drained until somebody fixes what blocks it."},
	{ExitWaited, "With --wait: --timeout expired. The drain continues."},
	{ExitEnded, "With --wait: a request was removed or replaced, or a node was deleted."},
	{ExitInterrupted, "Interrupted by Ctrl-C. A drain continues."},
}

// exit is an error with an exit status. If err is nil, everything has been said
// already.
type exit struct {
	status int
	err    error
}

func (e exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

// UsageError is an error of the command line, for Options.Commands.
func UsageError(err error) error { return exit{ExitUsage, err} }

// usagef is an error of the command line.
func usagef(format string, args ...any) error {
	return exit{ExitUsage, fmt.Errorf(format, args...)}
}

// usageArgs turns the errors of a check of the arguments into errors of the command
// line.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return exit{ExitUsage, err}
		}
		return nil
	}
}

// statusOf is the status to end with.
func statusOf(ctx context.Context, err error) int {
	var known exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &known):
		return known.status
	case ctx.Err() != nil:
		return ExitInterrupted
	default:
		return ExitFailure
	}
}
