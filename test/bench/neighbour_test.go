package main

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTimed: the neighbour's requests are sent at their pace, also while one of them
// hangs, each is timed, and what goes wrong is said.
func TestTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		requests := []func() error{
			func() error { <-time.After(10 * neighbourPace); return nil },
			func() error { return nil },
		}
		done := make(chan error, 1)
		time.AfterFunc(100*neighbourPace+neighbourPace/2, func() { done <- nil })
		all, err := timed(requests, done)
		s, later := spreadOf(all, 0), spreadOf(all, 60*neighbourPace)
		if err != nil || s.Requests != 100 || s.P99 != (10*neighbourPace).Seconds() || s.P50 != (10*neighbourPace).Seconds() || later.Requests != 41 {
			t.Errorf("measured %+v, %v; want 100 requests of which half take %v", s, err, 10*neighbourPace)
		}
		requests[1] = func() error { return refused }
		time.AfterFunc(10*neighbourPace, func() { done <- nil })
		if _, err := timed(requests, done); !errors.Is(err, refused) {
			t.Errorf("a request that failed: %v", err)
		}
		done <- refused
		if _, err := timed(requests, done); !errors.Is(err, refused) {
			t.Errorf("what is done beside it failed: %v", err)
		}
	})
}

// TestNeighbourLine: the line has each of the three.
func TestNeighbourLine(t *testing.T) {
	n := &Neighbour{Alone: Spread{1, .001, .002, .003}, Loop: Spread{2, .01, .02, .03}, Drainer: Spread{3, .1, .2, .3}}
	line := (&Probes{Neighbour: n}).lines()["neighbour"]
	for _, want := range []string{"p99 300 ms (p95 200 ms, p50 100.0 ms, 3 requests) beside drainer", "p99 30 ms", "p50 1.0 ms, 1 requests) beside neither"} {
		if !strings.Contains(line, want) {
			t.Errorf("the line is %q, want %q in it", line, want)
		}
	}
}
