package invariant_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
)

// waits lets node a be queued, because it is paused, and say that the pod p keeps its drain from its end for
// a reason; for none if that is empty.
func (s *scene) waits(reason string) {
	s.annotate("a", api.DrainAnnotation, "r")
	s.annotate("a", api.PausedAnnotation, "true")
	s.change("a", invariant.Daemon, func(n *corev1.Node) {
		status := api.Status{Request: "r", Phase: api.Queued}
		if reason != "" {
			status.CannotFinish = []api.Obstacle{{Pod: "shop/p", Reason: reason}}
		}
		n.Annotations[api.StatusAnnotation] = status.Format()
	})
}

// TestAhead: a queued node says what would keep its drain from its end, and nothing
// that would not.
func TestAhead(t *testing.T) {
	inPool := func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"pool": "x"} }
	for name, test := range map[string]struct {
		says    string
		budgets int
		allowed int32
		desired int32
		shape   func(*corev1.Pod)
		want    invariant.ID
	}{
		"nothing":                     {budgets: 1},
		"two budgets":                 {says: "multiple_budgets", budgets: 2},
		"one budget, said two":        {says: "multiple_budgets", budgets: 1, want: "I6"},
		"two budgets, not said":       {budgets: 2, want: "I6"},
		"two over a pod that stays":   {budgets: 2, shape: static},
		"never allows":                {says: "budget_never_allows", budgets: 1},
		"allows":                      {says: "budget_never_allows", budgets: 1, allowed: 1, want: "I6"},
		"no budget":                   {says: "budget_never_allows", want: "I6"},
		"short":                       {says: "budget_exhausted", budgets: 1, desired: 1},
		"nowhere":                     {says: "budget_exhausted", budgets: 1, shape: inPool},
		"neither short, nor nowhere":  {says: "budget_exhausted", budgets: 1, want: "I6"},
		"something that is not known": {says: "bare_pod", budgets: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(invariant.Rules{})
			s.Started()
			s.is("a", "pool", "x")
			s.is("b", "pool", "y")
			pod := s.pod("p", "a")
			if test.shape != nil {
				test.shape(pod)
			}
			for i := range test.budgets {
				s.budget(string(rune('a'+i)), test.desired, test.allowed)
			}
			s.waits(test.says)
			s.after(time.Hour)
			if outdated := s.Outdated(s.now); outdated != (test.want != "") {
				t.Errorf("what it says is outdated: %v", outdated)
			}
			s.Finish(s.now)
			s.expect(t, test.want)
		})
	}
}

// TestAheadFull: a node that names as many obstacles as it may need not name another.
func TestAheadFull(t *testing.T) {
	for named, want := range map[int]invariant.ID{api.MaxObstacles - 1: "I6", api.MaxObstacles: ""} {
		s := newScene(invariant.Rules{})
		s.Started()
		s.is("a", "pool", "x")
		s.pod("p", "a")
		s.budget("a", 0, 0)
		s.budget("b", 0, 0)
		s.waits("")
		s.change("a", invariant.Daemon, func(n *corev1.Node) {
			others := make([]api.Obstacle, named)
			for i := range others {
				others[i] = api.Obstacle{Pod: fmt.Sprintf("shop/gone-%d", i), Reason: "bare_pod"}
			}
			n.Annotations[api.StatusAnnotation] = api.Status{Request: "r", Phase: api.Queued, CannotFinish: others}.Format()
		})
		s.after(time.Hour)
		s.Finish(s.now)
		s.expect(t, want)
	}
}
