package invariant_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/invariant"
)

const rule = "label/broken"

// unknown is the value of a label that says nothing.
const unknown = "unknown"

// marking is a scene with nodes a, b and c, and for each change a rule about their
// label broken.
func marking(changes ...func(*invariant.MarkRule)) *scene {
	var rules []invariant.MarkRule
	for _, change := range changes {
		r := invariant.MarkRule{Name: rule, For: 10 * time.Second, MinInterval: time.Hour, MaxNodes: 1, Marks: labelled("broken")}
		if change != nil {
			change(&r)
		}
		rules = append(rules, r)
	}
	s := newScene(invariant.Rules{Marked: rules})
	s.Started()
	for _, n := range []string{"a", "b", "c"} {
		s.change(n, invariant.Others, func(*corev1.Node) {})
	}
	return s
}

// labelled finds nodes with the label marked.
func labelled(key string) func(*corev1.Node) invariant.Marked {
	return func(n *corev1.Node) invariant.Marked {
		switch n.Labels[key] {
		case "":
			return invariant.Unmarked
		case unknown:
			return invariant.MarkUnknown
		default:
			return invariant.IsMarked
		}
	}
}

// asks lets drainer write the request of the rule.
func (s *scene) asks(node string) {
	s.change(node, invariant.Daemon, func(n *corev1.Node) {
		id := api.MarkRequest(rule, s.now)
		n.Annotations[api.DrainAnnotation] = id
		n.Annotations[api.MarksAnnotation] = api.Marks{rule: {Request: id, RequestedAt: s.now.UTC().Truncate(time.Second)}}.Format()
	})
}

func (s *scene) latches(node string, by invariant.Actor, yes bool) {
	s.change(node, by, func(n *corev1.Node) {
		if delete(n.Annotations, api.LatchedAnnotation); yes {
			n.Annotations[api.LatchedAnnotation] = rule
		}
	})
}

// removes lets drainer remove the request.
func (s *scene) removes(node string) {
	s.change(node, invariant.Daemon, func(n *corev1.Node) { delete(n.Annotations, api.DrainAnnotation) })
}

// TestMarkRequests: a rule requests the drain of a node that has been marked for long
// enough, within its limits, once.
func TestMarkRequests(t *testing.T) {
	asksAgain := func(s *scene, after time.Duration) {
		s.asks("a")
		s.after(time.Minute)
		s.unannotate("a", api.DrainAnnotation)
		s.after(after)
		s.asks("a")
	}
	for name, test := range map[string]struct {
		rule func(*invariant.MarkRule)
		do   func(*scene)
		want invariant.ID
	}{
		"marked for long": {do: func(s *scene) { s.asks("a") }},
		"not for long":    {rule: func(r *invariant.MarkRule) { r.For = 2 * time.Minute }, do: func(s *scene) { s.asks("a") }, want: "I9"},
		"not marked":      {do: func(s *scene) { s.asks("b") }, want: "I9"},
		"cleared":         {do: func(s *scene) { s.is("a", "broken", ""); s.asks("a") }, want: "I9"},
		"a person has":    {do: func(s *scene) { s.annotate("a", api.DrainAnnotation, "false"); s.asks("a") }, want: "I9"},
		"nothing is noted": {do: func(s *scene) {
			s.change("a", invariant.Daemon, func(n *corev1.Node) { n.Annotations[api.DrainAnnotation] = rule + "/x" })
		}, want: "I9"},
		"it does not pause": {rule: func(r *invariant.MarkRule) { r.Paused = true }, do: func(s *scene) { s.asks("a") }, want: "I9"},
		"another is marked": {do: func(s *scene) { s.is("b", "broken", "yes"); s.after(5 * time.Second); s.asks("a") }, want: "I9"},
		"another just now":  {do: func(s *scene) { s.is("b", "broken", "yes"); s.asks("a") }},
		"another was drained": {do: func(s *scene) {
			s.asks("a")
			s.is("a", "broken", "")
			s.is("b", "broken", "yes")
			s.after(time.Minute)
			s.asks("b")
		}, want: "I9"},
		"latched": {do: func(s *scene) { s.latches("c", invariant.Daemon, true); s.after(5 * time.Second); s.asks("a") }, want: "I9"},
		"resumed": {do: func(s *scene) {
			s.latches("c", invariant.Daemon, true)
			s.latches("c", invariant.Others, false)
			s.after(5 * time.Second)
			s.asks("a")
		}},
		"drainer resumes it":   {do: func(s *scene) { s.latches("c", invariant.Daemon, true); s.latches("c", invariant.Daemon, false) }, want: "I9"},
		"everything is paused": {do: func(s *scene) { s.Paused(s.now, true); s.after(5 * time.Second); s.asks("a") }, want: "I9"},
		"somebody removed it":  {do: func(s *scene) { asksAgain(s, 2*time.Hour) }, want: "I9"},
		"somebody replaced it": {do: func(s *scene) {
			s.asks("a")
			s.annotate("a", api.DrainAnnotation, "r")
			s.unannotate("a", api.DrainAnnotation)
			s.after(2 * time.Hour)
			s.asks("a")
		}, want: "I9"},
		"again, but it cleared": {do: func(s *scene) {
			s.asks("a")
			s.unannotate("a", api.DrainAnnotation)
			s.is("a", "broken", "")
			s.is("a", "broken", "yes")
			s.after(2 * time.Hour)
			s.asks("a")
		}},
		"too soon, but it cleared": {do: func(s *scene) {
			s.asks("a")
			s.unannotate("a", api.DrainAnnotation)
			s.is("a", "broken", "")
			s.is("a", "broken", "yes")
			s.after(time.Minute)
			s.asks("a")
		}, want: "I9"},
	} {
		t.Run(name, func(t *testing.T) {
			s := marking(test.rule)
			s.is("a", "broken", "yes")
			s.after(time.Minute)
			test.do(s)
			s.expect(t, test.want)
		})
	}
}

