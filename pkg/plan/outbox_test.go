package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// outbox is an Outbox for 10 workers and the pods taken from it, by destination.
type outbox struct {
	*plan.Outbox
	taken map[string][]types.UID
}

// newOutbox has so many grants for each destination, in that order.
func newOutbox(each int, destinations ...string) *outbox {
	o := &outbox{plan.NewOutbox(10), map[string][]types.UID{}}
	var grants []plan.Grant
	for _, d := range destinations {
		for i := range each {
			pod := &plan.Pod{Namespace: "n", Name: fmt.Sprintf("%s-%d", d, i), UID: types.UID(fmt.Sprintf("%s-%d", d, i))}
			pod.Controller.UID = types.UID(d)
			grants = append(grants, plan.Grant{Pod: pod})
		}
	}
	o.Publish(grants)
	return o
}

// take takes what has room, and returns the destinations in order.
func (o *outbox) take(t *testing.T) string {
	t.Helper()
	var order []string
	for {
		room := o.HasRoom()
		g, taken := o.Take(time.Now(), nil)
		if taken != room {
			t.Errorf("took a grant: %t, but has room: %t", taken, room)
		}
		if !taken {
			return strings.Join(order, " ")
		}
		d := string(g.Pod.Controller.UID)
		o.taken[d] = append(o.taken[d], g.Pod.UID)
		order = append(order, d)
	}
}

// hang lets all that is under way to a destination continue without a worker.
func (o *outbox) hang(destination string) {
	for _, uid := range o.taken[destination] {
		o.Detach(uid)
	}
}

// TestOutboxOrder: the destinations without a worker go first, and no destination
// holds more than half of the workers.
func TestOutboxOrder(t *testing.T) {
	o := newOutbox(8, "a", "b")
	if got, want := o.take(t), "a b a a a a b b b b"; got != want {
		t.Errorf("took %s, want %s", got, want)
	}
	if o.Waiting() != 6 {
		t.Errorf("%d wait, want the other 6", o.Waiting())
	}
}

// TestOutboxEmpty: once all grants are taken, there is room for none.
func TestOutboxEmpty(t *testing.T) {
	o := newOutbox(1, "a", "b")
	if got, want := o.take(t), "a b"; got != want || o.HasRoom() {
		t.Errorf("took %q, want %q; has room for more: %v", got, want, o.HasRoom())
	}
}

// TestOutboxThrottled: after an answer that throttles, nothing is sent for as long as it
// asks, and then one request at a time until the API server answers one that was sent
// after that.
func TestOutboxThrottled(t *testing.T) {
	o, now := newOutbox(2, "a", "b", "c", "d"), time.Now()
	send := func(after time.Duration) (plan.Grant, bool) { return o.Take(now.Add(after), nil) }
	answer := func(g plan.Grant, after time.Duration, outcome plan.Outcome) {
		o.Answered(plan.Answered{Grant: g, Outcome: outcome, At: now.Add(after), Took: time.Second})
	}
	expect := func(when string, after time.Duration, want bool) plan.Grant {
		t.Helper()
		g, sent := send(after)
		if sent != want {
			t.Fatalf("%s: sent %v, want %v", when, sent, want)
		}
		return g
	}
	throttled := func(wait time.Duration) plan.Outcome {
		return plan.Outcome{Reason: plan.Throttled, Code: "429", RetryAfter: wait}
	}
	admitted := plan.Outcome{Reason: plan.Admitted, Code: "201"}
	first, second, third := expect("at first", 0, true), expect("at first", 0, true), expect("at first", 0, true)
	answer(first, 0, throttled(10*time.Second))
	answer(second, 0, throttled(5*time.Second))
	if s := o.Collect(); !s.Throttled.Equal(now.Add(10*time.Second)) || !s.Careful {
		t.Errorf("throttled until %v after, careful: %v; want 10s, true", s.Throttled.Sub(now), s.Careful)
	}
	expect("just before", 10*time.Second-1, false)
	expect("beside one under way", 10*time.Second, false)
	answer(third, 10*time.Second, admitted)
	one := expect("alone", 10*time.Second, true)
	expect("beside that one", 10*time.Second, false)
	answer(one, 12*time.Second, plan.Outcome{Reason: plan.Unknown, Code: plan.NoAnswer})
	one = expect("after no answer", 12*time.Second, true)
	expect("beside that one", 12*time.Second, false)
	answer(one, 14*time.Second, admitted)
	expect("after an answer", 14*time.Second, true)
	expect("beside that one", 14*time.Second, true)
}

// TestOutboxHalf: one destination takes half of what there is.
func TestOutboxHalf(t *testing.T) {
	o := newOutbox(200, "a")
	if got, want := o.take(t), "a a a a a"; got != want {
		t.Errorf("took %q beside 10 workers, want %q", got, want)
	}
	for range 20 {
		o.hang("a")
		o.take(t)
	}
	if n := len(o.taken["a"]); n != 50 {
		t.Errorf("%d requests are under way, want 50", n)
	}
}

// TestOutboxSlow: the destinations that are slow take half of what there is
// together, and another one still gets workers.
func TestOutboxSlow(t *testing.T) {
	o := newOutbox(200, "a", "b", "c")
	if got, want := o.take(t), "a b c a a a a b b b b c c c c"; got != want {
		t.Errorf("took %q, want %q", got, want)
	}
	for range 20 {
		o.hang("a")
		o.hang("b")
		o.take(t)
	}
	if slow := len(o.taken["a"]) + len(o.taken["b"]); slow != 50 {
		t.Errorf("%d requests to slow destinations are under way, want 50", slow)
	}
	if n := len(o.taken["c"]); n != 5 {
		t.Errorf("%d requests to the other destination are under way, want 5", n)
	}
}

// TestOutboxMost: not more than 100 requests are under way, however many
// destinations hang.
func TestOutboxMost(t *testing.T) {
	var destinations []string
	for i := range 150 {
		destinations = append(destinations, fmt.Sprintf("d%d", i))
	}
	o := newOutbox(5, destinations...)
	for range 50 {
		o.take(t)
		for _, d := range destinations {
			o.hang(d)
		}
	}
	all := 0
	for _, pods := range o.taken {
		all += len(pods)
	}
	if all != plan.MostInFlight {
		t.Errorf("%d requests are under way, want %d", all, plan.MostInFlight)
	}
}
