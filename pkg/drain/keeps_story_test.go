package drain_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryKeepsDrained: a node that is reported drained stays reported
// drained, even if the write is carried out late, or drainer learns about it
// late or never.
func TestStoryKeepsDrained(t *testing.T) {
	for name, rule := range map[string]apiserver.Rule{
		"late":             {After: 5 * time.Second},
		"never":            {Break: apiserver.BreakAfter},
		"carried out late": {Before: 25 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			tell(t, func(s *story) {
				s.nodes("a", "spare")
				rule.Times = 1
				rule.Match = func(r apiserver.Request) bool {
					return r.Verb == "patch" && r.Subresource == "status" && strings.Contains(string(r.Body), api.DrainedAnnotation)
				}
				s.server.Add(rule)
				s.start()
				s.drain("r", "a")
				s.await("node a is drained", time.Minute, s.drained("r", "a"))
				s.wait(time.Minute)
				if n := s.withdrawn("a"); n > 0 {
					t.Errorf("what was said was withdrawn %d times", n)
				}
				s.await("node a is drained", time.Second, s.drained("r", "a"))
			})
		})
	}
}

// withdrawn counts how often a node ceased to say that it is drained.
func (s *story) withdrawn(name string) int {
	n := 0
	s.cluster(func(c *sim.Cluster) {
		for _, change := range c.Since(0) {
			was, is := change.Was.(*corev1.Node)
			if is && was.Name == name && was.Annotations[api.DrainedAnnotation] != "" && change.Object.GetAnnotations()[api.DrainedAnnotation] == "" {
				n++
			}
		}
	})
	return n
}
