package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/suite"
)

// These tests are about what a process must not forget, or has to learn before it
// does anything: the leader is killed again and again, and another replica leads.

// TestFaultDelete: no pod is deleted past a budget while another one of it is on its
// way, whoever leads.
func TestFaultDelete(t *testing.T) {
	e := setup(t, 6)
	e.allowDelete()
	f := disturb(e, "pods deleted past their budget, the leader killed every 2 s to 6 s", 2, "--allow-delete")
	f.editBudget("web", "0")
	for _, node := range f.draining {
		f.annotate(node, api.DrainAnnotation, "fault", api.TimeoutAnnotation, "5s", api.OnTimeoutAnnotation, "Delete")
	}
	f.last(30*time.Second, 2*time.Second, 6*time.Second, f.killLeader)
	f.recover("fault")
	pods := podsOfNode * len(f.draining)
	poll(t, "every pod was deleted", func() bool {
		return len(slices.DeleteFunc(f.deletions(), func(a cluster.AuditEvent) bool { return a.ResponseStatus.Code/100 != 2 })) >= pods
	})
}

// TestFaultLimits: no more nodes are drained at once, or unavailable, than may be,
// whoever leads.
func TestFaultLimits(t *testing.T) {
	f := disturb(setup(t, 8), "at most 2 nodes drained at once and 3 unavailable, the leader killed every 2 s to 5 s", 2,
		"--max-draining=2", "--max-unavailable=3")
	f.requestAll("fault")
	left := slices.Clone(f.draining)
	f.last(30*time.Second, 2*time.Second, 5*time.Second, func() {
		left = f.releaseDrained("fault", left)
		f.killLeader()
	})
	over := time.Now()
	suite.Await(f, nil, "every node was drained, and released for the next one", func() error {
		f.revive()
		if left = f.releaseDrained("fault", left); len(left) > 0 {
			return await.NotYet("%s is %q: %s", left[0], f.status(left[0]).Phase, f.message(left[0]))
		}
		return nil
	})
	f.outcome.Recovered = time.Since(over)
	f.awaitAllReleased()
}

// releaseDrained cancels the requests of the nodes that are drained, and returns
// the others.
func (f *trouble) releaseDrained(id string, nodes []string) []string {
	f.Helper()
	return slices.DeleteFunc(nodes, func(name string) bool {
		drained := f.node(name).Annotations[api.DrainedAnnotation] == id
		if drained {
			f.cancel(name)
		}
		return drained
	})
}

// TestFaultPause: whoever leads, nothing is evicted while everything is paused.
func TestFaultPause(t *testing.T) {
	f := disturb(setup(t, 6), "everything paused 4 times for 6 s, the leader killed every 1 s to 3 s of it", 2, slowly...)
	f.requestAll("fault")
	f.awaitStarted(f.draining[0])
	var paused []period
	for i := range 4 {
		why := fmt.Sprintf("INC-%d", i)
		f.pauseEverywhere(api.ControlPaused, why)
		f.awaitAllPaused(why)
		from := time.Now()
		f.last(6*time.Second, time.Second, 3*time.Second, f.killLeader)
		paused = append(paused, period{from, time.Now()})
		f.goOn()
		f.last(2*time.Second, time.Second, 2*time.Second, func() {})
	}
	f.recover("fault")
	for _, a := range f.evictions() {
		for _, p := range paused {
			if a.Received.After(p.from) && a.Received.Before(p.until) {
				t.Errorf("an eviction of %s was received %v after every node said that everything is paused", a.ObjectRef.Name, a.Received.Sub(p.from))
			}
		}
	}
}

// period is a time between two.
type period struct{ from, until time.Time }

// awaitAllPaused waits until every node that is not drained says that it is paused,
// and why.
func (f *trouble) awaitAllPaused(why string) {
	f.Helper()
	for _, node := range f.draining {
		suite.Await(f, nil, node+" is paused or drained", func() error {
			f.revive()
			if s := f.status(node); s.Phase != api.Drained && !(s.Phase == api.Paused && strings.Contains(f.message(node), why)) {
				return await.NotYet("it is %q: %s", s.Phase, f.message(node))
			}
			return nil
		})
	}
}

// TestFaultWindows: whoever leads, nothing is evicted while the window is closed.
func TestFaultWindows(t *testing.T) {
	const open, slack = 30 * time.Second, 10 * time.Second
	e := setup(t, 6)
	config := e.configuration(fmt.Sprintf("windows: [{schedule: '* * * * *', duration: %v, atEnd: Pause}]\n", open))
	f := disturb(e, "a window of the first 30 s of each minute, the leader killed every 3 s to 9 s", 2,
		"--config="+config, "--eviction-qps=0.5", "--eviction-burst=1")
	f.requestAll("fault")
	f.last(time.Minute, 3*time.Second, 9*time.Second, f.killLeader)
	f.recover("fault")
	for _, a := range f.evictions() {
		// What was sent in time may be received late on a busy machine.
		if into := a.Received.Sub(a.Received.Truncate(time.Minute)); into > open+slack {
			t.Errorf("an eviction of %s was received %v after the window closed", a.ObjectRef.Name, into-open)
		}
	}
}
