package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	componentconfig "k8s.io/component-base/config/v1alpha1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
)

// The apiVersion and the kind of a configuration file.
const (
	APIVersion = "config.drainer.dev/v1alpha1"
	Kind       = "DrainerConfiguration"
)

// DrainerConfiguration says how drainer works. Durations are written as in Go,
// such as 90s or 1h30m.
type DrainerConfiguration struct {
	metav1.TypeMeta `json:",inline"`

	// nodeSelector selects the nodes that drainer serves; if unset, all nodes.
	NodeSelector *metav1.LabelSelector `json:"nodeSelector,omitempty"`
	// maxDraining is how many nodes may be drained at once: a number, or a share
	// of the nodes served, rounded down, at least 1; 100% for no limit.
	MaxDraining intstr.IntOrString `json:"maxDraining"`
	// maxUnavailable is how many nodes may be unavailable when another drain begins,
	// the node of that drain included: a number, or a share of the nodes served that
	// ignoreNodes does not select, rounded down, at least 1. Without it 20%, or
	// maxDraining if that is more. A node counts if it is being drained, Drained and
	// not released, cordoned by anybody, or not Ready for a minute. Nodes that
	// are younger than 10 minutes, unless drainer has cordoned them, and nodes that
	// are being deleted do not count. The limit only keeps drains from beginning, and
	// never the drain of a node that counts already. It must not be below maxDraining, if
	// both are numbers or both are shares.
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// ignoreNodes selects nodes that never count as unavailable; without it none.
	IgnoreNodes *metav1.LabelSelector `json:"ignoreNodes,omitempty"`
	// pendingPods is how many pods, of all in the cluster, may be unschedulable for
	// another drain to begin: no drain begins while the cluster has no room. Without it
	// there is no limit, and drainer does not watch these pods.
	PendingPods *int `json:"pendingPods,omitempty"`
	// yieldAfter is how long a drain may make no progress before it no longer
	// counts against maxDraining and the limits of groups: the next drain begins,
	// and this one continues when it can. It makes no progress while the pods that it
	// waits for are blocked, or terminate and are past their grace periods. A drain that
	// is paused, outside of its window or invalid keeps counting. The node still counts
	// as unavailable. With 0s a drain never stops counting.
	YieldAfter metav1.Duration `json:"yieldAfter"`
	// pools are settings for some of the nodes, in place of those of all nodes. A
	// node is in the first pool that selects it.
	Pools []Pool `json:"pools,omitempty"`
	// poolLabel is the key of a label of Nodes, such as eks.amazonaws.com/nodegroup. With
	// it, every metric of a node has the label pool: the name of its pool, or the value of
	// this label for a node that is in no pool. The status says it, too. It limits nothing.
	PoolLabel string `json:"poolLabel,omitempty"`
	// groups limit how many nodes that share the value of a label, such as a zone,
	// are drained at once. Nodes without the label are one group. Every limit
	// holds.
	Groups []Group `json:"groups,omitempty"`
	// allowLastNode also cordons the last schedulable Ready node.
	AllowLastNode bool `json:"allowLastNode"`

	// windows are the times in which nodes may be drained. A node that several
	// select may be drained while one of them is open, and a node that none selects
	// at any time. A pool may have windows of its own instead.
	Windows []Window `json:"windows,omitempty"`
	// freezes are times in which no drain begins and no pod is evicted, whatever
	// the windows say. They also hold up drains that have begun.
	Freezes []Freeze `json:"freezes,omitempty"`

	// requests turn a mark of a node (a condition, a taint or a label) into a request:
	// drainer writes drainer.dev/drain itself, unless the annotation is there already,
	// whatever it says. Once anybody has removed such a request, the rule leaves the
	// node alone until drainer has seen the mark cleared.
	Requests []RequestRule `json:"requests,omitempty"`

	// rules say what happens to which pods. The first rule that matches a
	// pod decides; for a pod that none matches, barePods and emptyDir do. Static pods,
	// and those of a DaemonSet that exists, stay whatever the rules say. A pod that
	// has finished is evicted, unless its rule says Ignore.
	Rules []Rule `json:"rules,omitempty"`
	// presets are rules for the marks of other programs; they come after the rules.
	// Since whoever writes pods can write these marks, Ignore and Block count only in
	// the namespaces of trustPodAnnotations, and are treated as WaitCompleted with atMost: 4h
	// elsewhere. No preset evicts a pod that barePods or emptyDir block.
	Presets []Preset `json:"presets,omitempty"`
	// trustPodAnnotations says where the annotations drainer.dev/pod-action (Evict,
	// Ignore or WaitCompleted) and drainer.dev/pod-order (an integer) of pods count.
	// There they come before all rules. Whoever may write pods there can keep a node
	// from being drained.
	TrustPodAnnotations PodTrust `json:"trustPodAnnotations"`
	// barePods is what to do with pods that have no controller: Block, Evict or
	// Ignore.
	BarePods plan.BarePods `json:"barePods"`
	// emptyDir is what to do with pods that have an emptyDir volume: Evict or
	// Block.
	EmptyDir plan.EmptyDir `json:"emptyDir"`

	// drainTimeout is how long a drain may take before it is reported TimedOut;
	// 0s for no limit.
	DrainTimeout metav1.Duration `json:"drainTimeout"`
	// onTimeout is what happens to a drain that exceeds drainTimeout: Wait continues, Stop sends no further
	// eviction, Release uncordons the node, too, and waits for another request,
	// Delete deletes pods past the budgets that hold them and needs allowDelete.
	OnTimeout api.OnTimeout `json:"onTimeout"`
	// allowDelete lets drains delete pods past the budgets that hold them: for
	// requests that have timed out, for rules with deleteAfter, and
	// shortly before a node disappears. drainer's role has to allow it, too.
	AllowDelete bool `json:"allowDelete"`
	// neverDelete protects pods from being deleted past their budgets.
	NeverDelete NeverDelete `json:"neverDelete"`
	// stuckAfter is how long a pod may be blocked, or terminating past its grace period,
	// before it counts as stuck.
	StuckAfter metav1.Duration `json:"stuckAfter"`
	// settle is how long a node must be seen unschedulable before it may be
	// reported Drained.
	Settle metav1.Duration `json:"settle"`

	// unreachable says what happens to a drain whose node is unreachable, that is
	// whose condition Ready is Unknown: nothing there ends its pods, or confirms that
	// they have ended.
	Unreachable Unreachable `json:"unreachable"`
	// waitForVolumeDetach reports a node Drained only once the volumes of the pods that
	// have left are detached from it: while it has VolumeAttachments other than those of
	// pods that stay, the drain waits for them, and says so. drainer's role has to allow it
	// to list VolumeAttachments and to get PersistentVolumes.
	WaitForVolumeDetach bool `json:"waitForVolumeDetach"`
	// paceWithoutBudget lets the pods of a controller that no PodDisruptionBudget
	// selects leave one at a time, across all nodes: the next one once the previous one is
	// gone and its replacement is Ready, or 2 minutes after its eviction. Pods that are
	// not Ready do not wait, nor does a node with a deadline. The status names the
	// workloads without a budget or with a single replica.
	PaceWithoutBudget bool `json:"paceWithoutBudget"`

	// eviction limits evictions.
	Eviction EvictionConfiguration `json:"eviction"`

	// clientConnection says how drainer reaches the API server. qps and burst
	// limit requests other than evictions, separately for writes to nodes, for
	// watches, and for the rest; a qps of 0 is no limit.
	ClientConnection componentconfig.ClientConnectionConfiguration `json:"clientConnection"`
	// leaderElection says how the replicas elect the leader, the only one that acts.
	LeaderElection componentconfig.LeaderElectionConfiguration `json:"leaderElection"`

	// metricsBindAddress is the address of /metrics.
	MetricsBindAddress string `json:"metricsBindAddress"`
	// metricsTLS protects /metrics.
	MetricsTLS MetricsTLS `json:"metricsTLS"`
	// healthBindAddress is the address of /livez and /readyz.
	HealthBindAddress string `json:"healthBindAddress"`
	// pprofBindAddress is the address of /debug/pprof/; off if empty.
	PprofBindAddress string `json:"pprofBindAddress"`

	// logging says how drainer logs.
	Logging LoggingConfiguration `json:"logging"`
}

