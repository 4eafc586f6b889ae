package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/simulate"
)

const (
	// program is the name by which kubectl finds the plugin; completion is the name
	// of the program that kubectl runs to complete a command line.
	program    = "kubectl-drainer"
	completion = "kubectl_complete-drainer"
	// fieldManager is the name that the plugin writes under.
	fieldManager = program
)

// Options are what the plugin is made of.
type Options struct {
	// In, Out and ErrOut are the standard streams.
	In          io.Reader
	Out, ErrOut io.Writer
	// Version and Commit are those of the program.
	Version, Commit string
	// Now is the clock.
	Now func() time.Time
	// User names who runs the program, for the IDs of requests; nil for the
	// operating system's user.
	User func() string
	// Connect makes a client; nil to make it from kubectl's flags.
	Connect func() (kubernetes.Interface, error)
	// Commands are commands of the daemon's program that are of use here, too, for the
	// cluster that kubectl's flags mean.
	Commands func(Cluster) []*cobra.Command
	// Daemon is the assumed configuration of the daemon: its defaults, changed by
	// flags.
	Daemon func(reach func() (*rest.Config, error)) Daemon
	// Judge makes what asks the API server for verdicts on evictions.
	Judge func(context.Context, *rest.Config) (JudgeFunc, error)
}

// Cluster is one that the flags of the plugin mean.
type Cluster struct {
	// Config is how to reach its API server.
	Config func() (*rest.Config, error)
	// Assume lets a Daemon be configured like the one that runs there, unless its flags
	// name a configuration file, completes it, and says in words what is assumed.
	Assume func(context.Context, kubernetes.Interface, Daemon) (string, error)
}

// Daemon is the assumed configuration of the daemon.
type Daemon interface {
	// Add adds its flags.
	Add(*pflag.FlagSet)
	// Check checks the flags that have nothing to do with the configuration.
	Check() error
	// Named is true if the flags name a configuration file.
	Named() bool
	// Overrides are the names of the flags that change the configuration.
	Overrides() []string
	// Assume makes it what another daemon runs with, changed by its own flags. After an
	// error it is what it was before: one of Read's, or for what cannot be understood one
	// of Misunderstood.
	Assume(*Running) error
	// Complete reads the configuration file and checks everything.
	Complete() error
	// Simulation is what to simulate, except for the nodes. It is valid once
	// Complete has returned nil.
	Simulation() simulate.Options
}

// JudgeFunc asks whether an eviction would be admitted, and returns the HTTP
// status, 0 without an answer, and the error that was made of it.
type JudgeFunc func(ctx context.Context, pod *plan.Pod, gracePeriod *int64) (code int, err error)

// Arguments are the arguments of the plugin if the program was invoked as the
// plugin, by its name, and false if it was not.
func Arguments(invoked []string) ([]string, bool) {
	switch name := filepath.Base(filepath.ToSlash(invoked[0])); strings.TrimSuffix(strings.ToLower(name), ".exe") {
	case program:
		return invoked[1:], true
	case completion:
		return append([]string{cobra.ShellCompRequestCmd}, invoked[1:]...), true
	default:
		return nil, false
	}
}

// Run runs the plugin and returns its exit status. Errors are written to ErrOut.
func Run(ctx context.Context, o Options, args []string) int {
	c := command(o)
	// Without any, cobra would take those of the process.
	c.SetArgs(append([]string{}, args...))
	ran, err := c.ExecuteContextC(ctx)
	status := statusOf(ctx, err)
	if err != nil && err.Error() != "" {
		for i, line := range strings.Split(err.Error(), "\n") {
			if i == 0 {
				line = "Error: " + line
			}
			fmt.Fprintln(o.ErrOut, visible(line))
		}
	}
	if status == ExitUsage {
		fmt.Fprintf(o.ErrOut, "See '%s --help'.\n", ran.CommandPath())
	}
	return status
}

// shared is what all commands share.
type shared struct {
	Options
	cluster clusterFlags
}

func command(o Options) *cobra.Command {
	s := &shared{Options: o}
	c := &cobra.Command{
		Use:   program,
		Short: "Drain nodes with drainer, and see why they wait",
		Long: "kubectl drainer asks drainer to drain nodes, shows their progress and what they wait for, and forecasts\n" +
			"drains. It writes annotations on Nodes and reads them; drainer does the work, so you may close the terminal.\n\n" +
			"kubectl's flags that say which cluster is meant (--context, --kubeconfig, --as, ...) work here, too.",
		Example: example(
			"# See what a drain of two nodes would do, and how long it would take", "plan n1 n2",
			"# Drain them, and wait", "drain n1 n2 --wait",
			"# See all drains, and follow them", "status -w",
			"# See what a node waits for, and how to fix it", "status n1",
			"# Uncordon the drained nodes", "release n1 n2",
		),
		Annotations:  map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl drainer"},
		Args:         usageArgs(cobra.NoArgs),
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetIn(o.In)
	c.SetOut(o.Out)
	c.SetErr(o.ErrOut)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit{ExitUsage, err} })
	s.cluster.add(c.PersistentFlags())
	c.AddCommand(s.status(), s.drain(), s.cancel(), s.release(), s.pause(), s.resume(), s.version(), s.plan(), s.why())
	if o.Commands != nil {
		c.AddCommand(o.Commands(Cluster{Config: s.config, Assume: s.assume})...)
	}
	c.SetHelpCommand(&cobra.Command{Hidden: true})
	c.CompletionOptions.HiddenDefaultCmd = true
	return c
}

func (s *shared) client() (kubernetes.Interface, error) {
	if s.Connect != nil {
		return s.Connect()
	}
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return client, nil
}

// printf writes for people. Errors are ignored: they concern only the terminal.
func (s *shared) printf(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

// notef writes what is not the result.
func (s *shared) notef(format string, args ...any) { fmt.Fprintf(s.ErrOut, format, args...) }

// example formats the examples of a command: pairs of what it does and the rest
// of the command line.
func example(pairs ...string) string {
	var lines []string
	for i := 0; i < len(pairs); i += 2 {
		lines = append(lines, "  "+pairs[i], "  kubectl drainer "+pairs[i+1], "")
	}
	return strings.TrimSuffix(strings.Join(lines, "\n"), "\n")
}
