package invariant_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
)

// disappears says that a node does so, so long from now.
func (s *scene) disappears(node string, in time.Duration) {
	s.annotate(node, api.DeadlineAnnotation, s.now.Add(in).Format(time.RFC3339))
}

// TestDeadlineEvicts: pauses, windows and rules do not hold pods of a node that
// disappears, until five minutes later. A pause of everything does.
func TestDeadlineEvicts(t *testing.T) {
	window := invariant.Rules{Hours: invariant.Hours{Evicts: until5}}
	waits := invariant.Rules{Pods: func(*corev1.Pod) invariant.Verdict { return invariant.Verdict{Action: invariant.Awaits} }}
	ordered := invariant.Rules{Pods: func(p *corev1.Pod) invariant.Verdict {
		if p.Name == "p" {
			return invariant.Verdict{Action: invariant.Evicts, Order: 1}
		}
		return invariant.Verdict{Action: invariant.Evicts}
	}}
	blocks := invariant.Rules{Pods: func(*corev1.Pod) invariant.Verdict { return invariant.Verdict{Action: invariant.Blocks} }}
	paused := func(s *scene) { s.annotate("a", api.PausedAnnotation, "true") }
	for name, test := range map[string]struct {
		rules   invariant.Rules
		do      func(*scene)
		without invariant.ID // What is violated without a deadline.
		with    invariant.ID // What is in spite of it.
	}{
		"paused":             {do: paused, without: "I2"},
		"outside of windows": {rules: window, do: func(s *scene) { s.after(time.Hour) }, without: "I2"},
		"a job":              {rules: waits, do: func(*scene) {}, without: "I1"},
		"an order":           {rules: ordered, do: func(s *scene) { s.pod("before", "a") }, without: "I1"},
		"gave up":            {rules: invariant.Rules{Limits: invariant.Limits{Timeout: time.Second, OnTimeout: api.Stop}}, do: func(*scene) {}},
		"a block":            {rules: blocks, do: func(*scene) {}, without: "I1", with: "I1"},
		"everything paused":  {do: func(s *scene) { s.Paused(s.now, true) }, without: "I2", with: "I2"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []time.Duration{0, time.Minute, -4 * time.Minute, -6 * time.Minute} {
				s := draining(test.rules)
				p := s.pod("p", "a")
				test.do(s)
				want := test.with
				if in == 0 || in == -6*time.Minute {
					want = test.without
				}
				if in != 0 {
					s.disappears("a", in)
				}
				s.after(2 * time.Second)
				s.evict(p, 201)
				s.expect(t, want)
			}
		})
	}
}

// TestDeadlineOver: a pause counts again five minutes after the deadline, and a moment
// after the deadline was withdrawn.
func TestDeadlineOver(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"just before":        {do: func(s *scene) { s.after(5*time.Minute - time.Second) }},
		"a moment later":     {do: func(s *scene) { s.after(5*time.Minute + time.Second) }},
		"later":              {do: func(s *scene) { s.after(5*time.Minute + time.Second + 1) }, want: "I2"},
		"withdrawn":          {do: func(s *scene) { s.unannotate("a", api.DeadlineAnnotation); s.after(time.Second + 1) }, want: "I2"},
		"withdrawn just now": {do: func(s *scene) { s.unannotate("a", api.DeadlineAnnotation); s.after(time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{})
			p := s.pod("p", "a")
			s.annotate("a", api.PausedAnnotation, "true")
			s.annotate("a", api.DeadlineAnnotation, s.now.Format(time.RFC3339))
			test.do(s)
			s.evict(p, 201)
			s.expect(t, test.want)
		})
	}
}

// TestDeadlineBegins: a drain with a deadline begins past limits and windows, not past a
// pause of everything, and counts for the others.
func TestDeadlineBegins(t *testing.T) {
	closed := invariant.Rules{Hours: invariant.Hours{Begins: func(time.Time, *corev1.Node) bool { return false }}}
	later := func(s *scene) { s.after(5 * time.Second) }
	for name, test := range map[string]struct {
		rules invariant.Rules
		do    func(*scene)
		want  invariant.ID
	}{
		"past the slots": {do: later},
		"past a window":  {rules: closed, do: later},
		"the last node": {do: func(s *scene) {
			s.change("c", invariant.Others, unready)
			s.change("d", invariant.Others, unready)
			s.after(time.Minute)
		}},
		"an old deadline":      {do: func(s *scene) { s.disappears("b", -6*time.Minute); later(s) }, want: "I9"},
		"withdrawn just now":   {do: func(s *scene) { later(s); s.unannotate("b", api.DeadlineAnnotation) }},
		"withdrawn":            {do: func(s *scene) { s.unannotate("b", api.DeadlineAnnotation); later(s) }, want: "I9"},
		"everything is paused": {do: func(s *scene) { s.Paused(s.now, true); later(s) }, want: "I9"},
		"another begins later": {do: func(s *scene) { later(s); s.says("b", api.Draining, s.now); s.after(time.Minute); s.begin("c") }, want: "I9"},
		"another began before": {do: func(s *scene) {
			s.release("a")
			s.annotate("c", api.DrainAnnotation, "r")
			later(s)
			s.says("b", api.Draining, s.now)
			s.says("c", api.Draining, s.now)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(test.rules)
			s.change("c", invariant.Others, func(*corev1.Node) {})
			s.change("d", invariant.Others, func(*corev1.Node) {})
			s.disappears("b", time.Minute)
			s.annotate("b", api.DrainAnnotation, "r")
			test.do(s)
			s.says("b", api.Draining, s.now)
			s.expect(t, test.want)
		})
	}
}

// TestDeadlineDeletes: a pod is deleted once just its grace period is left, at the same
// time as others of its budget, and no pod that is protected.
func TestDeadlineDeletes(t *testing.T) {
	allowed := invariant.Rules{AllowDelete: true, NeverDelete: []string{"kube-system"}}
	for name, test := range map[string]struct {
		rules invariant.Rules
		left  time.Duration
		shape func(*corev1.Pod)
		want  invariant.ID
	}{
		"just in time":     {rules: allowed, left: 30 * time.Second},
		"after the end":    {rules: allowed, left: -time.Minute},
		"too early":        {rules: allowed, left: 31 * time.Second, want: "I1"},
		"a shorter grace":  {rules: allowed, left: 8 * time.Second, shape: func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = new(int64(7)) }, want: "I1"},
		"in that time":     {rules: allowed, left: 7 * time.Second, shape: func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = new(int64(7)) }},
		"long after":       {rules: allowed, left: -5*time.Minute - 2*time.Second, want: "I1"},
		"not allowed":      {left: time.Second, want: "I1"},
		"a bare pod":       {rules: invariant.Rules{AllowDelete: true, BarePods: invariant.EvictBarePods}, left: time.Second, shape: bare, want: "I3"},
		"a namespace that": {rules: allowed, left: time.Second, shape: func(p *corev1.Pod) { p.Namespace = "kube-system" }, want: "I3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(test.rules)
			s.budget("web", 3, 0)
			s.disappears("a", test.left+5*time.Second)
			shape := func(*corev1.Pod) {}
			if test.shape != nil {
				shape = test.shape
			}
			pods := []*corev1.Pod{s.pod("p", "a", shape), s.pod("q", "a", shape)}
			s.after(5 * time.Second)
			for _, p := range pods {
				s.evict(p, 429)
				e := invariant.Eviction{Pod: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, UID: p.UID, By: invariant.Daemon, Deletes: true, Grace: 30}
				s.Received(s.now, e)
				s.Handled(s.now, e, 200)
			}
			s.expect(t, test.want)
		})
	}
}
