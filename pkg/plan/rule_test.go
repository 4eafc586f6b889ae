package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// under lets the rules decide about a pod.
func under(rules ...*Rule) func(*Pod) { return func(p *Pod) { p.Rules = rules } }

// TestRules: what a rule says is done, by the first that matches, and what no rule
// can say.
func TestRules(t *testing.T) {
	evict, ignore, block := &Rule{Name: "e", Action: EvictPod}, &Rule{Name: "i", Action: IgnorePod}, &Rule{Name: "b", Action: BlockPod}
	wait := &Rule{Name: "w", Action: AwaitPod}
	atMost := func(d time.Duration) *Rule { return &Rule{Name: "w", Action: AwaitPod, AtMost: d} }
	in := func(pool string, r Rule) *Rule { r.Match.Pools = []string{"x", pool}; return &r }
	with := func(b BudgetMatch, r Rule) *Rule { r.Match.Budget = b; return &r }
	bare := func(p *Pod) { p.Controller = Owner{} }
	finished := func(p *Pod) { p.Phase, p.Ready = corev1.PodSucceeded, false }
	daemon := func(p *Pod) {
		p.Controller = Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "ds"}
	}
	for name, test := range map[string]struct {
		change  []func(*Pod)
		prepare func(scene)
		state   State
		reason  Reason
		rule    string
		sent    bool
	}{
		"Evict":                        {change: []func(*Pod){under(evict, block)}, state: Eligible, sent: true},
		"Ignore":                       {change: []func(*Pod){under(ignore)}, state: Ignored},
		"Block":                        {change: []func(*Pod){under(block)}, state: Blocked, reason: Policy, rule: "b"},
		"WaitCompleted":                {change: []func(*Pod){under(wait)}, state: Blocked, reason: Completion, rule: "w"},
		"before bare pods":             {change: []func(*Pod){bare, under(evict)}, state: Eligible, sent: true},
		"after the rules, bare pods":   {change: []func(*Pod){bare, under(in("y", *evict))}, state: Blocked, reason: BarePod},
		"before emptyDir":              {change: []func(*Pod){func(p *Pod) { p.EmptyDir = true }, under(evict)}, prepare: func(s scene) { s.Config.EmptyDir = BlockEmptyDir }, state: Eligible, sent: true},
		"in the pool":                  {change: []func(*Pod){under(in("gpu", *block))}, state: Blocked, reason: Policy, rule: "b"},
		"in another pool":              {change: []func(*Pod){under(in("cpu", *block), evict)}, state: Eligible, sent: true},
		"without a budget":             {change: []func(*Pod){under(with(NoBudget, *block))}, state: Blocked, reason: Policy, rule: "b"},
		"with a budget":                {change: []func(*Pod){under(with(NoBudget, *block))}, prepare: func(s scene) { s.budget("p", "web", 1, 2, 1, 2) }, state: Eligible, sent: true},
		"a budget that never allows":   {change: []func(*Pod){under(with(NeverAllowingBudget, *block))}, prepare: func(s scene) { s.budget("p", "web", 0, 2, 2, 2) }, state: Blocked, reason: Policy, rule: "b"},
		"a budget that may allow":      {change: []func(*Pod){under(with(NeverAllowingBudget, *block))}, prepare: func(s scene) { s.budget("p", "web", 0, 1, 1, 2) }, state: Blocked, reason: BudgetExhausted},
		"the second of two budgets":    {change: []func(*Pod){under(with(NeverAllowingBudget, *block))}, prepare: func(s scene) { s.budget("o", "web", 1, 2, 1, 2); s.budget("p", "web", 0, 2, 2, 2) }, state: Blocked, reason: Policy, rule: "b"},
		"finished, Block":              {change: []func(*Pod){finished, under(block)}, state: Eligible, sent: true},
		"finished, WaitCompleted":      {change: []func(*Pod){finished, under(wait)}, state: Eligible, sent: true},
		"finished, Ignore":             {change: []func(*Pod){finished, under(ignore)}, state: Ignored},
		"static":                       {change: []func(*Pod){func(p *Pod) { p.Static = true }, under(evict)}, state: Ignored},
		"of a DaemonSet":               {change: []func(*Pod){daemon, under(evict)}, prepare: func(s scene) { s.DaemonSets["ds"] = true }, state: Ignored},
		"of a DaemonSet gone":          {change: []func(*Pod){daemon, under(block)}, prepare: seenLongAgo, state: Blocked, reason: Policy, rule: "b"},
		"terminating":                  {change: []func(*Pod){func(p *Pod) { p.Deadline, p.Grace = noon.Add(time.Second), time.Second }, under(block)}, state: Terminating, reason: GracePeriod},
		"terminating, Ignore":          {change: []func(*Pod){func(p *Pod) { p.Deadline, p.Grace = noon.Add(time.Second), time.Second }, under(ignore)}, state: Ignored},
		"being sent":                   {change: []func(*Pod){under(block)}, prepare: func(s scene) { s.InFlight["uid-web-1"] = Post{Sent: noon} }, state: Eligible},
		"waits for as long as it may":  {change: []func(*Pod){under(atMost(time.Minute + 1))}, state: Blocked, reason: Completion, rule: "w"},
		"waited for as long as it may": {change: []func(*Pod){under(atMost(time.Minute))}, state: Eligible, sent: true},
		"created since":                {change: []func(*Pod){under(atMost(time.Minute)), func(p *Pod) { p.Created = noon.Add(-time.Minute + time.Second).Unix() }}, state: Blocked, reason: Completion, rule: "w"},
		"drainer's own":                {change: []func(*Pod){under(block)}, prepare: func(s scene) { s.Config.OwnPod = "uid-web-1"; s.node("spare") }, state: Blocked, reason: Policy, rule: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n").Pool = "gpu"
			pod := s.pod("n", "web-1", test.change...)
			if test.prepare != nil {
				test.prepare(s)
			}
			plan := Make(s.Snapshot)
			got := planOf(t, plan, "n").Pods[0]
			if got.State != test.state || got.Reason != test.reason || got.Rule() != test.rule {
				t.Errorf("state %s, reason %q, rule %q; want %s, %q, %q", got.State, got.Reason, got.Rule(), test.state, test.reason, test.rule)
			}
			if sent := slices.Contains(granted(plan), "web-1"); sent != test.sent {
				t.Errorf("sent: %v, want %v", sent, test.sent)
			}
			around := Surroundings{Pool: "gpu", DaemonSets: s.DaemonSets, Budgets: s.Budgets}
			if s.Config.IsTarget(pod, around) != (test.state != Ignored) {
				t.Errorf("a live list would take it for a target: %v", test.state == Ignored)
			}
		})
	}
}

