package main

import (
	"slices"
	"time"
)

// summarize turns what was seen into figures.
func (result *Result) summarize(o *observer) {
	empty := map[string]time.Duration{}
	last := time.Duration(0)
	for _, l := range o.pods {
		empty[l.node] = max(empty[l.node], l.gone)
		last = max(last, l.gone)
	}
	var times []float64
	for _, at := range empty {
		times = append(times, at.Seconds())
	}
	result.Makespan = last.Seconds()
	result.Bound = o.bound(func(l *leaving) time.Duration { return l.admitted }).Seconds()
	result.AnsweredBound = o.bound(func(l *leaving) time.Duration { return l.sent }).Seconds()
	if len(times) > 0 {
		result.MeanEmpty, result.MedianEmpty = mean(times), median(times)
	}
	var drained []float64
	for _, at := range o.drained {
		drained = append(drained, at.Seconds())
	}
	if len(drained) > 0 {
		result.MeanDrained, result.MedianDrained, result.LastDrained = mean(drained), median(drained), slices.Max(drained)
	}
}

func mean(values []float64) float64 {
	sum := 0.
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// bound is the makespan of an ideal planner without latency: it sends each pod
// the moment that its budget allows, and meets the recovery and termination
// times that were seen in this run. Both count from the time that from returns.
func (o *observer) bound(from func(*leaving) time.Duration) time.Duration {
	apps := map[string][]*leaving{}
	for _, l := range o.pods {
		apps[l.app] = append(apps[l.app], l)
	}
	longest := time.Duration(0)
	for app, pods := range apps {
		slices.SortFunc(pods, func(a, b *leaving) int { return int(from(a) - from(b)) })
		terminations := make([]time.Duration, 0, len(pods))
		for _, l := range pods {
			terminations = append(terminations, l.gone-from(l))
		}
		capacity, guarded := o.capacity[app]
		if !guarded {
			capacity = len(pods)
		}
		longest = max(longest, schedule(capacity, recoveries(pods, o.returns[app], from), terminations))
	}
	return longest
}

// recoveries pairs the evictions under a budget, in order, with the disruptions
// that came back. Those that were no longer needed take the median.
func recoveries(pods []*leaving, returns []time.Duration, from func(*leaving) time.Duration) []time.Duration {
	var seen []time.Duration
	for i, l := range pods {
		if i < len(returns) && returns[i] > from(l) {
			seen = append(seen, returns[i]-from(l))
		}
	}
	typical := time.Duration(0)
	if len(seen) > 0 {
		sorted := slices.Sorted(slices.Values(seen))
		typical = sorted[len(sorted)/2]
	}
	for len(seen) < len(pods) {
		seen = append(seen, typical)
	}
	return seen
}

// schedule is when the last pod is gone if at most capacity disruptions are
// under way at once, each of which comes back after its recovery.
func schedule(capacity int, recoveries, terminations []time.Duration) time.Duration {
	free := make([]time.Duration, max(1, capacity))
	end := time.Duration(0)
	for i, recovery := range recoveries {
		slot := 0
		for s := range free {
			if free[s] < free[slot] {
				slot = s
			}
		}
		end = max(end, free[slot]+terminations[i])
		free[slot] += recovery
	}
	return end
}

// median is the value in the middle, 0 of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
