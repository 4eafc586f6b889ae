package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryUnfinishable: nodes that are queued say beforehand what their drains
// cannot finish for, from one list for each node in five minutes.
func TestStoryUnfinishable(t *testing.T) {
	tell(t, func(s *story) {
		nodes := []string{"n1", "n2", "n3", "n4"}
		s.nodes(nodes...)
		s.spares(1)
		s.deployment("db", "n1", "n2", "n3", "n4")
		s.budget("db", "maxUnavailable 0")
		s.start()
		for _, n := range nodes {
			s.annotate(n, api.NotBeforeAnnotation, "2001-01-01T00:00:00Z")
		}
		s.drain("r", nodes...)
		s.await("all say that they cannot finish", time.Minute, func() bool {
			for _, n := range nodes {
				if len(s.status(n).CannotFinish) != 1 {
					return false
				}
			}
			return true
		})
		s.wait(4 * time.Minute)
		listed := func(r apiserver.Request) bool {
			return r.Verb == "list" && r.Query.Get("fieldSelector") != "" && r.Resource == "pods"
		}
		if n := len(s.server.Requests(listed)); n != len(nodes) {
			t.Errorf("pods were listed %d times in four minutes, want once for each node", n)
		}
		for _, n := range nodes {
			if notes := s.events(n)["CannotFinish"]; len(notes) != 1 {
				t.Errorf("%s has the events %q, want one", n, notes)
			}
		}
		s.limit("db", "maxUnavailable 4")
		s.await("none says so any more", time.Minute, func() bool {
			for _, n := range nodes {
				if len(s.status(n).CannotFinish) > 0 {
					return false
				}
			}
			return true
		})
	})
}
