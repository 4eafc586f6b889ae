package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
)

// deadlock is a rule about a condition.
var deadlock = MarkRule{Kind: ConditionMark, Name: "Deadlock", Value: "True", For: 10 * time.Minute, MaxNodes: 2, MinInterval: 24 * time.Hour}

const firstRequest = "condition/Deadlock/2030-01-31T11:00:00Z"

// marked adds a node that has been marked since an hour ago for the first rule, and
// for no other.
func (s scene) marked(name string, annotations ...string) *Node {
	n := s.node(name, annotations...)
	n.Marks = make([]Mark, len(s.Config.Requests))
	for i := range n.Marks {
		n.Marks[i].Cleared = true
	}
	n.Marks[0] = Mark{Present: true, Value: "True", Since: noon.Add(-time.Hour)}
	return n
}

func newMarked(rules ...MarkRule) scene {
	s := newScene()
	s.Config.Requests = rules
	return s
}

// markPlan is the plan's changes at a node: key=value, or key- for one that is
// removed.
func markPlan(p *Plan, name string) []string {
	got := []string{}
	for _, m := range p.Marks {
		if m.Node.Name != name {
			continue
		}
		for key, value := range m.Annotations {
			key = strings.TrimPrefix(key, api.Prefix)
			if value == nil {
				got = append(got, key+"-")
				continue
			}
			got = append(got, key+"="+*value)
		}
	}
	slices.Sort(got)
	return got
}

// write carries the changes of the plan out.
func (s scene) write(p *Plan) {
	for _, m := range p.Marks {
		for key, value := range m.Annotations {
			delete(m.Node.Annotations, key)
			if value != nil {
				m.Node.Annotations[key] = *value
			}
		}
	}
}

func record(id string, ago time.Duration, cleared ...time.Duration) api.MarkRecord {
	r := api.MarkRecord{Request: id, RequestedAt: noon.Add(-ago)}
	if len(cleared) > 0 {
		at := noon.Add(-cleared[0])
		r.ClearedAt = &at
	}
	return r
}

func records(id string, ago time.Duration, cleared ...time.Duration) string {
	return api.Marks{"condition/Deadlock": record(id, ago, cleared...)}.Format()
}

// TestMarkRequests: when the drain of a marked node is requested.
func TestMarkRequests(t *testing.T) {
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		change func(*scene, *Node)
		asks   bool
		wake   time.Duration
	}{
		"marked for long enough": {func(*scene, *Node) {}, true, 0},
		"just long enough":       {func(_ *scene, n *Node) { n.Marks[0].Since = noon.Add(-10 * time.Minute) }, true, 0},
		"not long enough":        {func(_ *scene, n *Node) { n.Marks[0].Since = noon.Add(-10*time.Minute + time.Second) }, false, time.Second},
		"a clock ahead":          {func(_ *scene, n *Node) { n.Marks[0].Since = noon.Add(time.Minute) }, false, 11 * time.Minute},
		"not marked":             {func(_ *scene, n *Node) { n.Marks[0] = Mark{Cleared: true} }, false, 0},
		"unknown":                {func(_ *scene, n *Node) { n.Marks[0] = Mark{} }, false, 0},
		"not served":             {func(_ *scene, n *Node) { n.Served = false }, false, 0},
		"being deleted":          {func(_ *scene, n *Node) { n.Deleting = true }, false, 0},
		"somebody's request":     {func(_ *scene, n *Node) { n.Annotations[api.DrainAnnotation] = "CHG-1" }, false, 0},
		"somebody said no":       {func(_ *scene, n *Node) { n.Annotations[api.DrainAnnotation] = "false" }, false, 0},
		"everything is paused":   {func(s *scene, _ *Node) { s.Control.Paused = incident }, false, 0},
		"its request was removed": {func(_ *scene, n *Node) {
			n.Annotations[api.MarksAnnotation] = records("condition/Deadlock/x", 2*day)
		}, false, 0},
		"removed and cleared since": {func(_ *scene, n *Node) {
			n.Annotations[api.MarksAnnotation] = records("condition/Deadlock/x", 2*day, day)
		}, true, 0},
		"too soon after the last": {func(_ *scene, n *Node) {
			n.Annotations[api.MarksAnnotation] = records("condition/Deadlock/x", day-time.Hour, 2*time.Hour)
		}, false, time.Hour},
		"its records cannot be read": {func(_ *scene, n *Node) { n.Annotations[api.MarksAnnotation] = "{" }, false, 0},
		"latched":                    {func(_ *scene, n *Node) { n.Annotations[api.LatchedAnnotation] = "label/x, condition/Deadlock" }, false, 0},
		"another rule is latched":    {func(_ *scene, n *Node) { n.Annotations[api.LatchedAnnotation] = "label/x" }, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMarked(deadlock)
			n := s.marked("n")
			test.change(&s, n)
			p := Make(s.Snapshot)
			asks := slices.ContainsFunc(markPlan(&p, "n"), func(c string) bool { return strings.HasPrefix(c, "drain=") })
			if asks != test.asks {
				t.Errorf("the plan changes %q", markPlan(&p, "n"))
			}
			if test.wake > 0 && !p.Wake.Equal(noon.Add(test.wake)) {
				t.Errorf("the next plan is made at %v, want %v", p.Wake, noon.Add(test.wake))
			}
		})
	}
}

