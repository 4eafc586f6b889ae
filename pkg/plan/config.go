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
	// BarePods is what to do with pods that have no controller.
	BarePods BarePods
	// EmptyDir is what to do with pods that have an emptyDir volume.
	EmptyDir EmptyDir
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

// Share is a number of nodes, or a part of all nodes.
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
func (s Share) Of(total int) int {
	if s.percent > 0 {
		return max(1, total*s.percent/100)
	}
	return max(1, s.number)
}

// String is what ParseShare reads.
func (s Share) String() string {
	if s.percent > 0 {
		return strconv.Itoa(s.percent) + "%"
	}
	return strconv.Itoa(s.number)
}
