package drain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// broken is a rule about a condition.
var broken = plan.MarkRule{Kind: plan.ConditionMark, Name: "Broken", Value: "True", For: 2 * time.Minute, MaxNodes: 2, MinInterval: 20 * time.Minute}

// detect sets the condition Broken, as node-problem-detector does.
func (s *story) detect(status corev1.ConditionStatus, nodes ...string) {
	s.Helper()
	for _, node := range nodes {
		err := s.server.EditNodeStatus(node, "node-problem-detector", func(n *corev1.Node) {
			c := corev1.NodeCondition{Type: "Broken", Status: status, LastTransitionTime: metav1.Now()}
			for i := range n.Status.Conditions {
				if n.Status.Conditions[i].Type == c.Type {
					n.Status.Conditions[i] = c
					return
				}
			}
			n.Status.Conditions = append(n.Status.Conditions, c)
		})
		if err != nil {
			s.Fatal(err)
		}
	}
}

// request is the ID of a node's request.
func (s *story) request(node string) string { return s.node(node).Annotations[api.DrainAnnotation] }

// TestStoryMark: a marked node is drained after its time, also if the process is
// killed in between. Its request is removed by a person: the rule stays silent until
// the mark has cleared, and for the next process, too.
func TestStoryMark(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.deployment("web", times(3, "a")...)
		s.flags.requests = []plan.MarkRule{broken}
		r := s.start()
		s.detect(corev1.ConditionTrue, "a")
		s.wait(broken.For / 2)
		r.kill()
		r = s.start()
		s.wait(broken.For/2 - 10*time.Second)
		if s.request("a") != "" {
			t.Error("the drain was requested before its time")
		}
		s.await("it is requested", time.Minute, func() bool { return s.request("a") != "" })
		id := s.request("a")
		if !strings.HasPrefix(id, "condition/Broken/") {
			t.Errorf("the request is %q", id)
		}
		s.await("it is drained", 5*time.Minute, s.drained(id, "a"))
		if r.metric("drainer_mark_rule_nodes", "rule", "condition/Broken", "state", "requested") != 1 || len(s.events("a")["MarkRequested"]) != 1 {
			t.Errorf("the metrics and the events %q do not say so", s.events("a")["MarkRequested"])
		}
		s.unannotate("a", api.DrainAnnotation)
		s.await("it is released", time.Minute, func() bool { return !s.node("a").Spec.Unschedulable })
		r.terminate()
		r = s.start()
		s.wait(2 * broken.MinInterval)
		if s.request("a") != "" || r.metric("drainer_mark_rule_nodes", "state", "silent") != 1 {
			t.Errorf("somebody removed the request, and there is another: %q", s.request("a"))
		}
		s.detect(corev1.ConditionFalse, "a")
		s.wait(time.Minute)
		s.detect(corev1.ConditionTrue, "a")
		s.await("it is requested again", 11*time.Minute, func() bool { return s.request("a") != "" && s.request("a") != id })
	})
}

// TestStoryMarkLatch: a false condition on all nodes drains nothing and latches, for
// the next process, too, until somebody resumes the rule.
func TestStoryMarkLatch(t *testing.T) {
	tell(t, func(s *story) {
		s.spares(20)
		s.flags.requests = []plan.MarkRule{broken}
		r := s.start()
		for i := range 20 {
			s.detect(corev1.ConditionTrue, fmt.Sprintf("spare-%03d", i+1))
			s.wait(20 * time.Second)
		}
		s.wait(10 * time.Minute)
		latched := func() float64 { return r.metric("drainer_mark_rule_latched", "rule", "condition/Broken") }
		if latched() != 1 {
			t.Error("the rule is not latched")
		}
		for i := range 18 {
			s.detect(corev1.ConditionFalse, fmt.Sprintf("spare-%03d", i+1))
		}
		r.kill()
		r = s.start()
		s.wait(10 * time.Minute)
		if latched() != 1 {
			t.Error("the rule is no longer latched after a restart")
		}
		says := 0
		for i := range 20 {
			name := fmt.Sprintf("spare-%03d", i+1)
			if s.request(name) != "" || s.node(name).Spec.Unschedulable {
				t.Errorf("node %s has the request %q", name, s.request(name))
			}
			if s.node(name).Annotations[api.LatchedAnnotation] != "" {
				says++
				s.unannotate(name, api.LatchedAnnotation)
			}
		}
		if says != broken.MaxNodes+1 {
			t.Errorf("%d nodes say that the rule is latched", says)
		}
		s.await("the two that are left are drained", 5*time.Minute, func() bool { return s.request("spare-019") != "" && s.request("spare-020") != "" })
		if latched() != 0 {
			t.Error("the rule was resumed, and the metric says that it is latched")
		}
	})
}

