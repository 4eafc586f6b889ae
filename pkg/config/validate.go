package config

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// Validate names every field whose value drainer cannot work with, in order of
// their paths. The detail of each error says what was expected.
func (c *DrainerConfiguration) Validate() field.ErrorList {
	var v validator
	v.drains(c)
	v.limits(c)
	v.windows(c)
	v.rules(c)
	v.requests(c.Requests)
	v.evictions(&c.Eviction)
	v.connection(c)
	v.leaderElection(c)
	v.addresses(c)
	v.metricsTLS(&c.MetricsTLS)
	v.oneOf("logging.format", c.Logging.Format, "text", "json")
	if n := c.Logging.Verbosity; n < 0 || n > 10 {
		v.bad("logging.verbosity", n, "expected a number from 0 to 10")
	}
	slices.SortStableFunc(v.problems, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return v.problems
}

type validator struct{ problems field.ErrorList }

func (v *validator) bad(path string, value any, detail string) {
	v.problems = append(v.problems, field.Invalid(pathOf(path), value, detail))
}

func pathOf(path string) *field.Path {
	first, more, nested := strings.Cut(path, ".")
	if !nested {
		return field.NewPath(first)
	}
	return field.NewPath(first, strings.Split(more, ".")...)
}

func (v *validator) metricsTLS(m *MetricsTLS) {
	switch {
	case m.CertFile == "" && m.KeyFile != "":
		v.bad("metricsTLS.certFile", m.CertFile, "expected the path of the certificate of metricsTLS.keyFile")
	case m.CertFile != "" && m.KeyFile == "":
		v.bad("metricsTLS.keyFile", m.KeyFile, "expected the path of the key of metricsTLS.certFile")
	case m.CertFile == "" && m.Authorize:
		v.bad("metricsTLS.authorize", m.Authorize, "expected false without metricsTLS.certFile: tokens are not sent in the clear")
	}
}

func (v *validator) oneOf(path, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	last := len(allowed) - 1
	want := allowed[last]
	if last > 0 {
		want = strings.Join(allowed[:last], ", ") + " or " + want
	}
	v.bad(path, value, "expected "+want)
}

func (v *validator) atLeast(path string, value, least int) {
	if value < least {
		v.bad(path, value, fmt.Sprintf("expected a number of at least %d", least))
	}
}

func (v *validator) rate(path string, value float64) {
	if !(value >= 0) || math.IsInf(value, 0) {
		v.bad(path, value, "expected a number of at least 0")
	}
}

func (v *validator) notNegative(path string, d metav1.Duration) {
	if d.Duration < 0 {
		v.bad(path, d.Duration, "expected a duration of at least 0")
	}
}

func (v *validator) positive(path string, d metav1.Duration) {
	if d.Duration <= 0 {
		v.bad(path, d.Duration, "expected a duration above 0")
	}
}

func (v *validator) drains(c *DrainerConfiguration) {
	v.selector("nodeSelector", c.NodeSelector)
	v.oneOf("barePods", string(c.BarePods), string(plan.BlockBarePods), string(plan.EvictBarePods), string(plan.IgnoreBarePods))
	v.oneOf("emptyDir", string(c.EmptyDir), string(plan.EvictEmptyDir), string(plan.BlockEmptyDir))
	v.onTimeout("onTimeout", c.OnTimeout, c.AllowDelete)
	v.namespaces("neverDelete.namespaces", c.NeverDelete.Namespaces)
	v.notNegative("drainTimeout", c.DrainTimeout)
	v.notNegative("settle", c.Settle)
	v.positive("stuckAfter", c.StuckAfter)
	v.oneOf("unreachable.action", string(c.Unreachable.Action), string(WaitForNode), string(IgnorePods))
	if after := c.Unreachable.After.Duration; after < leastUnreachable {
		v.bad("unreachable.after", after, fmt.Sprintf("expected a duration of at least %v: the restart of a kubelet may take that long", leastUnreachable))
	}
}

// leastUnreachable is the shortest time for which a node has to be unreachable before
// its pods are no longer waited for.
const leastUnreachable = time.Minute

func (v *validator) onTimeout(path string, is api.OnTimeout, allowDelete bool) {
	v.oneOf(path, string(is), string(api.Wait), string(api.Stop), string(api.Release), string(api.Delete))
	if is == api.Delete && !allowDelete {
		v.bad(path, string(is), "expected Wait, Stop or Release without allowDelete")
	}
}

func (v *validator) namespaces(path string, names []string) {
	for _, name := range names {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			v.bad(path, name, "expected the name of a namespace: "+strings.Join(problems, ", "))
		}
	}
}

