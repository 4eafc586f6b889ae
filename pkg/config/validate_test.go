package config_test

import (
	"math"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"drainer.dev/drainer/pkg/config"
)

// TestValidate: each value that drainer cannot work with is named by its path,
// those at the edge are good.
func TestValidate(t *testing.T) {
	type c = config.DrainerConfiguration
	no := false
	for name, test := range map[string]struct {
		change func(*c)
		want   string // The path; empty for none.
		detail string
	}{
		"no node":                {func(c *c) { c.MaxDraining = intstr.FromInt(0) }, "maxDraining", "at least 1"},
		"one node":               {func(c *c) { c.MaxDraining = intstr.FromInt(1) }, "", ""},
		"over 100 %":             {func(c *c) { c.MaxDraining = intstr.FromString("101%") }, "maxDraining", "1% to 100%"},
		"all":                    {func(c *c) { c.MaxDraining = intstr.FromString("100%") }, "", ""},
		"selector":               {func(c *c) { c.NodeSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "?"}} }, "nodeSelector", "label selector"},
		"bare pods":              {func(c *c) { c.BarePods = "x" }, "barePods", "Block, Evict or Ignore"},
		"emptyDir":               {func(c *c) { c.EmptyDir = "Ignore" }, "emptyDir", "Evict or Block"},
		"timeout":                {func(c *c) { c.OnTimeout = "Kill" }, "onTimeout", "Wait, Stop, Release or Delete"},
		"a deletion not allowed": {func(c *c) { c.OnTimeout = "Delete" }, "onTimeout", "expected Wait, Stop or Release without allowDelete"},
		"a pool's deletion": {func(c *c) {
			c.Pools = []config.Pool{{Name: "a", NodeSelector: &metav1.LabelSelector{}, OnTimeout: "Delete"}}
		}, "pools[0].onTimeout", "without allowDelete"},
		"no namespace":              {func(c *c) { c.NeverDelete.Namespaces = []string{"db", "Db*"} }, "neverDelete.namespaces", "expected the name of a namespace"},
		"drain timeout":             {func(c *c) { c.DrainTimeout.Duration = -1 }, "drainTimeout", "at least 0"},
		"settle":                    {func(c *c) { c.Settle.Duration = -1 }, "settle", "at least 0"},
		"settle at once":            {func(c *c) { c.Settle.Duration = 0 }, "", ""},
		"stuck at once":             {func(c *c) { c.StuckAfter.Duration = 0 }, "stuckAfter", "above 0"},
		"unreachable":               {func(c *c) { c.Unreachable.Action = "Delete" }, "unreachable.action", "Wait or Ignore"},
		"unreachable for a moment":  {func(c *c) { c.Unreachable.After.Duration = 59 * time.Second }, "unreachable.after", "at least 1m0s"},
		"unreachable for a minute":  {func(c *c) { c.Unreachable.After.Duration = time.Minute }, "", ""},
		"rate":                      {func(c *c) { c.Eviction.QPS = -1 }, "eviction.qps", "at least 0"},
		"no rate":                   {func(c *c) { c.Eviction.QPS = math.NaN() }, "eviction.qps", "at least 0"},
		"infinite rate":             {func(c *c) { c.Eviction.QPS = math.Inf(1) }, "eviction.qps", "at least 0"},
		"burst":                     {func(c *c) { c.Eviction.Burst = 0 }, "eviction.burst", "at least 1"},
		"workers":                   {func(c *c) { c.Eviction.Workers = 0 }, "eviction.workers", "at least 1"},
		"eviction timeout":          {func(c *c) { c.Eviction.Timeout.Duration = 0 }, "eviction.timeout", "above 0"},
		"client rate":               {func(c *c) { c.ClientConnection.QPS = -1 }, "clientConnection.qps", "at least 0"},
		"client burst":              {func(c *c) { c.ClientConnection.Burst = 0 }, "clientConnection.burst", "at least 1"},
		"lock":                      {func(c *c) { c.LeaderElection.ResourceLock = "endpoints" }, "leaderElection.resourceLock", "expected leases"},
		"lease":                     {func(c *c) { c.LeaderElection.LeaseDuration.Duration = 10 * time.Second }, "leaderElection.leaseDuration", "leaderElection.renewDeadline (10s)"},
		"renewal":                   {func(c *c) { c.LeaderElection.RenewDeadline.Duration = 2400 * time.Millisecond }, "leaderElection.renewDeadline", "1.2 times"},
		"retries":                   {func(c *c) { c.LeaderElection.RetryPeriod.Duration = 0 }, "leaderElection.retryPeriod", "above 0"},
		"no name":                   {func(c *c) { c.LeaderElection.ResourceName = "" }, "leaderElection.resourceName", "a name"},
		"no election needs no name": {func(c *c) { c.LeaderElection.ResourceName, c.LeaderElection.LeaderElect = "", &no }, "", ""},
		"no election named elects":  {func(c *c) { c.LeaderElection.ResourceName, c.LeaderElection.LeaderElect = "", nil }, "leaderElection.resourceName", "a name"},
		"address":                   {func(c *c) { c.MetricsBindAddress = "8080" }, "metricsBindAddress", ":8080"},
		"no address":                {func(c *c) { c.HealthBindAddress = "" }, "healthBindAddress", ":8080"},
		"port":                      {func(c *c) { c.PprofBindAddress = ":65536" }, "pprofBindAddress", ":8080"},
		"same address":              {func(c *c) { c.HealthBindAddress = ":8080" }, "healthBindAddress", "an address other than metricsBindAddress"},
		"a key alone":               {func(c *c) { c.MetricsTLS.KeyFile = "k" }, "metricsTLS.certFile", "the certificate of metricsTLS.keyFile"},
		"a certificate alone":       {func(c *c) { c.MetricsTLS.CertFile = "c" }, "metricsTLS.keyFile", "the key of metricsTLS.certFile"},
		"tokens in the clear":       {func(c *c) { c.MetricsTLS.Authorize = true }, "metricsTLS.authorize", "expected false without metricsTLS.certFile"},
		"any port twice":            {func(c *c) { c.HealthBindAddress, c.MetricsBindAddress = ":0", ":0" }, "", ""},
		"format":                    {func(c *c) { c.Logging.Format = "xml" }, "logging.format", "text or json"},
		"verbosity":                 {func(c *c) { c.Logging.Verbosity = 11 }, "logging.verbosity", "0 to 10"},
		"silence":                   {func(c *c) { c.Logging.Verbosity = -1 }, "logging.verbosity", "0 to 10"},
	} {
		t.Run(name, func(t *testing.T) {
			configuration := config.Default("ns")
			test.change(configuration)
			problems := configuration.Validate()
			switch {
			case test.want == "" && len(problems) > 0:
				t.Error(problems.ToAggregate())
			case test.want != "" && (len(problems) != 1 || problems[0].Field != test.want || !strings.Contains(problems[0].Detail, test.detail)):
				t.Errorf("problems %v, want one of %s with %q", problems, test.want, test.detail)
			}
		})
	}
	configuration := config.Default("ns")
	configuration.Settle.Duration, configuration.BarePods, configuration.Logging.Format = -1, "x", "y"
	if problems := configuration.Validate(); len(problems) != 3 || problems[0].Field != "barePods" || problems[2].Field != "settle" {
		t.Errorf("problems %v, want all three in order", problems)
	}
}

// TestUnreachable: only Ignore lets a drain end without its pods.
func TestUnreachable(t *testing.T) {
	for action, want := range map[config.UnreachableAction]time.Duration{config.WaitForNode: 0, config.IgnorePods: 10 * time.Minute} {
		c := config.Default("")
		c.Unreachable.Action = action
		if got := c.Plan().IgnoreUnreachableAfter; got != want {
			t.Errorf("%s: pods are ignored after %v, want %v", action, got, want)
		}
	}
}