// TestMarkReleases: drainer removes the request of a rule that says so, once the mark
// has been cleared for long enough, and no other.
func TestMarkReleases(t *testing.T) {
	whenCleared := func(r *invariant.MarkRule) { r.WhenCleared = true }
	for name, test := range map[string]struct {
		rule    func(*invariant.MarkRule)
		cleared time.Duration
		do      func(*scene)
		want    invariant.ID
	}{
		"cleared":           {whenCleared, time.Minute, func(s *scene) { s.removes("a") }, ""},
		"not for long":      {whenCleared, time.Second, func(s *scene) { s.removes("a") }, "I9"},
		"marked again":      {whenCleared, time.Minute, func(s *scene) { s.is("a", "broken", "yes"); s.removes("a") }, "I9"},
		"never":             {nil, time.Minute, func(s *scene) { s.removes("a") }, "I9"},
		"another's request": {whenCleared, time.Minute, func(s *scene) { s.annotate("a", api.DrainAnnotation, "r"); s.removes("a") }, "I9"},
	} {
		t.Run(name, func(t *testing.T) {
			s := marking(test.rule)
			s.is("a", "broken", "yes")
			s.after(time.Minute)
			s.asks("a")
			s.is("a", "broken", "")
			s.after(test.cleared)
			test.do(s)
			s.expect(t, test.want)
		})
	}
}

// TestMarksFinish: in the end a rule that finds too many nodes is latched, and another
// has requested the drains of those that are marked.
func TestMarksFinish(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*scene)
		want invariant.ID
	}{
		"nothing":       {do: func(*scene) {}},
		"not requested": {do: func(s *scene) { s.is("a", "broken", "yes") }, want: "I6"},
		"exempt":        {do: func(s *scene) { s.is("a", "broken", "yes"); s.annotate("a", api.DrainAnnotation, "false") }},
		"removed": {do: func(s *scene) {
			s.is("a", "broken", "yes")
			s.after(time.Minute)
			s.asks("a")
			s.unannotate("a", api.DrainAnnotation)
		}},
		"too many": {do: func(s *scene) { s.is("a", "broken", "yes"); s.is("b", "broken", "yes") }, want: "I9"},
		"too many, latched": {do: func(s *scene) {
			s.is("a", "broken", "yes")
			s.is("b", "broken", "yes")
			s.latches("a", invariant.Daemon, true)
		}},
		"one that is paused": {do: func(s *scene) { s.is("a", "broken", "yes"); s.Paused(s.now, true) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := marking(nil)
			test.do(s)
			s.after(5 * time.Minute)
			s.Finish(s.now)
			s.expect(t, test.want)
		})
	}
}

// TestMarksFinishJoined: a rule may have joined the request of another that somebody
// removed later, and then makes none until its mark clears.
func TestMarksFinishJoined(t *testing.T) {
	for name, test := range map[string]struct {
		// worn is the label when the request is removed.
		worn  string
		after func(*scene)
		want  invariant.ID
	}{
		"joined":        {"yes", func(*scene) {}, ""},
		"unknown":       {unknown, func(s *scene) { s.is("a", "worn", "yes") }, ""},
		"cleared since": {"yes", func(s *scene) { s.is("a", "worn", ""); s.is("a", "worn", "yes") }, "I6"},
		"marked since":  {"", func(s *scene) { s.is("a", "worn", "yes") }, "I6"},
	} {
		t.Run(name, func(t *testing.T) {
			s := marking(nil, func(r *invariant.MarkRule) { r.Name, r.Marks = "label/worn", labelled("worn") })
			s.change("a", invariant.Others, func(n *corev1.Node) { n.Labels = map[string]string{"broken": "yes", "worn": test.worn} })
			s.after(time.Minute)
			s.asks("a")
			s.unannotate("a", api.DrainAnnotation)
			test.after(s)
			s.after(5 * time.Minute)
			s.Finish(s.now)
			s.expect(t, test.want)
		})
	}
}

// TestCountsUnconfirmed: a drained node says of how many pods nothing confirms that
// they have ended.
func TestCountsUnconfirmed(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration
		gone  bool
		said  int
		want  invariant.ID
	}{
		"all of them":   {after: time.Minute, said: 2},
		"one is gone":   {after: time.Minute, gone: true, said: 1},
		"both are gone": {after: time.Minute, gone: true, said: 0, want: "I5"},
		"too few":       {after: time.Minute, said: 1, want: "I5"},
		"too many":      {after: time.Minute, said: 3, want: "I5"},
		"not to ignore": {said: 1, want: "I5"},
	} {
		t.Run(name, func(t *testing.T) {
			s := draining(invariant.Rules{UnreachableAfter: test.after})
			if test.after > 0 {
				s.terminate(s.pod("p", "a"))
				s.terminate(s.pod("q", "a"))
			}
			s.change("a", invariant.Others, func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown })
			s.after(time.Hour)
			s.Listed(s.now, "a")
			if test.gone {
				s.Pod(s.now, s.pod("p", "a"), true)
			}
			s.change("a", invariant.Daemon, func(n *corev1.Node) {
				n.Annotations[api.DrainedAnnotation] = "r"
				n.Annotations[api.StatusAnnotation] = api.Status{Request: "r", Phase: api.Drained, Pods: api.PodCounts{Unconfirmed: test.said}}.Format()
			})
			s.expect(t, test.want)
		})
	}
}
