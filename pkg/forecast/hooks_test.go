package forecast_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/forecast"
)

// TestHooks: a request is received, handled and answered in that order, and
// names the daemon that sent it. One that does not take effect is not handled.
func TestHooks(t *testing.T) {
	c := newCluster("a", "spare")
	web(c, 1, "a", "a")
	o := options()
	faults := []forecast.Fault{{Error: errors.New("connection reset")}, {Delay: time.Second}}
	o.Request = func(r forecast.Request) (f forecast.Fault) {
		if r.Verb == forecast.Evict && len(faults) > 0 {
			f, faults = faults[0], faults[1:]
		}
		return f
	}
	var l *forecast.Loop
	var told []string
	tell := func(what string, r forecast.Request) {
		if r.Verb == forecast.Evict {
			told = append(told, fmt.Sprintf("%s from %d after %v", what, r.Daemon, l.Now().Sub(r.Sent)))
		}
	}
	o.Received = func(r forecast.Request) { tell("received", r) }
	o.Handled = func(r forecast.Request, err error) { tell(fmt.Sprintf("handled %v", err), r) }
	o.Answered = func(r forecast.Request, err error) { tell(fmt.Sprintf("answered %v", err), r) }
	l = forecast.New(c, o)
	l.Start()
	l.Request("r", "a")
	l.Run(noon.Add(time.Minute), func() bool { return len(told) > 3 })
	l.Start()
	await(t, l, time.Minute, drained(l, "r", "a"))
	want := []string{
		"received from 1 after 2.5ms", "answered connection reset from 1 after 5ms",
		"received from 1 after 2.5ms", "handled <nil> from 1 after 1.0025s",
		"received from 2 after 2.5ms", "handled <nil> from 2 after 2.5ms", "answered <nil> from 2 after 5ms",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if l.Daemons() != 2 {
		t.Errorf("%d daemons", l.Daemons())
	}
}
