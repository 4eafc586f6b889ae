package drain_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

var controlKey = sim.Key{Namespace: "drainer", Name: api.ControlName}

// control writes the ConfigMap drainer-control, from alternating keys and values; with
// none it is deleted.
func (s *story) control(pairs ...string) {
	s.cluster(func(c *sim.Cluster) {
		if len(pairs) == 0 {
			c.Delete(sim.ConfigMaps, controlKey)
			return
		}
		m := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}}
		m.Namespace, m.Name, m.Data = controlKey.Namespace, controlKey.Name, map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m.Data[pairs[i]] = pairs[i+1]
		}
		c.Put(sim.ConfigMaps, m)
	})
}

// TestStoryPauseEverywhere: everything stops at once, cordons stay, a cancelled
// node is still released, and every drain continues afterwards.
func TestStoryPauseEverywhere(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a", "b")
		s.spares(2)
		s.deployment("web", append(times(20, "a"), times(20, "b")...)...)
		s.budget("web", "maxUnavailable 2")
		s.flags.maxDraining = "100%"
		r := s.start()
		s.drain("r", "a", "b")
		s.await("pods leave", time.Minute, func() bool { return len(s.evictions("web")) > 5 })
		s.control(api.ControlPaused, "INC-42 failover")
		s.wait(time.Second)
		sent := len(s.evictions(""))
		s.await("both say so", 5*time.Second, func() bool {
			return s.phase("a") == api.Paused && s.phase("b") == api.Paused && strings.Contains(s.message("a"), "INC-42 failover")
		})
		s.drain("late", "spare-001")
		s.unannotate("b", api.DrainAnnotation)
		s.wait(time.Hour)
		if now := len(s.evictions("")); now != sent {
			t.Errorf("%d evictions were sent while everything was paused", now-sent)
		}
		if late := s.node("spare-001"); late.Spec.Unschedulable || s.phase("spare-001") != api.Paused || !strings.Contains(s.message("spare-001"), "INC-42 failover") {
			t.Errorf("a node with a request made during the pause: cordoned %v, %s: %s", late.Spec.Unschedulable, s.phase("spare-001"), s.message("spare-001"))
		}
		if !s.node("a").Spec.Unschedulable || s.node("b").Spec.Unschedulable || s.phase("b") != "" {
			t.Error("a lost its cordon, or b was not released")
		}
		if r.metric("drainer_paused") != 1 {
			t.Error("the metric does not say that everything is paused")
		}
		s.unannotate("spare-001", api.DrainAnnotation)
		s.control()
		s.await("it continues", 5*time.Minute, s.drained("r", "a"))
		if r.metric("drainer_paused") != 0 {
			t.Error("the metric still says that everything is paused")
		}
	})
}

// TestStoryControlFirst: drainer does nothing before it has read the ConfigMap,
// and nothing if the ConfigMap pauses everything from the start.
func TestStoryControlFirst(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.deployment("web", times(3, "a")...)
		s.drain("r", "a")
		s.control(api.ControlPaused, "INC-42")
		unreadable := s.server.Add(apiserver.Rule{
			Match:  func(r apiserver.Request) bool { return r.Resource == sim.ConfigMaps },
			Answer: apiserver.AnswerError(apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, api.ControlName, nil)),
		})
		s.start()
		s.wait(10 * time.Minute)
		if n := s.node("a"); n.Spec.Unschedulable || n.Annotations[api.StatusAnnotation] != "" || len(s.evictions("")) > 0 {
			t.Error("something was done before the ConfigMap was read")
		}
		unreadable()
		s.await("the node says why nothing is done", 12*time.Second, func() bool { return strings.Contains(s.message("a"), "INC-42") })
		s.wait(time.Minute)
		if s.node("a").Spec.Unschedulable || len(s.evictions("")) > 0 {
			t.Error("something was done while everything was paused")
		}
		s.control()
		s.await("it begins", 5*time.Minute, s.drained("r", "a"))
	})
}

// TestStoryControlMistake: a ConfigMap that cannot be understood pauses, and the
// node says what is wrong with it.
func TestStoryControlMistake(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.deployment("web", times(3, "a")...)
		s.control("pause", "INC-42")
		s.start()
		s.drain("r", "a")
		s.await("the node says what is wrong", time.Minute, func() bool { return strings.Contains(s.message("a"), `"pause" is not a key`) })
		s.wait(time.Minute)
		if len(s.evictions("")) > 0 {
			t.Error("a pod was evicted")
		}
		s.control(api.ControlPaused, "INC-42")
		s.wait(time.Minute)
		if len(s.evictions("")) > 0 || !strings.Contains(s.message("a"), "INC-42") {
			t.Errorf("the node says %q", s.message("a"))
		}
		s.control()
		s.await("it continues", 5*time.Minute, s.drained("r", "a"))
	})
}
