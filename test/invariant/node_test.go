package invariant_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
)

// TestDrained: a node is reported drained only when it was last seen empty.
func TestDrained(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"empty":              {do: func(*scene) {}},
		"a target":           {do: func(s *scene) { s.pod("p", "a") }, want: "I5"},
		"a target elsewhere": {do: func(s *scene) { s.pod("p", "b") }},
		"a static pod":       {do: func(s *scene) { s.pod("p", "a", static) }},
		"a finished pod":     {do: func(s *scene) { s.pod("p", "a", finished) }, want: "I5"},
		"one that terminates": {do: func(s *scene) {
			s.terminate(s.pod("p", "a"))
		}, want: "I5"},
		"one that came after the list": {do: func(s *scene) {
			s.Listed(s.now, "a")
			s.after(time.Second)
			s.pod("p", "a")
		}},
		"one that came before the list": {do: func(s *scene) {
			s.pod("p", "a")
			s.after(time.Second)
			s.Listed(s.now, "a")
		}, want: "I5"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			test.do(s)
			s.after(time.Second)
			s.says("a", api.Drained, noon)
			s.expect(t, test.want)
		})
	}
}

// TestCordon: what others wish stays, and what drainer wished is removed.
func TestCordon(t *testing.T) {
	uncordon := func(n *corev1.Node) { n.Spec.Unschedulable, n.ManagedFields = false, nil }
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"released": {do: func(s *scene) {
			s.change("a", invariant.Daemon, func(n *corev1.Node) { uncordon(n); delete(n.Annotations, api.StatusAnnotation) })
		}},
		"still cordoned": {do: func(*scene) {}, want: "I7"},
		"status left":    {do: func(s *scene) { s.change("a", invariant.Daemon, uncordon) }, want: "I7"},
		"cordoned by others, too": {do: func(s *scene) {
			s.cordon("a", "kubectl", invariant.Others)
			s.change("a", invariant.Daemon, func(n *corev1.Node) { uncordon(n); delete(n.Annotations, api.StatusAnnotation) })
		}, want: "I7"},
		"uncordoned by others": {do: func(s *scene) {
			s.cordon("a", "kubectl", invariant.Others)
			s.change("a", invariant.Others, func(n *corev1.Node) { uncordon(n); delete(n.Annotations, api.StatusAnnotation) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			s.unannotate("a", api.DrainAnnotation)
			test.do(s)
			s.Finish(s.now)
			s.expect(t, test.want)
			if unfinished := s.Unfinished(s.now) != ""; unfinished != (name == "still cordoned" || name == "status left") {
				t.Errorf("unfinished is %v", unfinished)
			}
		})
	}
}

// TestReleased: the status is the last that is removed.
func TestReleased(t *testing.T) {
	s := draining(invariant.Rules{})
	s.unannotate("a", api.DrainAnnotation)
	s.change("a", invariant.Daemon, func(n *corev1.Node) { delete(n.Annotations, api.StatusAnnotation) })
	s.expect(t, "I7")
}

// TestStays: what is said to be drained is not withdrawn without a reason.
func TestStays(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"nothing":           {do: func(*scene) {}, want: "I6"},
		"a pod came":        {do: func(s *scene) { s.terminate(s.pod("p", "a")) }},
		"a static pod came": {do: func(s *scene) { s.pod("p", "a", static) }, want: "I6"},
		"paused":            {do: func(s *scene) { s.annotate("a", api.PausedAnnotation, "true") }},
		"invalid":           {do: func(s *scene) { s.annotate("a", api.Prefix+"pause", "true") }},
		"invalid for long": {do: func(s *scene) {
			s.annotate("a", api.Prefix+"pause", "true")
			s.after(time.Minute)
		}},
		"for another request": {do: func(s *scene) { s.annotate("a", api.DrainAnnotation, "other") }},
		"uncordoned": {do: func(s *scene) {
			s.change("a", invariant.Others, func(n *corev1.Node) { n.Spec.Unschedulable = false })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			s.says("a", api.Drained, noon)
			s.after(time.Minute)
			test.do(s)
			s.change("a", invariant.Daemon, func(n *corev1.Node) { delete(n.Annotations, api.DrainedAnnotation) })
			s.expect(t, test.want)
		})
	}
}

