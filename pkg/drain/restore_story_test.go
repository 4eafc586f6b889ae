package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
)

// TestStoryRestore: after etcd was restored resourceVersions go back, and what
// the informers hold stays as it is. Drainer notices when it reads the blocking
// budget, within 36 s of its last event, and starts over.
func TestStoryRestore(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(2)
		s.deployment("web", "n", "m", "m")
		s.budget("web", "maxUnavailable 0")
		s.start()
		s.drain("r", "n")
		s.await("blocked", time.Minute, s.reaches("n", api.Blocked))
		var backup sim.Backup
		s.cluster(func(c *sim.Cluster) { backup = c.Backup() })
		for range 100 {
			s.wait(time.Second)
			for range 10 {
				s.limit("web", "minAvailable 100%")
				s.limit("web", "maxUnavailable 0")
			}
		}
		s.server.Restore(backup)
		s.limit("web", "maxUnavailable 1")
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
	})
}