func (v *validator) evictions(e *EvictionConfiguration) {
	v.rate("eviction.qps", e.QPS)
	v.atLeast("eviction.burst", e.Burst, 1)
	v.atLeast("eviction.workers", e.Workers, 1)
	v.positive("eviction.timeout", e.Timeout)
}

func (v *validator) connection(c *DrainerConfiguration) {
	v.rate("clientConnection.qps", float64(c.ClientConnection.QPS))
	v.atLeast("clientConnection.burst", int(c.ClientConnection.Burst), 1)
}

func (v *validator) leaderElection(c *DrainerConfiguration) {
	e := &c.LeaderElection
	v.positive("leaderElection.retryPeriod", e.RetryPeriod)
	v.oneOf("leaderElection.resourceLock", e.ResourceLock, resourceLock)
	if !c.Elects() {
		return
	}
	if e.LeaseDuration.Duration <= e.RenewDeadline.Duration {
		v.bad("leaderElection.leaseDuration", e.LeaseDuration.Duration,
			fmt.Sprintf("expected more than leaderElection.renewDeadline (%v)", e.RenewDeadline.Duration))
	}
	// client-go wants 1.2 times the period, its jitter.
	if least := 12 * e.RetryPeriod.Duration / 10; e.RenewDeadline.Duration <= least {
		v.bad("leaderElection.renewDeadline", e.RenewDeadline.Duration,
			fmt.Sprintf("expected more than 1.2 times leaderElection.retryPeriod (%v)", e.RetryPeriod.Duration))
	}
	if e.ResourceName == "" {
		v.bad("leaderElection.resourceName", "", "expected a name")
	}
	if e.ResourceNamespace == "" {
		v.bad("leaderElection.resourceNamespace", "", "expected a namespace")
	}
}

func (v *validator) addresses(c *DrainerConfiguration) {
	taken := map[string]string{}
	for _, a := range []struct{ path, address string }{
		{"metricsBindAddress", c.MetricsBindAddress},
		{"healthBindAddress", c.HealthBindAddress},
		{"pprofBindAddress", c.PprofBindAddress},
	} {
		if a.address == "" && a.path == "pprofBindAddress" {
			continue
		}
		_, port, err := net.SplitHostPort(a.address)
		if n, errPort := strconv.Atoi(port); err != nil || errPort != nil || n < 0 || n > 65535 {
			v.bad(a.path, a.address, "expected an address such as :8080 or 127.0.0.1:8080")
			continue
		}
		if other := taken[a.address]; other != "" && port != "0" {
			v.bad(a.path, a.address, "expected an address other than "+other)
		}
		taken[a.address] = a.path
	}
}

// Elects is true if only the holder of the lease acts.
func (c *DrainerConfiguration) Elects() bool {
	return c.LeaderElection.LeaderElect == nil || *c.LeaderElection.LeaderElect
}

// Plan is the part of a valid configuration that drains are decided by.
func (c *DrainerConfiguration) Plan() plan.Config {
	return plan.Config{
		MaxDraining: shareOf(&c.MaxDraining), MaxUnavailable: c.maxUnavailable(), PendingPods: c.PendingPods, YieldAfter: c.YieldAfter.Duration,
		Pools: c.pools(), Groups: c.groups(), AllowLastNode: c.AllowLastNode, Settle: c.Settle.Duration, StuckAfter: c.StuckAfter.Duration,
		Timeout: c.DrainTimeout.Duration, OnTimeout: c.OnTimeout, BarePods: c.BarePods, EmptyDir: c.EmptyDir, Rules: c.planRules(),
		Windows: c.planWindows(), Freezes: c.planFreezes(), Requests: c.planRequests(),
		AllowDelete: c.AllowDelete, NeverDelete: c.NeverDelete.Namespaces, IgnoreUnreachableAfter: c.Unreachable.ignoreAfter(),
		WaitForVolumeDetach: c.WaitForVolumeDetach, PaceWithoutBudget: c.PaceWithoutBudget,
	}
}

// ignoreAfter is when pods of an unreachable node are no longer waited for; 0 for
// never.
func (u *Unreachable) ignoreAfter() time.Duration {
	if u.Action != IgnorePods {
		return 0
	}
	return u.After.Duration
}