// TestLimits: no more nodes begin than may, and never the last one.
func TestLimits(t *testing.T) {
	begin := func(s *scene, node string) {
		s.annotate(node, api.DrainAnnotation, "r")
		s.after(5 * time.Second)
		s.says(node, api.Draining, s.now)
	}
	two := invariant.Rules{Limits: invariant.Limits{MaxDraining: func(int) int { return 2 }}}
	// again lets a begin for another request after it was drained, beside b.
	again := func(s *scene, between func(*scene)) {
		s.change("c", invariant.Others, func(*corev1.Node) {})
		s.says("a", api.Drained, noon)
		begin(s, "b")
		between(s)
		s.annotate("a", api.DrainAnnotation, "other")
		s.after(5 * time.Second)
		s.change("a", invariant.Daemon, func(n *corev1.Node) {
			n.Annotations[api.StatusAnnotation] = (&api.Status{Request: "other", Phase: api.Draining, StartedAt: &s.now}).Format()
		})
	}
	for name, test := range map[string]struct {
		rules invariant.Rules
		do    func(*scene)
		want  invariant.ID
	}{
		"one too many": {do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			begin(s, "b")
		}, want: "I9"},
		"as many as may": {rules: two, do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			begin(s, "b")
		}},
		"after one that is done": {do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.says("a", api.Drained, noon)
			begin(s, "b")
		}},
		"beside an invalid one": {do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.annotate("a", api.GracePeriodAnnotation, "none")
			begin(s, "b")
		}, want: "I9"},
		"beside an invalid one that had given up": {do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.pod("web-1", "a")
			s.annotate("a", api.OnTimeoutAnnotation, "Stop")
			s.annotate("a", api.TimeoutAnnotation, "1s")
			s.after(5 * time.Second)
			s.annotate("a", api.GracePeriodAnnotation, "none")
			begin(s, "b")
		}},
		"another request of one that is done": {do: func(s *scene) { again(s, func(*scene) {}) }, want: "I9"},
		"another request of one that continues": {do: func(s *scene) {
			again(s, func(s *scene) {
				s.change("a", invariant.Others, func(n *corev1.Node) { n.Spec.Unschedulable = false })
			})
		}},
		"the last one": {rules: two, do: func(s *scene) { begin(s, "b") }, want: "I9"},
		"the last one, allowed": {
			rules: invariant.Rules{Limits: two.Limits, AllowLastNode: true},
			do:    func(s *scene) { begin(s, "b") },
		},
		"the last one, cordoned": {rules: two, do: func(s *scene) {
			s.cordon("b", "kubectl", invariant.Others)
			begin(s, "b")
		}},
		"beside one that others have just cordoned": {rules: two, do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.annotate("b", api.DrainAnnotation, "r")
			s.after(5 * time.Second)
			s.cordon("c", "kubectl", invariant.Others)
			s.says("b", api.Draining, s.now)
		}},
		"what was decided long ago": {do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.annotate("b", api.DrainAnnotation, "r")
			s.after(5 * time.Second)
			s.says("b", api.Draining, s.now.Add(-3*time.Second))
		}},
		"a process that has ended": {do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.annotate("b", api.DrainAnnotation, "r")
			s.says("c", api.Queued, time.Time{})
			s.change("b", invariant.Late, func(n *corev1.Node) {
				n.Annotations[api.StatusAnnotation] = s.nodes["a"].Annotations[api.StatusAnnotation]
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(test.rules)
			test.do(s)
			s.expect(t, test.want)
		})
	}
}

// TestFinishes: what can be drained is, in the end.
func TestFinishes(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"not drained": {do: func(*scene) {}, want: "I6"},
		"drained":     {do: func(s *scene) { s.says("a", api.Drained, noon) }},
		"drained, not empty": {do: func(s *scene) {
			s.says("a", api.Drained, noon)
			s.pod("p", "a")
			s.after(time.Second)
		}, want: "I5"},
		"drained for another": {do: func(s *scene) {
			s.says("a", api.Drained, noon)
			s.annotate("a", api.DrainAnnotation, "other")
		}, want: "I6"},
		"a pod that can go":  {do: func(s *scene) { s.pod("p", "a") }, want: "I6"},
		"a bare pod":         {do: func(s *scene) { s.pod("p", "a", bare) }},
		"one terminates":     {do: func(s *scene) { s.terminate(s.pod("p", "a")) }},
		"under a budget":     {do: func(s *scene) { s.budget("web", 0, 1); s.pod("p", "a") }, want: "I6"},
		"under a tight one":  {do: func(s *scene) { s.budget("web", 1, 0); s.pod("p", "a") }},
		"under two budgets":  {do: func(s *scene) { s.budget("web", 0, 1); s.budget("more", 0, 1); s.pod("p", "a") }},
		"pending, under two": {do: func(s *scene) { s.budget("web", 0, 1); s.budget("more", 0, 1); s.pod("p", "a", pending) }, want: "I6"},
		"paused":             {do: func(s *scene) { s.annotate("a", api.PausedAnnotation, "true") }},
		"waits for a slot":   {do: func(s *scene) { s.pod("p", "a", bare); s.annotate("b", api.DrainAnnotation, "r") }},
		"is the last": {do: func(s *scene) {
			s.says("a", api.Drained, noon)
			s.annotate("b", api.DrainAnnotation, "r")
		}},
		"does not begin": {do: func(s *scene) {
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.says("a", api.Drained, noon)
			s.annotate("b", api.DrainAnnotation, "r")
		}, want: "I6"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			test.do(s)
			if unfinished := s.Unfinished(s.now) != ""; unfinished != (test.want == "I6") {
				t.Errorf("unfinished is %v", unfinished)
			}
			s.Finish(s.now)
			s.expect(t, test.want)
		})
	}
}

