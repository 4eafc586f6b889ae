package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"drainer.dev/drainer/pkg/api"
)

// statusColumns are those of the table of requests. The last is wide's alone.
func statusColumns(wide bool) []column {
	columns := []column{
		{"NODE", 0}, {"POOL", 5}, {"PHASE", 0}, {"REQUEST", 3}, {"WHO", 6}, {"AGE", 4}, {"ETA", 4}, {"PROGRESS", 2}, {"GONE", 0}, {"BLOCKED", 0}, {"REASON", 1},
	}
	if wide {
		columns = append(columns, column{"MESSAGE", 7})
	}
	return columns
}

// statusTable is the table of requests. A width of 0 is no limit.
func statusTable(rows []row, now time.Time, wide bool, width int) []string {
	cells := make([][]string, len(rows))
	for i := range rows {
		r := &rows[i]
		cells[i] = []string{
			r.Node, dash(r.pool()), r.phase(), dash(r.Request), dash(r.who()), age(r.Since, now), r.eta(now), r.bar(), r.gone(), r.blocked(), dash(r.reason()),
		}
		if wide {
			cells[i] = append(cells[i], dash(r.message()))
		}
	}
	return table(statusColumns(wide), cells, width)
}

func dash(text string) string { return cmp.Or(text, "-") }

// age is how long ago a time is, as kubectl says it.
func age(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return duration.HumanDuration(max(0, now.Sub(*t)))
}

func (r *row) pool() string {
	if r.Status == nil {
		return ""
	}
	return r.Status.Pool
}

// who asks, if the request says so.
func (r *row) who() string {
	if r.Status == nil {
		return ""
	}
	return r.Status.RequestedBy
}

// counts are the pods that have left and those that have to leave in all; false
// if that is not known.
func (r *row) counts() (gone, all int, known bool) {
	if r.Status == nil || r.Status.StartedAt == nil || r.Status.Verdicts != nil {
		return 0, 0, false
	}
	p := r.Status.Pods
	return p.Gone, p.Gone + p.Present(), true
}

const barCells = 10

// bar shows the part of the pods that have left.
func (r *row) bar() string {
	gone, all, known := r.counts()
	switch {
	case !known:
		return "-"
	case r.Phase == api.Drained:
		gone, all = 1, 1
	case all == 0:
		gone, all = 0, 1
	}
	full := gone * barCells / all
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barCells-full) + "]"
}

func (r *row) gone() string {
	gone, all, known := r.counts()
	if !known {
		return "-"
	}
	return fmt.Sprintf("%d/%d", gone, all)
}

func (r *row) blocked() string {
	if r.Status == nil {
		return "-"
	}
	return fmt.Sprint(r.Status.Pods.Blocked)
}

// reason is the worst reason for which a pod does not leave.
func (r *row) reason() string {
	if r.Status == nil {
		return ""
	}
	return r.Status.Reason
}

// summary is one line about a node, for a pipe.
func (r *row) summary() string {
	text := fmt.Sprintf("node/%s %s", r.Node, r.phase())
	if message := r.message(); message != "" {
		text += ": " + message
	}
	return text
}