// Pool is settings for some of the nodes.
type Pool struct {
	// name is shown in messages and in the status; a DNS label. Required, and different
	// for each pool.
	Name string `json:"name"`
	// nodeSelector selects the nodes of the pool. Required.
	NodeSelector *metav1.LabelSelector `json:"nodeSelector"`
	// maxDraining is how many nodes of the pool may be drained at once: a number,
	// or a share of the pool. These nodes then do not count against the limit for
	// the others, and a share in that limit is a share of the others. Without it they do.
	MaxDraining *intstr.IntOrString `json:"maxDraining,omitempty"`
	// maxUnavailable is how many nodes of the pool may be unavailable; the limit
	// for all nodes holds, too. Without it the limit for all nodes is taken as one
	// for the pool, or maxDraining if that is more. It must not be below maxDraining of
	// the pool, if both are numbers or both are shares.
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// drainTimeout is how long a drain in the pool may take; 0s for no limit.
	DrainTimeout *metav1.Duration `json:"drainTimeout,omitempty"`
	// onTimeout is what happens to a drain that takes longer.
	OnTimeout api.OnTimeout `json:"onTimeout,omitempty"`
	// windows are the times in which the pool's nodes may be drained, in place of
	// the windows for all nodes. Freezes hold in any case.
	Windows []Window `json:"windows,omitempty"`
}

