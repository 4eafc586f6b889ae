package drain_test

import (
	"fmt"
	"testing"
	"time"
)

// TestStoryFewPlans: the daemon makes few plans while no event can allow
// another eviction.
func TestStoryFewPlans(t *testing.T) {
	tell(t, func(s *story) {
		var nodes, on []string
		for i := range 6 {
			nodes = append(nodes, fmt.Sprintf("n-%02d", i))
			on = append(on, times(40, nodes[i])...)
		}
		s.nodes(nodes...)
		s.spares(30)
		s.deployment("web", on...)
		d := s.start()
		s.await("the daemon plans", time.Minute, func() bool { return d.count("drainer_plan_duration_seconds") > 0 })
		began, before := s.since(), d.count("drainer_plan_duration_seconds")
		s.drain("r", nodes...)
		s.await("all nodes are drained", 5*time.Minute, s.drained("r", nodes...))
		plans := d.count("drainer_plan_duration_seconds") - before
		t.Logf("%d plans for 240 pods in %v", plans, s.since()-began)
		if plans > 150 {
			t.Errorf("%d plans were made for 240 pods that nothing holds up, want 150 at most", plans)
		}
	})
}