// TestMarkRequest: what a request says, and that it is a valid one.
func TestMarkRequest(t *testing.T) {
	rule := deadlock
	rule.StartPaused = true
	s := newMarked(rule)
	n := s.marked("n")
	p := Make(s.Snapshot)
	want := []string{
		"drain=" + firstRequest,
		`marks={"condition/Deadlock":{"request":"` + firstRequest + `","requestedAt":"2030-01-31T12:00:00Z"}}`,
		"paused=true", "reason=condition Deadlock=True since 2030-01-31T11:00:00Z", "requested-by=drainer, by its rule condition/Deadlock",
	}
	if got := markPlan(&p, "n"); !slices.Equal(got, want) {
		t.Errorf("the plan changes %q, want %q", got, want)
	}
	s.write(&p)
	if r, asked, err := api.RequestOf(n.Annotations); err != nil || !asked || !r.Paused || r.ID != firstRequest {
		t.Errorf("the request is %+v, %v, %v", r, asked, err)
	}
	if p := Make(s.Snapshot); len(p.Marks) > 0 {
		t.Errorf("once written, the plan changes %q", markPlan(&p, "n"))
	}
}

// TestMarkRelease: when a rule removes its request.
func TestMarkRelease(t *testing.T) {
	other := MarkRule{Kind: LabelMark, Name: "broken", For: time.Minute, MaxNodes: 2, ReleaseWhenCleared: true}
	for name, test := range map[string]struct {
		never  bool
		change func(*Node)
		want   []string
	}{
		"cleared for long enough": {false, func(*Node) {}, []string{"drain-", "paused-", "reason-"}},
		"never":                   {true, func(*Node) {}, nil},
		"not long enough": {false, func(n *Node) {
			n.Annotations[api.MarksAnnotation] = records(firstRequest, time.Hour, 9*time.Minute)
		}, nil},
		"just cleared": {false, func(n *Node) { n.Annotations[api.MarksAnnotation] = records(firstRequest, time.Hour) }, []string{
			"marks=" + records(firstRequest, time.Hour, 0),
		}},
		"unknown":         {false, func(n *Node) { n.Marks[0] = Mark{} }, []string{"marks=" + records(firstRequest, time.Hour)}},
		"marked again":    {false, func(n *Node) { n.Marks[0] = Mark{Present: true, Since: noon} }, []string{"marks=" + records(firstRequest, time.Hour)}},
		"somebody else's": {false, func(n *Node) { n.Annotations[api.DrainAnnotation] = "CHG-1" }, nil},
		"like the rule's, but nobody knows it": {false, func(n *Node) {
			n.Annotations[api.DrainAnnotation] = "condition/Deadlock/2030-01-31T09:00:00Z"
		}, nil},
		"another rule finds it marked": {false, func(n *Node) { n.Marks[1] = Mark{Present: true, Since: noon} }, nil},
		"another rule wanted it, too": {false, func(n *Node) {
			n.Annotations[api.MarksAnnotation] = api.Marks{
				"condition/Deadlock": record(firstRequest, time.Hour, 20*time.Minute), "label/gone": record(firstRequest, time.Hour),
			}.Format()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rule := deadlock
			rule.ReleaseWhenCleared = !test.never
			s := newMarked(rule, other)
			n := s.marked("n", api.DrainAnnotation, firstRequest, api.PausedAnnotation, "false", api.ReasonAnnotation, "x",
				api.MarksAnnotation, records(firstRequest, time.Hour, 20*time.Minute))
			n.Marks[0] = Mark{Cleared: true}
			test.change(n)
			p := Make(s.Snapshot)
			if got := markPlan(&p, "n"); !slices.Equal(got, test.want) && len(got)+len(test.want) > 0 {
				t.Errorf("the plan changes %q, want %q", got, test.want)
			}
		})
	}
}

// TestMarkRecords: a record is dropped once it holds nothing back.
func TestMarkRecords(t *testing.T) {
	s := newMarked(deadlock)
	n := s.marked("n", api.MarksAnnotation, records(firstRequest, 25*time.Hour))
	n.Marks[0] = Mark{Cleared: true}
	p := Make(s.Snapshot)
	if got := markPlan(&p, "n"); !slices.Equal(got, []string{"marks=" + records(firstRequest, 25*time.Hour, 0)}) {
		t.Errorf("cleared, the plan changes %q", got)
	}
	s.write(&p)
	p = Make(s.Snapshot)
	if got := markPlan(&p, "n"); !slices.Equal(got, []string{"marks-"}) {
		t.Errorf("after the interval, the plan changes %q", got)
	}
}

