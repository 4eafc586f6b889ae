package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/config"
	"drainer.dev/drainer/pkg/plan"
)

// options are the settings of the process, from flags and from the
// configuration file.
type options struct {
	config.DrainerConfiguration
	// context is that of the kubeconfig.
	context string
	// file is the path of the configuration file; empty for none. read reads it.
	file string
	read func(path string) ([]byte, error)
	// assumed is the file of another daemon whose configuration is assumed; nil for none.
	assumed *config.File
	// nodeSelector is the flag's text, parsed by complete.
	nodeSelector string

	flags *pflag.FlagSet
}

func defaults() *options {
	return &options{DrainerConfiguration: *config.Default(ownNamespace()), read: os.ReadFile}
}

// ownNamespace is the namespace of the pod this process runs in, or "drainer".
func ownNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	return "drainer"
}

func (o *options) add(f *pflag.FlagSet) {
	o.addCluster(f)
	o.addDrains(f)
	o.addEvictions(f)
	o.addProcess(f)
}

// addCluster adds the flags that say where the cluster and the configuration are.
func (o *options) addCluster(f *pflag.FlagSet) {
	o.addFile(f)
	f.StringVar(&o.ClientConnection.Kubeconfig, "kubeconfig", o.ClientConnection.Kubeconfig, "kubeconfig file; without it $KUBECONFIG, ~/.kube/config, or the service account of the pod")
	f.StringVar(&o.context, "context", o.context, "context of the kubeconfig; without it the current one")
}

// addFile adds the flag that says where the configuration is.
func (o *options) addFile(f *pflag.FlagSet) {
	o.flags = f
	f.StringVar(&o.file, "config", o.file, "configuration file; what it sets must not also be set by a flag")
}

// addDrains adds the flags that say which nodes and pods drainer drains, and how
// many at once.
func (o *options) addDrains(f *pflag.FlagSet) {
	f.StringVar(&o.nodeSelector, "node-selector", o.nodeSelector, "label selector of the nodes served; by default all nodes")
	f.Var(share{&o.MaxDraining}, "max-draining", "how many nodes may be drained at once: a number, or a share of the nodes served, rounded down, at least 1; 100% for no limit")
	f.Var(optionalShare{&o.MaxUnavailable}, "max-unavailable", "how many nodes may be unavailable for whatever reason, the next one to drain included: a number, or a share of the nodes served, rounded down, at least 1; without it 20%, or --max-draining if that is more")
	f.BoolVar(&o.AllowLastNode, "allow-last-node", o.AllowLastNode, "also cordon the last schedulable Ready node")
	f.StringVar((*string)(&o.BarePods), "bare-pods", string(o.BarePods), "what to do with pods that have no controller: Block, Evict or Ignore")
	f.StringVar((*string)(&o.EmptyDir), "empty-dir", string(o.EmptyDir), "what to do with pods that have an emptyDir volume: Evict or Block")
	f.DurationVar(&o.DrainTimeout.Duration, "drain-timeout", o.DrainTimeout.Duration, "how long a drain may take before it is reported TimedOut; 0 for no limit")
	f.StringVar((*string)(&o.OnTimeout), "on-timeout", string(o.OnTimeout), "what happens to a drain that exceeds its timeout: Wait continues, Stop sends no further evictions, Release also uncordons the node, Delete deletes pods past the budgets that hold them")
	f.BoolVar(&o.AllowDelete, "allow-delete", o.AllowDelete, "let drains delete pods past the budgets that hold them, for requests that have timed out, rules with deleteAfter, and nodes that disappear")
	f.StringSliceVar(&o.NeverDelete.Namespaces, "never-delete-namespaces", o.NeverDelete.Namespaces, "namespaces in which no pod is deleted past a budget")
	f.DurationVar(&o.StuckAfter.Duration, "stuck-after", o.StuckAfter.Duration, "how long a pod may be blocked, or terminating past its grace period, before it counts as stuck")
	f.DurationVar(&o.Settle.Duration, "settle", o.Settle.Duration, "how long a node must be seen unschedulable before it may be reported Drained")
}

