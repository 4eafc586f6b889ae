package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/pkg/drain"
	"drainer.dev/drainer/pkg/simulate"
)

// plugin is what the program is if it is invoked as kubectl-drainer.
func plugin() cli.Options {
	// Log lines of libraries would appear in the tables.
	klog.SetLogger(logr.Discard())
	return cli.Options{
		In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr,
		Version: version, Commit: commit, Now: time.Now,
		Commands: func(c cli.Cluster) []*cobra.Command {
			return []*cobra.Command{asPlugin(simulation("kubectl drainer", &c)), asPlugin(configuration())}
		},
		Daemon: func(reach func() (*rest.Config, error)) cli.Daemon {
			o := simulationDefaults()
			o.cluster = &cli.Cluster{Config: reach}
			return planning{o}
		},
		Judge: judge,
	}
}

// asPlugin gives errors of a command and its subcommands the same meaning in
// the plugin as here: every error that is not a failure is a usage error.
func asPlugin(c *cobra.Command) *cobra.Command {
	check := func(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
		if run == nil {
			return nil
		}
		return func(c *cobra.Command, args []string) error {
			err := run(c, args)
			if failed := (failure{}); err == nil || errors.As(err, &failed) {
				return err
			}
			return cli.UsageError(err)
		}
	}
	c.Args, c.RunE = check(c.Args), check(c.RunE)
	for _, sub := range c.Commands() {
		asPlugin(sub)
	}
	return c
}

// planning is the configuration of the daemon that plan and drain assume.
type planning struct{ *simulateOptions }

// Add implements cli.Daemon.
func (p planning) Add(f *pflag.FlagSet) { p.addForecast(f) }

// Check implements cli.Daemon.
func (p planning) Check() error { return p.check() }

// Named implements cli.Daemon.
func (p planning) Named() bool { return p.file != "" }

// Overrides implements cli.Daemon.
func (p planning) Overrides() []string {
	var names []string
	for _, f := range p.setFlags() {
		names = append(names, f.name)
	}
	return names
}

// Assume implements cli.Daemon.
func (p planning) Assume(r *cli.Running) error { return p.assume(r.Args, r.Read) }

// Complete implements cli.Daemon.
func (p planning) Complete() error { return p.complete() }

// Simulation implements cli.Daemon.
func (p planning) Simulation() simulate.Options { return p.simulation() }

// judge is how to ask the API server for the verdict on an eviction.
func judge(ctx context.Context, config *rest.Config) (cli.JudgeFunc, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for dry runs: %w", err)
	}
	evictions, err := drain.EvictionVersion(ctx, client.Discovery())
	if err != nil {
		return nil, err
	}
	return cli.JudgeFunc(drain.NewDryRunFunc(client.CoreV1().RESTClient(), evictions)), nil
}
