package drain_test

import (
	"testing"
	"time"

	"drainer.dev/drainer/pkg/sim"
)

// TestStorySurge: what a budget's status allows now is used, also if its spec
// leaves no room but during a rollout.
func TestStorySurge(t *testing.T) {
	for _, limit := range []string{"maxUnavailable 0", "minAvailable 90%"} {
		t.Run(limit, func(t *testing.T) {
			tell(t, func(s *story) {
				s.nodes("n", "m")
				s.spares(2)
				s.cluster(func(c *sim.Cluster) {
					c.Run(sim.Workload{
						Kind: sim.Deployment, Namespace: "shop", Name: "web", Replicas: 3, Surge: 1, Behavior: quick,
					}, "n", "m", "m", "m")
				})
				s.budget("web", limit)
				s.cluster(func(c *sim.Cluster) {
					if allowed := c.Budget(sim.Key{Namespace: "shop", Name: "web"}).Status.DisruptionsAllowed; allowed != 1 {
						t.Fatalf("the budget allows %d", allowed)
					}
				})
				s.start()
				s.drain("r", "n")
				s.await("drained", time.Minute, s.drained("r", "n"))
			})
		})
	}
}