// TestTwoRulesOnOneNode: the second joins the request of the first, so that both are
// silent once somebody removes it.
func TestTwoRulesOnOneNode(t *testing.T) {
	label := MarkRule{Kind: LabelMark, Name: "broken", For: time.Minute, MaxNodes: 1, MinInterval: time.Hour}
	s := newMarked(deadlock, label)
	n := s.marked("n")
	p := Make(s.Snapshot)
	s.write(&p)
	n.Marks[1] = Mark{Present: true, Since: noon.Add(-2 * time.Minute)}
	p = Make(s.Snapshot)
	s.write(&p)
	if got, err := api.ParseMarks(n.Annotations[api.MarksAnnotation]); err != nil || len(got) != 2 || got["label/broken"].Request != firstRequest {
		t.Errorf("the node has the records %+v, %v", got, err)
	}
	for i, state := range p.MarkStates {
		if state.Requested+i != 1 || state.Latched {
			t.Errorf("rule %s: %+v", state.Rule, state)
		}
	}
	delete(n.Annotations, api.DrainAnnotation)
	p = Make(s.Snapshot)
	if got := markPlan(&p, "n"); len(got) > 0 || p.MarkStates[0].Silent != 1 || p.MarkStates[0].Marked != 1 || p.MarkStates[1].Silent != 1 || p.MarkStates[1].Marked != 1 {
		t.Errorf("once cancelled, the plan changes %q: %+v", got, p.MarkStates)
	}
}

// TestMarksOf: what marks a node, by its rule.
func TestMarksOf(t *testing.T) {
	at := metav1.NewTime(noon)
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"l": "1"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "t", Value: "1", Effect: corev1.TaintEffectNoSchedule}, {Key: "u", TimeAdded: &at}}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: "C", Status: corev1.ConditionTrue, LastTransitionTime: at}, {Type: "U", Status: corev1.ConditionUnknown, LastTransitionTime: at},
		}},
	}
	for _, test := range []struct {
		rule MarkRule
		want Mark
	}{
		{MarkRule{Kind: ConditionMark, Name: "C", Value: "True"}, Mark{Present: true, Value: "True", Since: noon}},
		{MarkRule{Kind: ConditionMark, Name: "C", Value: "False"}, Mark{Cleared: true}},
		{MarkRule{Kind: ConditionMark, Name: "U", Value: "True"}, Mark{}},
		{MarkRule{Kind: ConditionMark, Name: "U", Value: "Unknown"}, Mark{Present: true, Value: "Unknown", Since: noon}},
		{MarkRule{Kind: ConditionMark, Name: "none", Value: "True"}, Mark{Cleared: true}},
		{MarkRule{Kind: TaintMark, Name: "t"}, Mark{Present: true, Value: "1"}},
		{MarkRule{Kind: TaintMark, Name: "t", Value: "2"}, Mark{Cleared: true}},
		{MarkRule{Kind: TaintMark, Name: "u"}, Mark{Present: true, Since: noon}},
		{MarkRule{Kind: LabelMark, Name: "l"}, Mark{Present: true, Value: "1"}},
		{MarkRule{Kind: LabelMark, Name: "l", Value: "2"}, Mark{Cleared: true}},
		{MarkRule{Kind: LabelMark, Name: "none"}, Mark{Cleared: true}},
	} {
		got := marksOf([]MarkRule{test.rule}, node)[0]
		if got.Since = got.Since.UTC(); got.Since.IsZero() {
			got.Since = time.Time{}
		}
		if got != test.want {
			t.Errorf("%s=%s: %+v, want %+v", test.rule.Key(), test.rule.Value, got, test.want)
		}
	}
}

// TestMarkFirstSeen: where the API tells no time, it counts from when the process
// saw the mark first.
func TestMarkFirstSeen(t *testing.T) {
	s := newMarked(MarkRule{Kind: LabelMark, Name: "broken", For: 10 * time.Minute, MaxNodes: 1})
	s.marked("n").Marks[0].Since = time.Time{}
	for _, step := range []struct {
		after time.Duration
		asks  bool
	}{{0, false}, {9 * time.Minute, false}, {10 * time.Minute, true}} {
		s.Now = noon.Add(step.after)
		p, _ := s.Memory.Plan(s.Snapshot, nil)
		if got := markPlan(&p, "n"); (len(got) > 0) != step.asks {
			t.Errorf("after %v the plan changes %q", step.after, got)
		}
	}
}
