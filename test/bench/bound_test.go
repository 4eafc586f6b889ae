package main

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func seconds(n ...float64) []time.Duration {
	var list []time.Duration
	for _, s := range n {
		list = append(list, time.Duration(s*float64(time.Second)))
	}
	return list
}

func TestSchedule(t *testing.T) {
	for name, test := range map[string]struct {
		capacity                 int
		recoveries, terminations []time.Duration
		want                     float64
	}{
		"one after the other":         {1, seconds(2, 2, 2), seconds(1, 1, 1), 5},
		"two at a time":               {2, seconds(2, 2, 2, 2), seconds(1, 1, 1, 1), 3},
		"all at once":                 {3, seconds(9, 9, 9), seconds(1, 4, 2), 4},
		"the slot that is free first": {2, seconds(1, 5, 1, 1), seconds(1, 1, 1, 1), 3},
	} {
		if got := schedule(test.capacity, test.recoveries, test.terminations); got.Seconds() != test.want {
			t.Errorf("%s: %v, want %vs", name, got, test.want)
		}
	}
}

// TestBound: the budget of one app binds, the other is free.
func TestBound(t *testing.T) {
	o := &observer{
		pods: map[types.UID]*leaving{}, capacity: map[string]int{"guarded": 1},
		returns: map[string][]time.Duration{"guarded": seconds(3, 7)},
	}
	for i, l := range []leaving{
		{"guarded", "a", 0, time.Second, 2 * time.Second},
		{"guarded", "a", 4 * time.Second, 4 * time.Second, 5 * time.Second},
		{"guarded", "b", 7500 * time.Millisecond, 8 * time.Second, 9 * time.Second},
		{"free", "b", 0, time.Second, 4 * time.Second},
	} {
		o.pods[types.UID(rune('0'+i))] = &l
	}
	var r Result
	r.summarize(o)
	// Recoveries of 2 s and 3 s, then 1 s to terminate. The answers took 1 s, nothing
	// and 0.5 s.
	if r.Bound != 6 || r.AnsweredBound != 7.5 {
		t.Errorf("the bound is %vs, with answer times %vs; want 6s and 7.5s", r.Bound, r.AnsweredBound)
	}
	if r.Makespan != 9 || r.MeanEmpty != 7 || r.MedianEmpty != 7 {
		t.Errorf("makespan %v, mean %v, median %v; want 9, 7, 7", r.Makespan, r.MeanEmpty, r.MedianEmpty)
	}
}

// TestRecoveries: an eviction whose disruption was seen to come back before it began, or
// not at all, takes the median of the others.
func TestRecoveries(t *testing.T) {
	var pods []*leaving
	for _, at := range seconds(1, 4, 6, 9) {
		pods = append(pods, &leaving{admitted: at})
	}
	got := recoveries(pods, seconds(3, 2, 11), func(l *leaving) time.Duration { return l.admitted })
	if want := seconds(2, 5, 5, 5); !slices.Equal(got, want) {
		t.Errorf("the recoveries are %v, want %v", got, want)
	}
}
