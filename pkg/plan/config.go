package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// Config is how drainer decides. It does not change while the daemon runs.
type Config struct {
	// MaxDraining bounds the nodes that have been started and are not done.
	MaxDraining Share
	// MaxUnavailable bounds the nodes that may be unavailable, for whatever
	// reason, for another drain to begin; the zero Share for no limit.
	MaxUnavailable Share
	// PendingPods is how many pods may be unschedulable for another drain to
	// begin; nil for no limit.
	PendingPods *int
	// YieldAfter is how long a drain may make no progress before it no longer
	// holds its slot; 0 for as long as it takes.
	YieldAfter time.Duration
	// Pools are the pools that Node.Pool names.
	Pools []Pool
	// Groups are the limits over groups of nodes.
	Groups []Group
	// AllowLastNode lets the last schedulable Ready node be cordoned.
	AllowLastNode bool
	// Settle is how long a node must be seen unschedulable before it may be
	// reported Drained: the time that bindings in flight take to show.
	Settle time.Duration
	// StuckAfter is when a blocked or overdue pod counts as stuck.
	StuckAfter time.Duration
	// Timeout is the default timeout of a drain; 0 for none.
	Timeout time.Duration
	// OnTimeout is what happens then, unless the request says otherwise.
	OnTimeout api.OnTimeout
	// AllowDelete lets requests that time out delete pods past the budgets that
	// hold them; without it such a request is invalid.
	AllowDelete bool
	// NeverDelete are the namespaces in which no pod is deleted past a budget.
	NeverDelete []string
	// IgnoreUnreachableAfter is how long a node must have been unreachable before its pods
	// that are past their grace period are no longer waited for; 0 to always wait for them.
	IgnoreUnreachableAfter time.Duration
	// WaitForVolumeDetach keeps nodes from being Drained while volumes of pods that
	// have left are attached.
	WaitForVolumeDetach bool
	// PaceWithoutBudget lets the pods of a controller that no budget selects leave one
	// at a time.
	PaceWithoutBudget bool
	// BarePods is what to do with pods that have no controller.
	BarePods BarePods
	// EmptyDir is what to do with pods that have an emptyDir volume.
	EmptyDir EmptyDir
	// Rules come before these two.
	Rules *Rules
	// Windows are when nodes may be drained. One that none selects may be at any
	// time.
	Windows []Window
	// Freezes are when nothing is started or evicted.
	Freezes []Freeze
	// Requests are the rules that request drains of marked nodes.
	Requests []MarkRule
	// OwnPod is the UID of the pod this process runs in, empty outside of one.
	OwnPod types.UID
	// HandsOver is true if another replica can take over from this process.
	HandsOver bool
}

// BarePods is a policy for pods that no controller would create again.
type BarePods string

// The policies for bare pods.
const (
	BlockBarePods  BarePods = "Block"
	EvictBarePods  BarePods = "Evict"
	IgnoreBarePods BarePods = "Ignore"
)

// EmptyDir is a policy for pods that lose data by moving.
type EmptyDir string

// The policies for pods with an emptyDir volume.
const (
	EvictEmptyDir EmptyDir = "Evict"
	BlockEmptyDir EmptyDir = "Block"
)

// Pool overrides settings for some of the nodes. What is zero is not overridden.
type Pool struct {
	Name string
	// MaxDraining bounds the nodes of the pool alone, which then do not count
	// against Config.MaxDraining.
	MaxDraining Share
	// MaxUnavailable bounds the nodes of the pool besides Config.MaxUnavailable.
	MaxUnavailable Share
	Timeout        *time.Duration
	OnTimeout      api.OnTimeout
}

// Group bounds the nodes that share a value of a label, or lack the label.
type Group struct {
	Label string
	// MaxDraining bounds the nodes of each group that are being drained at once;
	// the zero Share for no limit.
	MaxDraining Share
	// MaxGroups bounds the groups with such nodes; 0 for no limit.
	MaxGroups int
}

// pool is the pool of a name; the zero Pool if there is none.
func (c *Config) pool(name string) Pool {
	for i := range c.Pools {
		if c.Pools[i].Name == name {
			return c.Pools[i]
		}
	}
	return Pool{}
}

// SlotsOf is the limit of the nodes that are drained at once which those of a pool count
// against: the pool's own, and its name; or that of all others, and no name.
func (c *Config) SlotsOf(pool string) (string, Share) {
	if own := c.pool(pool).MaxDraining; !own.IsZero() {
		return pool, own
	}
	return "", c.MaxDraining
}

// Share is a number of nodes, a part of all nodes, or the larger of the two.
type Share struct {
	number  int
	percent int
}

// ParseShare reads a number of at least 1, or a percentage from 1% to 100%.
func ParseShare(text string) (Share, error) {
	digits, isPercent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil || n < 1 || isPercent && n > 100:
		return Share{}, fmt.Errorf("%q is neither a number of nodes of at least 1 nor a share from 1%% to 100%%", text)
	case isPercent:
		return Share{percent: n}, nil
	default:
		return Share{number: n}, nil
	}
}

// Of is the share of total, rounded down, and at least 1.
func (s Share) Of(total int) int { return max(1, s.number, total*s.percent/100) }

// IsZero is true for the zero Share, which no text means.
func (s Share) IsZero() bool { return s == Share{} }

// OrMore is s, or other where that is more.
func (s Share) OrMore(other Share) Share {
	return Share{number: max(s.number, other.number), percent: max(s.percent, other.percent)}
}

// Below is true if s is less than other whatever they are shares of. A number
// and a percentage cannot be compared.
func (s Share) Below(other Share) bool {
	if s.percent > 0 || other.percent > 0 {
		return s.number == 0 && other.number == 0 && s.percent < other.percent
	}
	return s.number < other.number
}

// String is what ParseShare reads, unless the share is the larger of two.
func (s Share) String() string {
	switch {
	case s.percent > 0 && s.number > 0:
		return fmt.Sprintf("the larger of %d and %d%%", s.number, s.percent)
	case s.percent > 0:
		return strconv.Itoa(s.percent) + "%"
	default:
		return strconv.Itoa(s.number)
	}
}