// addEvictions adds the flags that limit evictions.
func (o *options) addEvictions(f *pflag.FlagSet) {
	e := &o.Eviction
	f.Float64Var(&e.QPS, "eviction-qps", e.QPS, "evictions per second over all nodes; 0 for no limit")
	f.IntVar(&e.Burst, "eviction-burst", e.Burst, "evictions that may be sent at once")
	f.IntVar(&e.Workers, "eviction-workers", e.Workers, "evictions that are sent at a time; one that takes longer than 1s continues beside the next ones, up to 100 in all")
	f.DurationVar(&e.Timeout.Duration, "eviction-timeout", e.Timeout.Duration, "how long one eviction may take; the API server may need 34s")
}

// addProcess adds the flags that concern the process and not what it drains.
func (o *options) addProcess(f *pflag.FlagSet) {
	c, l := &o.ClientConnection, &o.LeaderElection
	f.Float32Var(&c.QPS, "kube-api-qps", c.QPS, "requests other than evictions per second, separately for writes to nodes, for watches, and for the rest; 0 for no limit")
	f.Int32Var(&c.Burst, "kube-api-burst", c.Burst, "requests other than evictions that may be sent at once, where --kube-api-qps limits them")

	f.StringVar(&o.MetricsBindAddress, "metrics-bind-address", o.MetricsBindAddress, "address of /metrics")
	f.StringVar(&o.MetricsTLS.CertFile, "metrics-tls-cert-file", o.MetricsTLS.CertFile, "certificate to serve /metrics with; without it /metrics is plain HTTP")
	f.StringVar(&o.MetricsTLS.KeyFile, "metrics-tls-private-key-file", o.MetricsTLS.KeyFile, "key of that certificate; both files are read again once they have changed")
	f.BoolVar(&o.MetricsTLS.Authorize, "metrics-authorize", o.MetricsTLS.Authorize, "serve /metrics only to those whose bearer token the API server knows and who may get the nonResourceURL /metrics")
	f.StringVar(&o.HealthBindAddress, "health-bind-address", o.HealthBindAddress, "address of /livez and /readyz")
	f.StringVar(&o.PprofBindAddress, "pprof-bind-address", o.PprofBindAddress, "address of /debug/pprof/; off if empty")

	f.BoolVar(l.LeaderElect, "leader-elect", *l.LeaderElect, "act only while holding the lease; needed for more than one process")
	f.DurationVar(&l.LeaseDuration.Duration, "leader-elect-lease-duration", l.LeaseDuration.Duration, "how long others wait for a leader that does not renew the lease")
	f.DurationVar(&l.RenewDeadline.Duration, "leader-elect-renew-deadline", l.RenewDeadline.Duration, "how long the leader acts after it last renewed the lease")
	f.DurationVar(&l.RetryPeriod.Duration, "leader-elect-retry-period", l.RetryPeriod.Duration, "how often a process tries to acquire or renew the lease")
	f.StringVar(&l.ResourceName, "leader-elect-resource-name", l.ResourceName, "name of the lease")
	f.StringVar(&l.ResourceNamespace, "leader-elect-resource-namespace", l.ResourceNamespace, "namespace of the lease; $POD_NAMESPACE if that is set")

	f.StringVar(&o.Logging.Format, "logging-format", o.Logging.Format, "text or json")
	f.IntVarP(&o.Logging.Verbosity, "v", "v", o.Logging.Verbosity, "how much to log, 0 to 10")
}

// fields are the fields of the configuration file that flags can set.
var fields = map[string]string{
	"kubeconfig": "clientConnection.kubeconfig", "node-selector": "nodeSelector", "max-draining": "maxDraining", "max-unavailable": "maxUnavailable",
	"allow-last-node": "allowLastNode", "bare-pods": "barePods", "empty-dir": "emptyDir", "drain-timeout": "drainTimeout",
	"on-timeout": "onTimeout", "allow-delete": "allowDelete", "never-delete-namespaces": "neverDelete.namespaces", "stuck-after": "stuckAfter", "settle": "settle",
	"eviction-qps": "eviction.qps", "eviction-burst": "eviction.burst", "eviction-workers": "eviction.workers",
	"eviction-timeout": "eviction.timeout", "kube-api-qps": "clientConnection.qps", "kube-api-burst": "clientConnection.burst",
	"metrics-bind-address": "metricsBindAddress", "health-bind-address": "healthBindAddress", "pprof-bind-address": "pprofBindAddress",
	"metrics-tls-cert-file": "metricsTLS.certFile", "metrics-tls-private-key-file": "metricsTLS.keyFile", "metrics-authorize": "metricsTLS.authorize",
	"leader-elect": "leaderElection.leaderElect", "leader-elect-lease-duration": "leaderElection.leaseDuration",
	"leader-elect-renew-deadline": "leaderElection.renewDeadline", "leader-elect-retry-period": "leaderElection.retryPeriod",
	"leader-elect-resource-name": "leaderElection.resourceName", "leader-elect-resource-namespace": "leaderElection.resourceNamespace",
	"logging-format": "logging.format", "v": "logging.verbosity",
}

