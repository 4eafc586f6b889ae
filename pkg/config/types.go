package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	componentconfig "k8s.io/component-base/config/v1alpha1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// What a file says that it is.
const (
	APIVersion = "config.drainer.dev/v1alpha1"
	Kind       = "DrainerConfiguration"
)

// DrainerConfiguration says how drainer works. Durations are written as in Go,
// such as 90s or 1h30m.
type DrainerConfiguration struct {
	metav1.TypeMeta `json:",inline"`

	// nodeSelector selects the nodes that drainer serves; without it all.
	NodeSelector *metav1.LabelSelector `json:"nodeSelector,omitempty"`
	// maxDraining is how many nodes may be drained at once: a number, or a share
	// of the nodes served, rounded down, at least 1; 100% for no limit.
	MaxDraining intstr.IntOrString `json:"maxDraining"`
	// allowLastNode also cordons the last schedulable Ready node.
	AllowLastNode bool `json:"allowLastNode"`

	// barePods is what to do with pods that have no controller: Block, Evict or
	// Ignore.
	BarePods plan.BarePods `json:"barePods"`
	// emptyDir is what to do with pods that have an emptyDir volume: Evict or
	// Block.
	EmptyDir plan.EmptyDir `json:"emptyDir"`

	// drainTimeout is how long a drain may take before it is reported TimedOut;
	// 0s for no limit.
	DrainTimeout metav1.Duration `json:"drainTimeout"`
	// onTimeout is what happens then: Wait continues, Stop sends no further
	// eviction.
	OnTimeout api.OnTimeout `json:"onTimeout"`
	// stuckAfter is how long a pod may be blocked, or overdue in terminating,
	// before it counts as stuck.
	StuckAfter metav1.Duration `json:"stuckAfter"`
	// settle is how long a node must be seen unschedulable before it may be
	// reported Drained.
	Settle metav1.Duration `json:"settle"`

	// eviction limits evictions.
	Eviction EvictionConfiguration `json:"eviction"`

	// clientConnection says how drainer reaches the API server. qps and burst
	// limit requests other than evictions, separately for writes to nodes, for
	// watches, and for the rest; a qps of 0 is no limit.
	ClientConnection componentconfig.ClientConnectionConfiguration `json:"clientConnection"`
	// leaderElection says how the replicas agree on the one that acts.
	LeaderElection componentconfig.LeaderElectionConfiguration `json:"leaderElection"`

	// metricsBindAddress is the address of /metrics.
	MetricsBindAddress string `json:"metricsBindAddress"`
	// healthBindAddress is the address of /livez and /readyz.
	HealthBindAddress string `json:"healthBindAddress"`
	// pprofBindAddress is the address of /debug/pprof/; off if empty.
	PprofBindAddress string `json:"pprofBindAddress"`

	// logging says how drainer logs.
	Logging LoggingConfiguration `json:"logging"`
}

// EvictionConfiguration limits evictions.
type EvictionConfiguration struct {
	// qps is how many evictions are sent per second over all nodes; 0 for no
	// limit.
	QPS float64 `json:"qps"`
	// burst is how many may be sent at once.
	Burst int `json:"burst"`
	// workers is how many are under way at once.
	Workers int `json:"workers"`
	// timeout is how long one may take; the API server may need 34s.
	Timeout metav1.Duration `json:"timeout"`
}

// LoggingConfiguration says how drainer logs.
type LoggingConfiguration struct {
	// format is text or json.
	Format string `json:"format"`
	// verbosity is how much to log, from 0 to 10.
	Verbosity int `json:"verbosity"`
}
