package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// options are the flags, as text where they are parsed together.
type options struct {
	kubeconfig, context string
	nodeSelector        string

	maxDraining   string
	allowLastNode bool
	barePods      string
	emptyDir      string
	drainTimeout  time.Duration
	onTimeout     string
	stuckAfter    time.Duration
	settle        time.Duration

	evictionQPS     float64
	evictionBurst   int
	evictionWorkers int
	evictionTimeout time.Duration
	kubeAPIQPS      float32
	kubeAPIBurst    int

	metricsAddress, healthAddress, pprofAddress string

	leaderElect                               bool
	leaseDuration, renewDeadline, retryPeriod time.Duration
	leaseName, leaseNamespace                 string

	loggingFormat string
	verbosity     int
}

func defaults() *options {
	return &options{
		maxDraining: "10%", barePods: string(plan.BlockBarePods), emptyDir: string(plan.EvictEmptyDir),
		onTimeout: string(api.Wait), stuckAfter: 5 * time.Minute, settle: 5 * time.Second,
		evictionQPS: 50, evictionBurst: 100, evictionWorkers: 10, evictionTimeout: 40 * time.Second,
		kubeAPIQPS: 0, kubeAPIBurst: 100,
		metricsAddress: ":8080", healthAddress: ":8081",
		leaderElect: true, leaseDuration: 15 * time.Second, renewDeadline: 10 * time.Second, retryPeriod: 2 * time.Second,
		leaseName: "drainer", leaseNamespace: ownNamespace(),
		loggingFormat: "text",
	}
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

// addCluster adds the flags that say where the cluster is.
func (o *options) addCluster(f *pflag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", o.kubeconfig, "kubeconfig file; without it $KUBECONFIG, ~/.kube/config, or the service account of the pod")
	f.StringVar(&o.context, "context", o.context, "context of the kubeconfig; without it the current one")
}

// addDrains adds the flags that say which nodes and pods drainer drains, and how
// many at once.
func (o *options) addDrains(f *pflag.FlagSet) {
	f.StringVar(&o.nodeSelector, "node-selector", o.nodeSelector, "label selector of the nodes served; without it all")
	f.StringVar(&o.maxDraining, "max-draining", o.maxDraining, "how many nodes may be drained at once: a number, or a share of the nodes served, rounded down, at least 1; 100% for no limit")
	f.BoolVar(&o.allowLastNode, "allow-last-node", o.allowLastNode, "also cordon the last schedulable Ready node")
	f.StringVar(&o.barePods, "bare-pods", o.barePods, "what to do with pods that have no controller: Block, Evict or Ignore")
	f.StringVar(&o.emptyDir, "empty-dir", o.emptyDir, "what to do with pods that have an emptyDir volume: Evict or Block")
	f.DurationVar(&o.drainTimeout, "drain-timeout", o.drainTimeout, "how long a drain may take before it is reported TimedOut; 0 for no limit")
	f.StringVar(&o.onTimeout, "on-timeout", o.onTimeout, "what happens then: Wait continues, Stop sends no further eviction")
	f.DurationVar(&o.stuckAfter, "stuck-after", o.stuckAfter, "how long a pod may be blocked, or overdue in terminating, before it counts as stuck")
	f.DurationVar(&o.settle, "settle", o.settle, "how long a node must be seen unschedulable before it may be reported Drained")
}

// addEvictions adds the flags that limit evictions.
func (o *options) addEvictions(f *pflag.FlagSet) {
	f.Float64Var(&o.evictionQPS, "eviction-qps", o.evictionQPS, "evictions per second over all nodes; 0 for no limit")
	f.IntVar(&o.evictionBurst, "eviction-burst", o.evictionBurst, "evictions that may be sent at once")
	f.IntVar(&o.evictionWorkers, "eviction-workers", o.evictionWorkers, "evictions under way at once")
	f.DurationVar(&o.evictionTimeout, "eviction-timeout", o.evictionTimeout, "how long one eviction may take; the API server may need 34s")
}

// addProcess adds the flags that concern the process and not what it drains.
func (o *options) addProcess(f *pflag.FlagSet) {
	f.Float32Var(&o.kubeAPIQPS, "kube-api-qps", o.kubeAPIQPS, "other requests per second, separately for writes to nodes, for watches, and for the rest; 0 for no limit")
	f.IntVar(&o.kubeAPIBurst, "kube-api-burst", o.kubeAPIBurst, "other requests that may be sent at once, where --kube-api-qps limits them")

	f.StringVar(&o.metricsAddress, "metrics-bind-address", o.metricsAddress, "address of /metrics")
	f.StringVar(&o.healthAddress, "health-bind-address", o.healthAddress, "address of /livez and /readyz")
	f.StringVar(&o.pprofAddress, "pprof-bind-address", o.pprofAddress, "address of /debug/pprof/; off if empty")

	f.BoolVar(&o.leaderElect, "leader-elect", o.leaderElect, "act only while holding the lease; needed for more than one process")
	f.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", o.leaseDuration, "how long others wait for a leader that does not renew")
	f.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", o.renewDeadline, "how long the leader acts without having renewed")
	f.DurationVar(&o.retryPeriod, "leader-elect-retry-period", o.retryPeriod, "how often the lease is tried")
	f.StringVar(&o.leaseName, "leader-elect-resource-name", o.leaseName, "name of the lease")
	f.StringVar(&o.leaseNamespace, "leader-elect-resource-namespace", o.leaseNamespace, "namespace of the lease; $POD_NAMESPACE if that is set")

	f.StringVar(&o.loggingFormat, "logging-format", o.loggingFormat, "text or json")
	f.IntVarP(&o.verbosity, "v", "v", o.verbosity, "how much to log, 0 to 10")
}

// validate checks all flags together and names everything that is wrong.
func (o *options) validate() error {
	var problems []error
	bad := func(flag string, value any, want string) {
		problems = append(problems, fmt.Errorf("--%s=%v: expected %s", flag, value, want))
	}
	if _, err := labels.Parse(o.nodeSelector); err != nil {
		bad("node-selector", o.nodeSelector, "a label selector such as pool=workers: "+err.Error())
	}
	if _, err := plan.ParseShare(o.maxDraining); err != nil {
		bad("max-draining", o.maxDraining, "a number of at least 1, or a share from 1% to 100%")
	}
	oneOf(bad, "bare-pods", o.barePods, "Block", "Evict", "Ignore")
	oneOf(bad, "empty-dir", o.emptyDir, "Evict", "Block")
	oneOf(bad, "logging-format", o.loggingFormat, "text", "json")
	if _, err := api.ParseOnTimeout(o.onTimeout); err != nil {
		bad("on-timeout", o.onTimeout, "Wait or Stop")
	}
	if o.evictionQPS < 0 || math.IsInf(o.evictionQPS, 0) || math.IsNaN(o.evictionQPS) {
		bad("eviction-qps", o.evictionQPS, "a number of at least 0")
	}
	if !(o.kubeAPIQPS >= 0) {
		bad("kube-api-qps", o.kubeAPIQPS, "a number of at least 0")
	}
	for flag, n := range map[string]int{
		"eviction-burst": o.evictionBurst, "eviction-workers": o.evictionWorkers, "kube-api-burst": o.kubeAPIBurst,
	} {
		if n < 1 {
			bad(flag, n, "a number of at least 1")
		}
	}
	if o.verbosity < 0 || o.verbosity > 10 {
		bad("v", o.verbosity, "a number from 0 to 10")
	}
	o.validateTimes(bad)
	o.validateAddresses(bad)
	return errors.Join(sorted(problems)...)
}

func (o *options) validateTimes(bad func(string, any, string)) {
	for flag, d := range map[string]time.Duration{"drain-timeout": o.drainTimeout, "settle": o.settle} {
		if d < 0 {
			bad(flag, d, "a duration of at least 0")
		}
	}
	for flag, d := range map[string]time.Duration{
		"stuck-after": o.stuckAfter, "eviction-timeout": o.evictionTimeout, "leader-elect-retry-period": o.retryPeriod,
	} {
		if d <= 0 {
			bad(flag, d, "a duration above 0")
		}
	}
	if !o.leaderElect {
		return
	}
	if o.leaseDuration <= o.renewDeadline {
		bad("leader-elect-lease-duration", o.leaseDuration,
			fmt.Sprintf("more than --leader-elect-renew-deadline (%v)", o.renewDeadline))
	}
	if least := 12 * o.retryPeriod / 10; o.renewDeadline <= least {
		bad("leader-elect-renew-deadline", o.renewDeadline,
			fmt.Sprintf("more than 1.2 times --leader-elect-retry-period (%v)", o.retryPeriod))
	}
	if o.leaseName == "" {
		bad("leader-elect-resource-name", `""`, "a name")
	}
	if o.leaseNamespace == "" {
		bad("leader-elect-resource-namespace", `""`, "a namespace")
	}
}

func (o *options) validateAddresses(bad func(string, any, string)) {
	taken := map[string]string{}
	for _, a := range []struct{ flag, address string }{
		{"metrics-bind-address", o.metricsAddress}, {"health-bind-address", o.healthAddress}, {"pprof-bind-address", o.pprofAddress},
	} {
		if a.address == "" && a.flag == "pprof-bind-address" {
			continue
		}
		_, port, err := net.SplitHostPort(a.address)
		if n, errPort := strconv.Atoi(port); err != nil || errPort != nil || n < 0 || n > 65535 {
			bad(a.flag, strconv.Quote(a.address), "an address such as :8080 or 127.0.0.1:8080")
			continue
		}
		if other := taken[a.address]; other != "" && port != "0" {
			bad(a.flag, a.address, "another address than --"+other)
		}
		taken[a.address] = a.flag
	}
}

func oneOf(bad func(string, any, string), flag, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	bad(flag, strconv.Quote(value), strings.Join(allowed[:len(allowed)-1], ", ")+" or "+allowed[len(allowed)-1])
}

// config is the part that drains are decided by. The options must be valid.
func (o *options) config() plan.Config {
	share, _ := plan.ParseShare(o.maxDraining)
	return plan.Config{
		MaxDraining: share, AllowLastNode: o.allowLastNode, Settle: o.settle, StuckAfter: o.stuckAfter,
		Timeout: o.drainTimeout, OnTimeout: api.OnTimeout(o.onTimeout),
		BarePods: plan.BarePods(o.barePods), EmptyDir: plan.EmptyDir(o.emptyDir),
		OwnPod: types.UID(os.Getenv("POD_UID")),
	}
}

// sorted orders problems by their text: maps have no order, messages do.
func sorted(problems []error) []error {
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}