// TestStoryMarkRelease: with WhenCleared the request goes once the mark has been
// cleared for long enough, and another rule's mark keeps it; somebody approves it.
func TestStoryMarkRelease(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.deployment("web", times(3, "a")...)
		rule := broken
		rule.ReleaseWhenCleared, rule.StartPaused = true, true
		s.flags.requests = []plan.MarkRule{rule, {Kind: plan.LabelMark, Name: "repair", For: time.Minute, MaxNodes: 1, ReleaseWhenCleared: true}}
		r := s.start()
		s.detect(corev1.ConditionTrue, "a")
		s.await("it waits for approval", 11*time.Minute, s.reaches("a", api.Paused))
		s.wait(10 * time.Minute)
		if s.node("a").Spec.Unschedulable || len(s.evictions("")) > 0 {
			t.Error("the drain has begun without approval")
		}
		id := s.request("a")
		s.unannotate("a", api.PausedAnnotation)
		s.await("it is drained", 5*time.Minute, s.drained(id, "a"))
		s.edit("a", func(n *corev1.Node) { n.Labels = map[string]string{"repair": "yes"} })
		s.wait(5 * time.Minute)
		s.detect(corev1.ConditionFalse, "a")
		s.wait(10 * time.Minute)
		if s.request("a") != id {
			t.Errorf("the node has another mark, and the request is %q", s.request("a"))
		}
		r.terminate()
		s.start()
		s.edit("a", func(n *corev1.Node) { delete(n.Labels, "repair") })
		s.await("it is released", 15*time.Minute, func() bool { return s.request("a") == "" && !s.node("a").Spec.Unschedulable })
		if n := s.node("a"); n.Annotations[api.ReasonAnnotation] != "" || n.Annotations[api.RequestedByAnnotation] != "" {
			t.Errorf("the node still has %v", n.Annotations)
		}
	})
}

// TestStoryMarkOverruled: if somebody writes a request while a rule's request
// is on its way, the person's request stays, and the rule makes none.
func TestStoryMarkOverruled(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.flags.requests = []plan.MarkRule{broken}
		s.server.Add(apiserver.Rule{Match: func(r apiserver.Request) bool {
			return r.Verb == "patch" && strings.Contains(string(r.Body), api.MarksAnnotation)
		}, Before: 5 * time.Second})
		s.start()
		s.detect(corev1.ConditionTrue, "a")
		s.wait(broken.For + 2*time.Second)
		if id := s.request("a"); id != "" {
			t.Fatalf("the rule's request has arrived already: %s", id)
		}
		s.drain("CHG-1", "a")
		s.wait(time.Minute)
		if id := s.request("a"); id != "CHG-1" {
			t.Errorf("the request is %q, want the one that somebody wrote", id)
		}
		s.await("it is drained", 5*time.Minute, s.drained("CHG-1", "a"))
	})
}

// TestStoryMarkConflict: a heartbeat of the kubelet between the plan and the request
// of a drain does not let the request wait for something else to happen.
func TestStoryMarkConflict(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(2)
		s.flags.requests = []plan.MarkRule{broken}
		s.start()
		s.server.Add(apiserver.Rule{
			Match:  func(r apiserver.Request) bool { return r.Verb == "patch" && r.Resource == sim.Nodes },
			Before: 2 * time.Second, Times: 1,
		})
		s.detect(corev1.ConditionTrue, "a")
		s.wait(broken.For + time.Second)
		if s.request("a") != "" {
			t.Fatal("the drain is requested before the heartbeat")
		}
		s.heartbeat("a")
		s.await("requested", time.Minute, func() bool { return s.request("a") != "" })
	})
}

// heartbeat writes a node's status, as its kubelet does, and changes nothing else.
func (s *story) heartbeat(node string) {
	s.Helper()
	err := s.server.EditNodeStatus(node, "kubelet", func(n *corev1.Node) {
		for i := range n.Status.Conditions {
			n.Status.Conditions[i].LastHeartbeatTime = metav1.Now()
		}
	})
	if err != nil {
		s.Fatal(err)
	}
}
