package drain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
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

// namespace sets the labels of a namespace.
func (s *story) namespace(name string, set map[string]string) {
	s.cluster(func(c *sim.Cluster) {
		c.Put(sim.Namespaces, &corev1.Namespace{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set},
		})
	})
}

func watchesNamespaces(r apiserver.Request) bool { return r.Resource == sim.Namespaces }

// TestStoryNamespaceSelector: nothing is evicted before the namespaces have been
// read, pods of one that drainer has not seen yet are held, and a label that changes
// decides at once.
func TestStoryNamespaceSelector(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.flags.rules = &plan.Rules{List: []*plan.Rule{
			{Name: "team-a", Match: plan.PodMatch{NamespaceLabels: labels.SelectorFromSet(labels.Set{"team": "a"})}, Action: plan.BlockPod},
		}}
		forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, "", errors.New("no"))
		answered := s.server.Add(apiserver.Rule{Match: watchesNamespaces, Answer: apiserver.AnswerError(forbidden)})
		s.wait(5 * time.Second)
		s.start()
		s.drain("r", "n")
		s.wait(time.Minute)
		if sent := s.evictions(""); len(sent) > 0 || s.phase("n") != "" {
			t.Errorf("before the namespaces are read, phase %q, %d evictions", s.phase("n"), len(sent))
		}
		answered()
		s.await("Blocked", 2*time.Minute, s.reaches("n", api.Blocked))
		if message := s.message("n"); !strings.Contains(message, "rule team-a depends on the labels of namespace shop, which drainer has not seen yet") {
			t.Errorf("the node says %q", message)
		}
		s.namespace("shop", map[string]string{"team": "a"})
		s.await("the rule's own message", time.Minute, func() bool {
			return strings.Contains(s.message("n"), "rule team-a does not let it be evicted")
		})
		changed := s.since()
		s.namespace("shop", map[string]string{"team": "b"})
		s.await("evicted", time.Second, func() bool { return len(s.evictions("web")) == 1 })
		if took := s.since() - changed; took > 200*time.Millisecond {
			t.Errorf("it took %v to see the label", took)
		}
		s.await("drained", time.Minute, s.drained("r", "n"))
	})
}

// TestStoryNamespacesUnwatched: without a rule that looks at namespaces nobody asks
// for them.
func TestStoryNamespacesUnwatched(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n")
		s.flags.rules = &plan.Rules{List: []*plan.Rule{{Name: "all", Action: plan.EvictPod}}, Trusted: []string{"shop"}}
		s.start()
		s.drain("r", "n")
		s.await("drained", time.Minute, s.drained("r", "n"))
		if asked := s.server.Requests(watchesNamespaces); len(asked) > 0 {
			t.Errorf("asked are %v", asked)
		}
	})
}

// TestStoryEvictionResponders: pods are matched by their responders and scheduling
// groups; the status names the responders that nobody asks.
func TestStoryEvictionResponders(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		for _, name := range []string{"web", "backup", "train"} {
			s.deployment(name, "n")
		}
		spec := func(app string, change func(*corev1.PodSpec)) {
			s.cluster(func(c *sim.Cluster) {
				c.UpdatePod(sim.Key{Namespace: "shop", Name: app + "-1"}, func(p *corev1.Pod) { change(&p.Spec) })
			})
		}
		spec("backup", func(p *corev1.PodSpec) {
			p.EvictionResponders = []corev1.EvictionResponder{{Name: "example.com/backup"}}
		})
		spec("train", func(p *corev1.PodSpec) { p.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: new("train")} })
		s.flags.rules = &plan.Rules{List: []*plan.Rule{
			{Name: "responder", Match: plan.PodMatch{EvictionResponders: []string{"example.com/*"}}, Action: plan.BlockPod},
			{Name: "group", Match: plan.PodMatch{SchedulingGroup: new(true)}, Action: plan.AwaitPod, AtMost: time.Minute},
		}}
		s.start()
		s.drain("r", "n")
		s.await("Blocked", time.Minute, s.reaches("n", api.Blocked))
		if sent := s.sentApps(); !slices.Equal(sent, []string{"web"}) {
			t.Errorf("evicted are %v, want web", sent)
		}
		const want = "the eviction responders of pod shop/backup-1 are not asked"
		if status := s.status("n"); !strings.Contains(strings.Join(status.Warnings, "; "), want) || !strings.Contains(s.message("n"), want) {
			t.Errorf("the status warns of %q, the node says %q", status.Warnings, s.message("n"))
		}
		found := map[string]api.Blocker{}
		for _, b := range s.status("n").Blockers {
			found[b.Rule] = b
		}
		if b := found["responder"]; !slices.Equal(b.EvictionResponders, []string{"example.com/backup"}) || b.SchedulingGroup != "" {
			t.Errorf("blocked by its rule is %+v", b)
		}
		if b := found["group"]; b.SchedulingGroup != "train" || b.EvictionResponders != nil {
			t.Errorf("blocked by its rule is %+v", b)
		}
		s.await("the group's pod evicted", 2*time.Minute, func() bool { return len(s.evictions("train")) == 1 })
	})
}

// TestStoryReplicas: the pods of controllers with one replica are held and the others
// leave; a controller that is scaled up lets its pod go, and a count that cannot be
// read does not match, which the node says.
func TestStoryReplicas(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.deployment("web", "n", "spare-001")
		s.deployment("db", "n")
		s.deployment("hidden", "n")
		s.flags.rules = &plan.Rules{List: []*plan.Rule{{Name: "single", Match: plan.PodMatch{Replicas: 1}, Action: plan.BlockPod}}}
		forbidden := apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "replicasets"}, "hidden-1", errors.New("no"))
		s.server.Add(apiserver.Rule{
			Match:  func(r apiserver.Request) bool { return r.Resource == sim.ReplicaSets && r.Name == "hidden-1" },
			Answer: apiserver.AnswerError(forbidden),
		})
		s.wait(5 * time.Second)
		s.start()
		s.drain("r", "n")
		s.await("Blocked", time.Minute, s.reaches("n", api.Blocked))
		sent := s.sentApps()
		if slices.Sort(sent); !slices.Equal(sent, []string{"hidden", "web"}) {
			t.Errorf("evicted are %v, want hidden and web", sent)
		}
		if message := s.message("n"); !strings.Contains(message, "rule single does not let it be evicted") {
			t.Errorf("the node says %q", message)
		}
		reads := s.server.Requests(func(r apiserver.Request) bool { return r.Resource == sim.ReplicaSets })
		if len(reads) != 3 {
			t.Errorf("%d scales were read, want one of each controller", len(reads))
		}
		s.cluster(func(c *sim.Cluster) { c.Scale("shop", "db", 2) })
		s.await("drained", 7*time.Minute, s.drained("r", "n"))
	})
}
