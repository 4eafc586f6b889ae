package cli

import (
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"drainer.dev/drainer/pkg/api"
)

// remaining estimates how long a drain still takes, if its pods leave as fast as
// they have so far. It is false where the past says nothing about the rest: before
// the first pod is gone, while the drain makes no progress or is not under way,
// when something keeps it from finishing, and when a drained node gets another pod.
func remaining(s *api.Status, now time.Time) (time.Duration, bool) {
	if s == nil || s.Phase != api.Draining || s.StartedAt == nil || s.Verdicts != nil || s.Result != "" {
		return 0, false
	}
	if s.IdleSince != nil || len(s.CannotFinish) > 0 || s.Pods.Gone == 0 || s.Volumes != nil {
		return 0, false
	}
	took := now.Sub(*s.StartedAt) - time.Duration(s.PausedSeconds)*time.Second
	if took <= 0 {
		return 0, false
	}
	return time.Duration(float64(took) / float64(s.Pods.Gone) * float64(s.Pods.Remaining())), true
}

// eta is the estimate for a table.
func (r *row) eta(now time.Time) string {
	left, known := remaining(r.Status, now)
	if !known {
		return "-"
	}
	return "~" + duration.HumanDuration(left)
}

// longETA is the estimate with what it assumes; empty if there is none.
func (r *row) longETA(now time.Time) string {
	left, known := remaining(r.Status, now)
	if !known {
		return ""
	}
	return "about " + duration.HumanDuration(left) + " left, if pods keep leaving at the same rate (an estimate)"
}

// estimate adds the estimates that programs read.
func estimate(rows []row, now time.Time) {
	for i := range rows {
		if left, known := remaining(rows[i].Status, now); known {
			seconds := int64(left.Round(time.Second) / time.Second)
			rows[i].EstimatedSecondsLeft = &seconds
		}
	}
}