// TestCounters: what is counted is what was answered to the running process.
func TestCounters(t *testing.T) {
	for name, test := range map[string]struct {
		counters map[string]int
		want     invariant.ID
	}{
		"right":    {counters: map[string]int{"201": 2, "error": 1, "429": 0}},
		"too few":  {counters: map[string]int{"201": 1, "error": 1}, want: "I8"},
		"too many": {counters: map[string]int{"201": 2, "error": 1, "429": 1}, want: "I8"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(invariant.Rules{})
			s.Answered("500")
			s.Started()
			for _, code := range []string{"201", "error", "201"} {
				s.Answered(code)
			}
			s.Counted(s.now, test.counters)
			s.expect(t, test.want)
		})
	}
}

// TestHolds: drainer keeps its cordon while others hold the node, and only then
// without a request.
func TestHolds(t *testing.T) {
	const hold = api.HoldPrefix + "backup"
	release := func(s *scene) {
		s.change("a", invariant.Daemon, func(n *corev1.Node) {
			n.ManagedFields, n.Spec.Unschedulable = nil, false
			delete(n.Annotations, api.StatusAnnotation)
		})
	}
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"held":          {do: func(*scene) {}},
		"not held":      {do: func(s *scene) { s.unannotate("a", hold) }, want: "I7"},
		"released":      {do: func(s *scene) { s.unannotate("a", hold); release(s) }},
		"released held": {do: release, want: "I7"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			s.says("a", api.Draining, noon)
			s.annotate("a", hold, "x")
			s.after(time.Minute)
			s.unannotate("a", api.DrainAnnotation)
			test.do(s)
			s.Finish(s.now)
			s.expect(t, test.want)
		})
	}
}

// TestVolumes: a drained node has no volumes but those of pods that stay, where
// drainer waits for them, and those that were attached since it looked.
func TestVolumes(t *testing.T) {
	logs := invariant.Attachment{Name: "csi-logs", Node: "a", Namespace: "shop", Claim: "logs"}
	data := invariant.Attachment{Name: "csi-data", Node: "a", Namespace: "shop", Claim: "data"}
	uses := func(p *corev1.Pod) {
		source := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "logs"}
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: source}}}
	}
	for name, test := range map[string]struct {
		waits bool
		do    func(*scene)
		want  invariant.ID
	}{
		"of a pod that is gone":           {waits: true, do: func(s *scene) { s.Attached(s.now, data) }, want: "I5"},
		"that nobody waits for":           {do: func(s *scene) { s.Attached(s.now, data) }},
		"that was detached":               {waits: true, do: func(s *scene) { s.Attached(s.now, data); s.Detached(data.Name) }},
		"of a pod that stays":             {waits: true, do: func(s *scene) { s.Attached(s.now, logs); s.pod("p", "a", static, uses) }},
		"beside that of a pod that stays": {waits: true, do: func(s *scene) { s.Attached(s.now, data); s.pod("p", "a", static, uses) }, want: "I5"},
		"seen after drainer looked":       {waits: true, do: func(s *scene) { s.ListedAttachments(s.now); s.Attached(s.now, data) }},
		"that drainer has seen":           {waits: true, do: func(s *scene) { s.Attached(s.now, data); s.after(time.Second); s.ListedAttachments(s.now) }, want: "I5"},
		"of another node": {waits: true, do: func(s *scene) {
			s.Attached(s.now, invariant.Attachment{Name: "csi-far", Node: "b", Namespace: "shop", Claim: "far"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{WaitsForVolumes: test.waits})
			test.do(s)
			s.after(time.Second)
			s.says("a", api.Drained, noon)
			s.expect(t, test.want)
		})
	}
}

// TestUnconfirmed: pods past their grace period may be on a drained node that has
// been unreachable for as long as the rules say, and no others.
func TestUnconfirmed(t *testing.T) {
	for name, test := range map[string]struct {
		after       time.Duration
		status      corev1.ConditionStatus
		unreachable time.Duration
		leaves      bool
		want        invariant.ID
	}{
		"for long":         {after: time.Hour, status: corev1.ConditionUnknown, unreachable: 2 * time.Hour, leaves: true},
		"by default":       {status: corev1.ConditionUnknown, unreachable: 2 * time.Hour, leaves: true, want: "I5"},
		"not for so long":  {after: time.Hour, status: corev1.ConditionUnknown, unreachable: time.Minute, leaves: true, want: "I5"},
		"not Ready":        {after: time.Hour, status: corev1.ConditionFalse, unreachable: 2 * time.Hour, leaves: true, want: "I5"},
		"a pod that stays": {after: time.Hour, status: corev1.ConditionUnknown, unreachable: 2 * time.Hour, want: "I5"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{UnreachableAfter: test.after})
			pod := s.pod("p", "a")
			if test.leaves {
				s.terminate(pod)
			}
			s.change("a", invariant.Others, func(n *corev1.Node) {
				n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: test.status, LastTransitionTime: metav1.NewTime(s.now.Add(-test.unreachable))}}
			})
			s.after(time.Second)
			s.says("a", api.Drained, noon)
			s.expect(t, test.want)
		})
	}
}