// TestRuleWakes: the end of a rule's patience brings a plan.
func TestRuleWakes(t *testing.T) {
	s := newScene()
	s.draining("n")
	s.pod("n", "job-1", under(&Rule{Name: "w", Action: AwaitPod, AtMost: time.Hour}))
	p := Make(s.Snapshot)
	if want := noon.Add(59 * time.Minute); p.Wake.After(want) {
		t.Errorf("it plans again at %v, want %v at the latest", p.Wake, want)
	}
	s.Now = noon.Add(59 * time.Minute)
	if got := granted(Make(s.Snapshot)); !slices.Equal(got, []string{"job-1"}) {
		t.Errorf("sent are %v, want job-1", got)
	}
}

// TestOrder: pods leave in their order, each once those before are gone.
func TestOrder(t *testing.T) {
	first, later, last := &Rule{Name: "first", Action: EvictPod, Order: -5}, &Rule{Name: "later", Action: EvictPod, Order: 7}, &Rule{Name: "last", Action: EvictPod, Order: 9}
	ignored := &Rule{Name: "i", Action: IgnorePod, Order: -9}
	finished := func(p *Pod) { p.Phase, p.Ready = corev1.PodSucceeded, false }
	s := newScene()
	s.draining("n")
	s.node("spare")
	s.Config.OwnPod = "uid-own"
	for _, pod := range []struct {
		name   string
		change []func(*Pod)
	}{
		{"a-last", []func(*Pod){under(last)}},
		{"b-first", []func(*Pod){under(first)}},
		{"c-later", []func(*Pod){under(later)}},
		{"d-none", nil},
		{"e-ignored", []func(*Pod){under(ignored)}},
		{"f-finished", []func(*Pod){under(last), finished}},
		{"g-first", []func(*Pod){under(first)}},
		{"own", nil},
	} {
		s.pod("n", pod.name, pod.change...)
	}
	for _, want := range [][]string{{"b-first", "f-finished", "g-first"}, {"d-none"}, {"c-later"}, {"a-last"}, {"own"}, {}} {
		p := Make(s.Snapshot)
		got := granted(p)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Fatalf("sent are %v, want %v", got, want)
		}
		// Admitted, they are still there, and the next wait.
		for _, g := range p.Grants {
			s.remember(g.Pod, PodMemory{FirstSeen: noon}.with(Tries{AdmittedAt: noon}))
		}
		if more := granted(Make(s.Snapshot)); len(more) > 0 {
			t.Errorf("%v are sent while %v terminate", more, got)
		}
		s.Pods["n"] = slices.DeleteFunc(s.Pods["n"], func(e *Entry) bool { return slices.Contains(got, e.Name) })
	}
}

