package drain_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/plan"
)

// app is a rule's match for one Deployment.
func app(name string) plan.PodMatch {
	return plan.PodMatch{Pods: labels.SelectorFromSet(labels.Set{"app": name})}
}

// TestStoryRules: pods leave in the order of their rules, one that does not complete
// leaves after its time, which a restart does not lengthen, and the node is
// drained with those that a rule ignores.
func TestStoryRules(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		for _, name := range []string{"db", "web", "train", "keep"} {
			s.deployment(name, "n", "n")
		}
		s.flags.rules = &plan.Rules{List: []*plan.Rule{
			{Name: "keep", Match: app("keep"), Action: plan.IgnorePod},
			{Name: "train", Match: app("train"), Action: plan.AwaitPod, AtMost: 10 * time.Minute},
			{Name: "db", Match: app("db"), Action: plan.EvictPod, Order: 100},
		}}
		s.wait(5 * time.Second)
		first := s.start()
		s.drain("r", "n")
		began := s.since()
		s.wait(5 * time.Minute)
		if sent := s.sentApps(); !slices.Equal(sent, []string{"web"}) {
			t.Errorf("while some are waited for, %v are evicted, want web", sent)
		}
		for _, b := range s.status("n").Blockers {
			if b.Rule != "train" && b.Rule != "db" {
				t.Errorf("a blocker names the rule %q: %+v", b.Rule, b)
			}
		}
		first.kill()
		s.start()
		s.await("drained", 10*time.Minute, s.drained("r", "n"))
		if took := s.since() - began; took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("it took %v, want a little more than the ten minutes of the rule", took)
		}
		if sent := s.sentApps(); !slices.Equal(sent, []string{"web", "train", "db"}) {
			t.Errorf("evicted are %v, want web, train, db", sent)
		}
		if ignored := s.status("n").Pods.Ignored; ignored != 2 {
			t.Errorf("%d pods are ignored, want 2", ignored)
		}
	})
}

// sentApps are the Deployments whose pods were evicted, in order, each once.
func (s *story) sentApps() []string {
	var names []string
	for _, r := range s.evictions("") {
		name, _, _ := strings.Cut(r.Name, "-")
		names = append(names, name)
	}
	return slices.Compact(names)
}
