// Command drainer drains the nodes of a Kubernetes cluster that are annotated
// with drainer.dev/drain.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	// Windows name time zones, and the image has none.
	_ "time/tzdata"

	"github.com/spf13/cobra"

	"drainer.dev/drainer/pkg/cli"
)

// Set by the linker.
var (
	version = "dev"
	commit  = "unknown"
)

// Exit statuses.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if args, is := cli.Arguments(os.Args); is {
		status := cli.Run(ctx, plugin(), args)
		stop()
		os.Exit(status)
	}
	err := command().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "drainer:", err)
	var failed failure
	if errors.As(err, &failed) {
		os.Exit(exitFailure)
	}
	fmt.Fprintln(os.Stderr, "See 'drainer --help'.")
	os.Exit(exitUsage)
}

// failure is an error of the work itself; all others are usage errors.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// daemonCommand is the command that drains nodes.
func daemonCommand(use string) *cobra.Command {
	o := defaults()
	c := &cobra.Command{
		Use:   use,
		Short: "Drain the nodes that are annotated with drainer.dev/drain",
		Long: "drainer cordons every node that is annotated with drainer.dev/drain, evicts its pods as fast as their\n" +
			"PodDisruptionBudgets allow, says on the node what it waits for, and reports it Drained.",
		Args:          cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.complete(); err != nil {
				return err
			}
			if err := run(c.Context(), o); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	o.add(c.Flags())
	c.Flags().SortFlags = false
	return c
}

// command is the daemon, which is also the subcommand run, with the other
// subcommands.
func command() *cobra.Command {
	c := daemonCommand("drainer")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	c.AddCommand(daemonCommand("run"), healthcheck(), simulation("drainer", nil), configuration(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "drainer %s (%s)\n", version, commit)
			return err
		},
	})
	c.CompletionOptions.DisableDefaultCmd = true
	return c
}

// flagError says what to write instead of an unknown flag.
func flagError(err error) error {
	if err == nil || !strings.Contains(err.Error(), "--daemon-kinds") {
		return err
	}
	return fmt.Errorf("%w: to let pods of kinds other than DaemonSet stay, use a rule in the configuration file, such as "+
		"{name: other-daemons, match: {controllers: [GROUP/VERSION/KIND]}, action: Ignore}", err)
}
