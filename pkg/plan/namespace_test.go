package plan

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestNamespaceSelector: a rule that looks at the labels of namespaces decides by
// them, and holds the pods of one that has not been seen: what their rule might say
// cannot be undone.
func TestNamespaceSelector(t *testing.T) {
	team := func(r Rule) *Rule { r.Match.NamespaceLabels = mustSelect("team=a"); return &r }
	block, ignore, evict := team(Rule{Name: "b", Action: BlockPod}), team(Rule{Name: "i", Action: IgnorePod}), team(Rule{Name: "e", Action: EvictPod})
	of := func(set labels.Set) map[string]labels.Set {
		return map[string]labels.Set{"ns": set, "other": {"team": "b"}}
	}
	unseen := map[string]labels.Set{"other": {"team": "a"}}
	finished := func(p *Pod) { p.Phase, p.Ready = corev1.PodSucceeded, false }
	elsewhere := *ignore
	elsewhere.Match.Pools = []string{"x"}
	for name, test := range map[string]struct {
		rules      []*Rule
		namespaces map[string]labels.Set
		change     func(*Pod)
		state      State
		reason     Reason
		rule       string
	}{
		"matches, Block":               {rules: []*Rule{block}, namespaces: of(labels.Set{"team": "a"}), state: Blocked, reason: Policy, rule: "b"},
		"matches, Ignore":              {rules: []*Rule{ignore, block}, namespaces: of(labels.Set{"team": "a"}), state: Ignored},
		"another value":                {rules: []*Rule{block}, namespaces: of(labels.Set{"team": "b"}), state: Eligible},
		"no labels":                    {rules: []*Rule{ignore}, namespaces: of(labels.Set{}), state: Eligible},
		"the next rule":                {rules: []*Rule{ignore, {Name: "n", Action: BlockPod}}, namespaces: of(labels.Set{}), state: Blocked, reason: Policy, rule: "n"},
		"not seen, Ignore":             {rules: []*Rule{ignore}, namespaces: unseen, state: Blocked, reason: Policy, rule: "i"},
		"not seen, Evict":              {rules: []*Rule{evict}, namespaces: unseen, state: Blocked, reason: Policy, rule: "e"},
		"not seen, finished":           {rules: []*Rule{ignore}, namespaces: unseen, change: finished, state: Blocked, reason: Policy, rule: "i"},
		"not seen, in another pool":    {rules: []*Rule{&elsewhere}, namespaces: unseen, state: Eligible},
		"not seen, after another rule": {rules: []*Rule{{Name: "n", Action: EvictPod}, ignore}, namespaces: unseen, state: Eligible},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n")
			s.NamespaceLabels = test.namespaces
			pod := s.pod("n", "web-1", under(test.rules...))
			if test.change != nil {
				test.change(pod)
			}
			plan := Make(s.Snapshot)
			got := planOf(t, plan, "n").Pods[0]
			if got.State != test.state || got.Reason != test.reason || got.Rule() != test.rule {
				t.Errorf("state %s, reason %q, rule %q; want %s, %q, %q", got.State, got.Reason, got.Rule(), test.state, test.reason, test.rule)
			}
			if sent := slices.Contains(granted(plan), "web-1"); sent != (test.state == Eligible) {
				t.Errorf("sent: %v", sent)
			}
			around := Surroundings{NamespaceLabels: s.NamespaceLabels}
			if s.Config.IsTarget(pod, around) != (test.state != Ignored) {
				t.Errorf("a live list would take it for a target: %v", test.state == Ignored)
			}
		})
	}
}

// TestUnseenNamespace: a pod that waits for its namespace to be seen says so, and the
// drain does not count as one that cannot finish.
func TestUnseenNamespace(t *testing.T) {
	s := newScene()
	s.draining("n")
	rule := &Rule{Name: "team-a", Match: PodMatch{NamespaceLabels: mustSelect("team=a")}, Action: IgnorePod}
	pod := s.pod("n", "web-1", under(rule))
	n := planOf(t, Make(s.Snapshot), "n")
	if n.Facts.Unfinishable {
		t.Error("the drain counts as one that cannot finish")
	}
	const want = "because rule team-a depends on the labels of namespace ns, which drainer has not seen yet"
	if message := n.Report().Message; !strings.Contains(message, want) {
		t.Errorf("the message is %q, want %q", message, want)
	}
	if fix := n.Pods[0].Fix(); !strings.Contains(fix, "list and watch namespaces") {
		t.Errorf("to fix it: %q", fix)
	}
	rule.Order, rule.Action = -3, EvictPod
	s.pod("n", "db-1")
	if got := granted(Make(s.Snapshot)); len(got) > 0 {
		t.Errorf("sent are %v, want none: that of the namespace may have to leave first", got)
	}
	if kept := Foresee(s.Snapshot, s.Nodes[0], []*Pod{pod}); len(kept) > 0 {
		t.Errorf("of a queued node %v are kept", kept)
	}
}