// complete reads the configuration file and checks everything together. The
// error names all that is wrong: with the flag, or with the field of the file.
func (o *options) complete() error {
	file, err := o.load()
	if err != nil {
		return err
	}
	if file == nil {
		file = o.assumed
	}
	var problems []error
	if o.nodeSelector != "" {
		if o.NodeSelector, err = config.ParseSelector(o.nodeSelector); err != nil {
			problems = append(problems, fmt.Errorf("--node-selector=%q: expected a label selector such as pool=workers: %w", o.nodeSelector, err))
		}
	}
	named := map[string]string{}
	for flag, path := range fields {
		if !file.Sets(path) || o.overrides(flag) {
			named[path] = flag
		}
	}
	for _, p := range o.Validate() {
		if flag, is := named[p.Field]; is {
			problems = append(problems, fmt.Errorf("--%s=%s: %s", flag, shown(p.BadValue), byFlag(p.Detail, named)))
			continue
		}
		problems = append(problems, fmt.Errorf("%s: %s: %s: %s", file.Place(p.Field), p.Field, shown(p.BadValue), byFlag(p.Detail, named)))
	}
	return errors.Join(problems...)
}

// byFlag names other fields in a text by their flags, where those set them.
func byFlag(text string, named map[string]string) string {
	for path, flag := range named {
		if strings.ToLower(path) != path { // No word of the text itself.
			text = strings.ReplaceAll(text, path, "--"+flag)
		}
	}
	return text
}

// load reads the configuration file, if there is one, under the flags that are
// set.
func (o *options) load() (*config.File, error) {
	if o.file == "" {
		return nil, nil
	}
	text, err := o.read(o.file)
	if err != nil {
		return nil, fmt.Errorf("--config=%s: reading the configuration file: %w", o.file, err)
	}
	set := o.setFlags()
	file, err := config.Decode(o.file, text, &o.DrainerConfiguration)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, f := range set {
		if path := fields[f.name]; file.Sets(path) {
			problems = append(problems, fmt.Errorf("--%s=%s and %s in %s are both set: remove one of them", f.name, f.value, path, file.Place(path)))
			continue
		}
		// The file is decoded over what the flags had set before.
		problems = append(problems, f.again())
	}
	return file, errors.Join(sorted(problems)...)
}

// shown is a value for messages: a text is quoted, so that an empty one shows.
func shown(value any) string {
	if text, isText := value.(string); isText {
		return strconv.Quote(text)
	}
	return fmt.Sprint(value)
}

// planConfig is the part that drains are decided by. The options must be
// complete.
func (o *options) planConfig() plan.Config {
	c := o.Plan()
	c.OwnPod = types.UID(os.Getenv("POD_UID"))
	return c
}

// sorted orders problems by their text: maps have no order, messages do.
func sorted(problems []error) []error {
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

// share is a flag with a number or a percentage.
type share struct{ *intstr.IntOrString }

// Set implements pflag.Value. The value is checked with all others.
func (s share) Set(text string) error {
	*s.IntOrString = intstr.Parse(text)
	return nil
}

// Type implements pflag.Value.
func (share) Type() string { return "string" }

// optionalShare is such a flag that need not be set.
type optionalShare struct{ of **intstr.IntOrString }

// String implements pflag.Value.
func (s optionalShare) String() string {
	if s.of == nil || *s.of == nil {
		return ""
	}
	return (*s.of).String()
}

// Set implements pflag.Value. The value is checked with all others.
func (s optionalShare) Set(text string) error {
	value := intstr.Parse(text)
	*s.of = &value
	return nil
}

// Type implements pflag.Value.
func (optionalShare) Type() string { return "string" }
