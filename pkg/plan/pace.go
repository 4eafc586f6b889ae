package plan

import "time"

// The pace of whoever runs plans, in the daemon and in a forecast.
const (
	// LongestSleep bounds the time without a plan while nodes are drained, so
	// that what no event tells, such as a lease that was renewed late, is
	// still noticed.
	LongestSleep = 10 * time.Second
	// SoonAfter is how long to gather events that cannot lead to a grant.
	SoonAfter = 100 * time.Millisecond
	// ShortestRest is the least time between two plans, small against what an
	// eviction takes.
	ShortestRest = 2 * time.Millisecond
	// TaskWorkers is how many tasks are begun at once. One that takes longer than
	// SlowAfter continues without its worker, for TaskTimeout at most; MostUrgentTasks and
	// MostTasks bound those under way that are urgent and that are not. What finds no room
	// is tried again after TaskLater.
	TaskWorkers     = 8
	MostUrgentTasks = 64
	MostTasks       = 32
	TaskTimeout     = 30 * time.Second
	// TaskRetry is how long the first retry of a task that failed waits; each
	// further one waits twice as long, at most TaskRetryMost.
	TaskRetry     = 250 * time.Millisecond
	TaskRetryMost = time.Minute
	// TaskLater is how long a task that failed before waits when it cannot be
	// tried again yet.
	TaskLater = time.Second
)