// Group limits the nodes that are drained at once by the value of a label.
type Group struct {
	// label is the label whose values are the groups, such as
	// topology.kubernetes.io/zone. Required.
	Label string `json:"label"`
	// maxDraining is how many nodes of each group may be drained at once: a number,
	// or a share of the group; without it there is no limit. Required without
	// maxGroups.
	MaxDraining *intstr.IntOrString `json:"maxDraining,omitempty"`
	// maxGroups is in how many groups nodes may be drained at once; 0 for no limit.
	// At least 1 is required without maxDraining.
	MaxGroups int `json:"maxGroups,omitempty"`
}

// MetricsTLS says who may read /metrics, and by which certificate they know
// drainer. Without the files it is served as plain HTTP, to everybody.
type MetricsTLS struct {
	// certFile is the path of the certificate and the certificates that signed it, as
	// PEM. It is read again once it has changed.
	CertFile string `json:"certFile"`
	// keyFile is the path of its key.
	KeyFile string `json:"keyFile"`
	// authorize restricts reading to clients that the API server knows by their bearer
	// token, and that may get the nonResourceURL /metrics. drainer's role has to
	// allow it to create TokenReviews and SubjectAccessReviews.
	Authorize bool `json:"authorize"`
}

// Window is a recurring time in which nodes may be drained.
type Window struct {
	// schedule is when the window opens, as five fields of a crontab: minute, hour,
	// day of the month, month, day of the week, such as 0 1 * * 2-4. A time that
	// the clock skips in spring does not open the window, one that it shows twice in
	// autumn opens it twice. Required.
	Schedule string `json:"schedule"`
	// duration is how long the window is open. Required, and above 0.
	Duration metav1.Duration `json:"duration"`
	// timeZone is the zone of the schedule, such as Europe/Berlin; UTC if empty.
	TimeZone string `json:"timeZone,omitempty"`
	// latestStart is how long after the window opens drains may begin; if unset,
	// until the window closes.
	LatestStart *metav1.Duration `json:"latestStart,omitempty"`
	// atEnd is what happens to a drain that has begun when the window closes: Finish
	// lets it continue to its end, which is the default, and Pause sends nothing until
	// a window opens again. The node stays cordoned, and that time does not count
	// towards the timeout.
	AtEnd AtEnd `json:"atEnd,omitempty"`
	// nodeSelector selects the nodes that the window is for; if unset, all nodes.
	NodeSelector *metav1.LabelSelector `json:"nodeSelector,omitempty"`
}

// Freeze is a time in which nothing is started or evicted.
type Freeze struct {
	// from is when the freeze begins, as an RFC 3339 time. Required.
	From metav1.Time `json:"from"`
	// until is when the freeze ends. Required, and later than from.
	Until metav1.Time `json:"until"`
	// reason is shown on the nodes that wait for the freeze to end. Required.
	Reason string `json:"reason"`
}

// EvictionConfiguration limits evictions.
type EvictionConfiguration struct {
	// qps is how many evictions are sent per second over all nodes; 0 for no
	// limit.
	QPS float64 `json:"qps"`
	// burst is how many may be sent at once.
	Burst int `json:"burst"`
	// workers is how many are sent in parallel. One that takes longer than 1 second
	// no longer counts; at most 100 are in flight in all.
	Workers int `json:"workers"`
	// timeout is how long one may take; the API server may need 34s.
	Timeout metav1.Duration `json:"timeout"`
}

// Unreachable says what happens to a drain whose node is unreachable.
type Unreachable struct {
	// action is Wait, which waits until the pods are gone, or Ignore, which no longer
	// waits for pods past their grace period once the node has been unreachable for
	// as long as after says: the node can then be Drained while they still run, and its status
	// counts them as unconfirmed.
	Action UnreachableAction `json:"action"`
	// after is how long the node has to be unreachable before Ignore applies; at least 1m.
	After metav1.Duration `json:"after"`
}

// UnreachableAction is what happens to a drain whose node is unreachable.
type UnreachableAction string

// What may happen to it.
const (
	WaitForNode UnreachableAction = "Wait"
	IgnorePods  UnreachableAction = "Ignore"
)

// NeverDelete protects pods from being deleted past their budgets.
type NeverDelete struct {
	// namespaces are those in which no pod is deleted past a budget. They are whole
	// names: * is an error.
	Namespaces []string `json:"namespaces"`
}

// LoggingConfiguration says how drainer logs.
type LoggingConfiguration struct {
	// format is text or json.
	Format string `json:"format"`
	// verbosity is how much to log, from 0 to 10.
	Verbosity int `json:"verbosity"`
}
