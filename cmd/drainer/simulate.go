package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/simulate"
)

// simulateOptions are the flags of simulate.
type simulateOptions struct {
	// options are those of the daemon; only some of them are flags here.
	*options
	// cluster is what is read; nil if the flags say so.
	cluster  *cli.Cluster
	dump     string
	nodes    []string
	selector string
	output   cli.Output

	startTime, stopTime        time.Duration
	removalDelay               time.Duration
	startTimes                 map[string]string
	apiLatency, controllerLags time.Duration
	limit                      time.Duration

	// configured says in words how drainer is configured; empty for what the flags say.
	configured string
}

func simulationDefaults() *simulateOptions {
	return &simulateOptions{
		options: defaults(), apiLatency: 10 * time.Millisecond, controllerLags: 20 * time.Millisecond, limit: 24 * time.Hour,
	}
}

// simulation is the command simulate of the program. Without a cluster it has flags
// that say which one is meant.
func simulation(program string, cluster *cli.Cluster) *cobra.Command {
	o := simulationDefaults()
	o.cluster = cluster
	c := &cobra.Command{
		Use:   "simulate [-f DUMP] {--drain NODE,NODE | -l SELECTOR}",
		Short: "Forecast how nodes would be drained, and write nothing",
		Long: "simulate reads a cluster, or a dump of one, and forecasts how drainer would drain nodes of it: when each node\n" +
			"is drained, which budgets bound the time, and what cannot finish and how to fix it. It writes nothing.\n" + whose(cluster) +
			"A dump is the output of:\n\n  " + simulate.Command,
		Example: "  " + program + " simulate --drain node-1,node-2\n" +
			"  " + simulate.Command + " | " + program + " simulate -f - -l pool=workers --max-draining=3",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// What the cluster says comes before the other checks.
			check := o.complete
			if o.assumes() {
				check = o.check
			}
			if err := check(); err != nil {
				return err
			}
			return o.run(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	}
	o.add(c.Flags())
	c.Flags().SortFlags = false
	return c
}

// whose says how the command finds out how drainer is configured.
func whose(cluster *cli.Cluster) string {
	if cluster == nil {
		return ""
	}
	return "Without a dump it assumes the configuration of the drainer in the cluster or, if there is none, the default\n" +
		"one. Flags change that configuration, and --config replaces it.\n"
}

// add adds the flags: its own, and those of the daemon that decide about drains.
func (o *simulateOptions) add(f *pflag.FlagSet) {
	f.StringVarP(&o.dump, "filename", "f", o.dump, "file with a dump of the cluster, - for standard input; without it the cluster is read")
	f.StringSliceVar(&o.nodes, "drain", o.nodes, "names of the nodes to drain")
	f.StringVarP(&o.selector, "selector", "l", o.selector, "label selector of the nodes to drain")
	o.output.Add(f)
	o.addForecast(f)
}

// addForecast adds the flags for the assumptions of the forecast, including
// those of the daemon.
func (o *simulateOptions) addForecast(f *pflag.FlagSet) {
	f.DurationVar(&o.startTime, "start-time", o.startTime, "how long pods take from their creation until they are Ready; 0 to take it from their history")
	f.StringToStringVar(&o.startTimes, "start-time-of", o.startTimes, "--start-time for the pods of a namespace or a controller, such as shop=20s,shop/web=5s")
	f.DurationVar(&o.stopTime, "stop-time", o.stopTime, "how long pods take to stop, at most their grace period; 0 for the whole of it")
	f.DurationVar(&o.removalDelay, "removal-delay", o.removalDelay, "how long pods that have stopped take until they are gone: what kubelets and the API server add")
	f.DurationVar(&o.apiLatency, "api-latency", o.apiLatency, "how long the API server takes to answer")
	f.DurationVar(&o.controllerLags, "controller-delay", o.controllerLags, "how long each controller and the scheduler take to react")
	f.DurationVar(&o.limit, "limit", o.limit, "how far ahead to forecast")
	if o.cluster == nil {
		o.addCluster(f)
	} else {
		o.addFile(f)
	}
	o.addDrains(f)
	o.addEvictions(f)
}

// complete reads the configuration file and checks all flags together and names everything that is wrong.
func (o *simulateOptions) complete() error {
	return errors.Join(o.options.complete(), o.check())
}

// check checks the flags that are not the daemon's.
func (o *simulateOptions) check() error {
	problems := []error{o.output.Check()}
	bad := func(flag string, value any, want string) {
		problems = append(problems, fmt.Errorf("--%s=%v: expected %s", flag, value, want))
	}
	if _, err := labels.Parse(o.selector); err != nil {
		bad("selector", o.selector, "a label selector such as pool=workers: "+err.Error())
	}
	for _, one := range []struct {
		flag string
		d    time.Duration
	}{
		{"start-time", o.startTime},
		{"stop-time", o.stopTime},
		{"removal-delay", o.removalDelay},
		{"api-latency", o.apiLatency},
		{"controller-delay", o.controllerLags},
	} {
		if one.d < 0 {
			bad(one.flag, one.d, "a duration of at least 0")
		}
	}
	if o.limit <= 0 {
		bad("limit", o.limit, "a duration above 0")
	}
	if _, err := o.times(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// times are the start times of namespaces and controllers.
func (o *simulateOptions) times() (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	var problems []error
	for of, text := range o.startTimes {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			problems = append(problems, fmt.Errorf("--start-time-of=%s=%s: expected a duration of at least 0 such as 20s", of, text))
		}
		times[of] = d
	}
	return times, errors.Join(sorted(problems)...)
}

// assumes is true if the cluster says how drainer is configured.
func (o *simulateOptions) assumes() bool { return o.cluster != nil && o.dump == "" && o.file == "" }

// run reads the cluster and writes the forecast. The options must be complete, unless
// the cluster says how drainer is configured.
func (o *simulateOptions) run(ctx context.Context, in io.Reader, out io.Writer) error {
	objects, err := o.objects(ctx, in)
	if err != nil {
		return err
	}
	result, err := simulate.Run(objects, o.simulation())
	if err != nil {
		return err
	}
	if o.output.ForPrograms() {
		err = o.output.Write(out, result)
	} else {
		err = result.WriteText(out)
	}
	if err != nil {
		return failure{fmt.Errorf("writing the forecast: %w", err)}
	}
	return nil
}

func (o *simulateOptions) simulation() simulate.Options {
	times, _ := o.times()
	config := o.planConfig()
	// This process is not a pod of the cluster.
	config.OwnPod = ""
	s := simulate.Options{
		Nodes: o.nodes, Configured: o.configured,
		Daemon: forecast.Options{
			Config: config, Selectors: o.Selectors(),
			QPS: o.Eviction.QPS, Burst: o.Eviction.Burst, Workers: o.Eviction.Workers, EvictionTimeout: o.Eviction.Timeout.Duration,
		},
		StartTime: o.startTime, StartTimes: times, StopTime: o.stopTime, RemovalDelay: o.removalDelay,
		Latency: o.apiLatency, ControllerDelay: o.controllerLags, Limit: o.limit,
	}
	if o.selector != "" {
		s.Selector, _ = labels.Parse(o.selector)
	}
	return s
}

// objects are those of the dump, or of the cluster.
func (o *simulateOptions) objects(ctx context.Context, in io.Reader) (*simulate.Objects, error) {
	var objects *simulate.Objects
	var err error
	if o.dump != "" {
		objects, err = o.readDump(in)
		return objects, asFailure(err)
	}
	client, err := o.client()
	if err != nil {
		return nil, failure{err}
	}
	if o.assumes() {
		if o.configured, err = o.cluster.Assume(ctx, client, planning{o}); err != nil {
			return nil, err
		}
	}
	objects, err = cli.ReadObjects(ctx, client, o.Plan().Rules)
	return objects, asFailure(err)
}

func (o *simulateOptions) readDump(in io.Reader) (*simulate.Objects, error) {
	if o.dump != "-" {
		file, err := os.Open(o.dump)
		if err != nil {
			return nil, fmt.Errorf("opening the dump: %w", err)
		}
		defer file.Close()
		in = file
	}
	return simulate.ReadDump(in)
}

func (o *simulateOptions) client() (kubernetes.Interface, error) {
	reach := o.base
	if o.cluster != nil {
		reach = o.cluster.Config
	}
	config, err := reach()
	if err != nil {
		return nil, fmt.Errorf("reading the cluster (without --filename): %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client to read the cluster: %w", err)
	}
	return client, nil
}

// asFailure is the error as one that is not due to the flags.
func asFailure(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}
