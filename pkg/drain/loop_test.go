package drain

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/plan"
)

// TestRestAfter: planning takes at most a quarter of a core, and less while
// the workers have enough to do.
func TestRestAfter(t *testing.T) {
	for name, test := range map[string]struct {
		waiting    int
		took, want time.Duration
	}{
		"a short plan":                      {waiting: 0, took: time.Millisecond / 2, want: 2 * time.Millisecond},
		"a long plan":                       {waiting: 9, took: 20 * time.Millisecond, want: 60 * time.Millisecond},
		"a plan that was held up":           {waiting: 0, took: time.Second, want: 200 * time.Millisecond},
		"a short plan, workers are busy":    {waiting: 10, took: time.Millisecond, want: 9 * time.Millisecond},
		"a long plan, workers are busy":     {waiting: 99, took: 20 * time.Millisecond, want: 180 * time.Millisecond},
		"a plan of no time, nothing to win": {waiting: 10, took: 0, want: 2 * time.Millisecond},
	} {
		outbox := plan.NewOutbox(10)
		outbox.Publish(grantsOf(test.waiting))
		c := &Controller{Options: Options{Workers: 10}, evictor: &evictor{outbox: outbox}}
		if rest := c.restAfter(test.took); rest != test.want {
			t.Errorf("%s: rests %v after %v, want %v", name, rest, test.took, test.want)
		}
	}
}

// TestNotPlanned: before the first plan, drainer does not report that there are
// no drains.
func TestNotPlanned(t *testing.T) {
	c := newTestController(t, requested(), &stubServer{})
	if p := c.Plans(); p != nil {
		t.Errorf("there are plans: %v", p)
	}
	if c.step(quiet()); len(c.Plans()) != 1 {
		t.Errorf("there are %d plans, want 1", len(c.Plans()))
	}
}