// TestTrustedByLabels: where the labels of the namespace say so, the annotations of a
// pod count, and as soon as they do not, no longer. By name and labels, both have to
// match.
func TestTrustedByLabels(t *testing.T) {
	const action, order = "drainer.dev/pod-action", "drainer.dev/pod-order"
	trusted, plain := map[string]labels.Set{"ns": {"trusted": "yes"}}, map[string]labels.Set{"ns": {}}
	for name, test := range map[string]struct {
		trust       Rules
		annotations map[string]string
		namespaces  map[string]labels.Set
		state       State
		reason      Reason
		ignored     bool // the annotations do not count, and the node says so
	}{
		"trusted":                {annotations: map[string]string{action: "Ignore"}, namespaces: trusted, state: Ignored},
		"order alone":            {annotations: map[string]string{order: "3"}, namespaces: trusted, state: Blocked, reason: Order},
		"cannot be read":         {annotations: map[string]string{action: "ignore"}, namespaces: trusted, state: Blocked, reason: Policy},
		"not trusted":            {annotations: map[string]string{action: "Ignore", order: "3"}, namespaces: plain, state: Eligible, ignored: true},
		"not seen":               {annotations: map[string]string{action: "Ignore"}, state: Blocked, reason: Policy},
		"not seen, without any":  {state: Eligible},
		"another name":           {trust: Rules{Trusted: []string{"ops-*"}}, annotations: map[string]string{action: "Ignore"}, namespaces: trusted, state: Eligible, ignored: true},
		"the name, too":          {trust: Rules{Trusted: []string{"n*"}}, annotations: map[string]string{action: "Ignore"}, namespaces: trusted, state: Ignored},
		"the name, other labels": {trust: Rules{Trusted: []string{"n*"}}, annotations: map[string]string{action: "Ignore"}, namespaces: plain, state: Eligible, ignored: true},
	} {
		t.Run(name, func(t *testing.T) {
			rules := test.trust
			rules.TrustedLabels = mustSelect("trusted=yes")
			read := rules.PodOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Annotations: test.annotations}})
			s := newScene()
			s.draining("n")
			s.Config.Rules, s.NamespaceLabels = &rules, test.namespaces
			s.pod("n", "db-1")
			pod := s.pod("n", "web-1", func(p *Pod) { p.Claims, p.Instructions, p.Rules = read.Claims, read.Instructions, read.Rules })
			n := planOf(t, Make(s.Snapshot), "n")
			if got := n.Pods[1]; got.State != test.state || got.Reason != test.reason || got.unheard() != test.ignored {
				t.Errorf("state %s, reason %q, annotations ignored: %v; want %s, %q, %v", got.State, got.Reason, got.unheard(), test.state, test.reason, test.ignored)
			}
			if says := strings.Contains(n.Report().Message, "ignored the annotation"); says != test.ignored {
				t.Errorf("the message is %q", n.Report().Message)
			}
			if s.Config.IsTarget(pod, Surroundings{NamespaceLabels: test.namespaces}) != (test.state != Ignored) {
				t.Errorf("a live list would take it for a target: %v", test.state == Ignored)
			}
		})
	}
}

// TestLabelsOf: of a namespace those labels are kept that a selector reads.
func TestLabelsOf(t *testing.T) {
	rules := &Rules{TrustedLabels: mustSelect("trusted"), List: []*Rule{
		{Name: "a", Match: PodMatch{Namespaces: []string{"x"}}}, {Name: "b", Match: PodMatch{NamespaceLabels: mustSelect("team in (a,b),!legacy")}},
	}}
	namespace := corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{"team": "c", "trusted": "", "legacy": "1", "other": "x"}}}
	want := labels.Set{"team": "c", "trusted": "", "legacy": "1"}
	if got := rules.LabelsOfAll([]corev1.Namespace{namespace})["ns"]; !labels.Equals(got, want) {
		t.Errorf("kept are %v, want %v", got, want)
	}
	if got := rules.LabelsOf(&corev1.Namespace{}); got == nil || len(got) > 0 {
		t.Errorf("without labels, %v are kept", got)
	}
	for name, rules := range map[string]*Rules{"none": nil, "others": {Trusted: []string{"a"}, List: rules.List[:1]}} {
		if rules.LooksAtNamespaces() {
			t.Errorf("%s look at namespaces", name)
		}
	}
	if !rules.LooksAtNamespaces() || !(&Rules{List: rules.List}).LooksAtNamespaces() || !(&Rules{TrustedLabels: labels.Everything()}).LooksAtNamespaces() {
		t.Error("rules that do are said not to look at namespaces")
	}
}