// TestOrderUnderBudgets: a pod whose turn has not come takes no budget's
// disruption, is not sent to see whether it is refused, and waits for one that is
// blocked.
func TestOrderUnderBudgets(t *testing.T) {
	s := newScene()
	s.draining("n")
	s.draining("m")
	s.pod("n", "web-1", under(&Rule{Name: "last", Action: EvictPod, Order: 1}))
	s.pod("n", "stays-1", under(&Rule{Name: "b", Action: BlockPod}))
	s.pod("m", "web-2")
	s.budget("p", "web", 1, 2, 1, 2)
	plan := Make(s.Snapshot)
	if got := granted(plan); !slices.Equal(got, []string{"web-2"}) {
		t.Errorf("sent are %v, want web-2", got)
	}
	waits := planOf(t, plan, "n").Pods[0]
	if waits.Reason != Order || waits.Rule() != "last" {
		t.Errorf("web-1 is blocked by %s and rule %q", waits.Reason, waits.Rule())
	}
	s.Now = noon.Add(time.Hour)
	s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon, BlockedSince: noon, BlockedBy: Order})
	s.remember(s.Pods["m"][0].Pod, PodMemory{FirstSeen: noon}.with(Tries{AdmittedAt: noon}))
	if got := granted(Make(s.Snapshot)); len(got) > 0 {
		t.Errorf("an hour later %v are sent", got)
	}
}

// TestRuleGrace: a rule's grace period overrides the pods' own, and the request's
// overrides that.
func TestRuleGrace(t *testing.T) {
	seconds := int64(120)
	rule := &Rule{Name: "g", Action: EvictPod, GracePeriod: &seconds}
	for annotation, want := range map[string]int64{"": 120, "7": 7} {
		s := newScene()
		s.draining("n")
		if annotation != "" {
			s.Nodes[0].Annotations[api.GracePeriodAnnotation] = annotation
		}
		s.pod("n", "web-1", under(rule))
		if g := Make(s.Snapshot).Grants; len(g) != 1 || g[0].GracePeriod == nil || *g[0].GracePeriod != want {
			t.Errorf("with %q on the node, granted is %+v, want %d seconds", annotation, g, want)
		}
	}
}

// TestRuleStuck: what waits by a rule is not stuck, unless the rule says when.
func TestRuleStuck(t *testing.T) {
	wait, last := Rule{Name: "w", Action: AwaitPod}, Rule{Name: "l", Action: EvictPod, Order: 1}
	block := Rule{Name: "b", Action: BlockPod}
	after := func(r Rule, d time.Duration) *Rule { r.StuckAfter = d; return &r }
	for name, test := range map[string]struct {
		rule *Rule
		from time.Duration // when it is stuck; 0 for never
	}{
		"WaitCompleted":          {&wait, 0},
		"WaitCompleted, an hour": {after(wait, time.Hour), time.Hour},
		"order":                  {&last, 0},
		"order, an hour":         {after(last, time.Hour), time.Hour},
		"Block":                  {&block, 5 * time.Minute},
		"Block, a minute":        {after(block, time.Minute), time.Minute},
	} {
		s := newScene()
		s.draining("n")
		s.pod("n", "a-1", under(test.rule))
		s.pod("n", "b-1", under(&block))
		s.remember(s.Pods["n"][0].Pod, PodMemory{FirstSeen: noon, BlockedSince: noon})
		got := planOf(t, Make(s.Snapshot), "n").Pods[0]
		if got.State != Blocked {
			t.Fatalf("%s: it is %s", name, got.State)
		}
		from := test.from
		if from == 0 {
			from = 1000 * time.Hour
		}
		before, at := got.Stuck(noon.Add(from-1), 5*time.Minute), got.Stuck(noon.Add(from), 5*time.Minute)
		if before || at != (test.from > 0) {
			t.Errorf("%s: stuck before %v: %v, then: %v", name, from, before, at)
		}
	}
}

// TestRuleMessages: messages and the status name the rule.
func TestRuleMessages(t *testing.T) {
	for want, rule := range map[string]*Rule{
		"cannot finish: ns/a-1 because rule keep does not let it be evicted; to fix: change rule keep of the configuration file, or remove what it waits for": {Name: "keep", Action: BlockPod},
		"ns/a-1 because rule jobs waits until it completes":                                               {Name: "jobs", Action: AwaitPod},
		"ns/a-1 because rule jobs waits until it completes, or until 2030-01-31T12:59:00Z":                {Name: "jobs", Action: AwaitPod, AtMost: time.Hour},
		"ns/a-1 because rule dbs gives it order 3, and ns/b-1 (and 1 more) with order 0 must leave first": {Name: "dbs", Action: EvictPod, Order: 3},
	} {
		s := newScene()
		s.draining("n")
		s.pod("n", "a-1", under(rule))
		s.pod("n", "b-1")
		s.pod("n", "b-2")
		r := planOf(t, Make(s.Snapshot), "n").Report()
		if !strings.HasSuffix(r.Message, want) {
			t.Errorf("the message is %q, want %q", r.Message, want)
		}
		if len(r.Status.Blockers) != 1 || r.Status.Blockers[0].Rule != rule.Name {
			t.Errorf("the blockers are %+v, want one with rule %s", r.Status.Blockers, rule.Name)
		}
	}
}
