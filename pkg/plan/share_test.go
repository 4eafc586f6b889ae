package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestShare: the node that is nearly done goes first, one that can never be
// done last, and one that has starved before all.
func TestShare(t *testing.T) {
	s := newScene()
	for _, node := range []struct {
		name string
		pods int
	}{{"big", 4}, {"small", 1}, {"middle", 2}} {
		s.draining(node.name)
		for i := range node.pods {
			s.pod(node.name, fmt.Sprintf("web-%s-%d", node.name, i))
		}
	}
	s.draining("hopeless")
	s.pod("hopeless", "web-hopeless-0")
	s.pod("hopeless", "bare-0", func(p *Pod) { p.Controller = Owner{} })
	s.budget("p", "web", 4, 8, 4, 8)
	want := []string{"web-small-0", "web-middle-0", "web-middle-1", "web-big-0"}
	if got := s.sentInTurn(); !slices.Equal(got, want) {
		t.Errorf("granted %v, want %v", got, want)
	}
	s.undo()
	m := s.Memory.Nodes["uid-big"]
	m.StartedAt = noon.Add(-starvedAfter)
	s.Memory.Nodes["uid-big"] = m
	want = []string{"web-big-0", "web-big-1", "web-big-2", "web-big-3"}
	if got := s.sentInTurn(); !slices.Equal(got, want) {
		t.Errorf("granted %v, want the starved node's %v", got, want)
	}
}

// TestShareNoneStarves: a stream of small nodes beside a large one; the budget
// allows one disruption at a time and recovers in 10 s.
func TestShareNoneStarves(t *testing.T) {
	const recovery = 10 * time.Second
	s := newScene()
	s.draining("large")
	for i := range 5 {
		s.pod("large", fmt.Sprintf("web-large-%d", i))
	}
	b := s.budget("p", "web", 1, 100, 99, 100)
	longest, since := time.Duration(0), s.Now
	for round := range 120 {
		name := fmt.Sprintf("small%d", round)
		s.draining(name)
		s.pod(name, "web-"+name)
		plan := Make(s.Snapshot)
		for _, n := range plan.Nodes {
			s.Memory.Nodes[n.Node.UID] = n.Memory
		}
		if len(plan.Grants) != 1 {
			t.Fatalf("round %d: %d grants, want the one disruption that is allowed", round, len(plan.Grants))
		}
		// The pod leaves and the budget comes back.
		gone := plan.Grants[0].Pod
		s.Pods[gone.Node] = slices.DeleteFunc(s.Pods[gone.Node], func(e *Entry) bool { return e.Pod == gone })
		if gone.Node == "large" {
			longest, since = max(longest, s.Now.Sub(since)), s.Now
		}
		b.ResourceVersion = fmt.Sprint(round + 2)
		s.Now = s.Now.Add(recovery)
	}
	if len(s.Pods["large"]) > 0 {
		t.Errorf("after %v the large node still has %d pods", s.Now.Sub(noon), len(s.Pods["large"]))
	}
	if longest > starvedAfter+recovery {
		t.Errorf("the large node got nothing for %v", longest)
	}
}

// TestCareful: after throttling, one eviction at a time, and the others say why.
func TestCareful(t *testing.T) {
	s := newScene()
	s.draining("n")
	for i := range 3 {
		s.pod("n", fmt.Sprintf("web-%d", i))
	}
	s.Careful = true
	plan := Make(s.Snapshot)
	if got := granted(plan); !slices.Equal(got, []string{"web-0"}) {
		t.Errorf("granted %v, want one pod", got)
	}
	if p := planOf(t, plan, "n").Pods[1]; p.State != Blocked || p.Reason != Throttled {
		t.Errorf("the next pod is %s by %q, want blocked by throttling", p.State, p.Reason)
	}
	s.InFlight["uid-web-0"] = Post{Sent: noon}
	if got := granted(Make(s.Snapshot)); len(got) > 0 {
		t.Errorf("granted %v while one is under way", got)
	}
}

// TestProbe: one stuck pod of a budget is sent from time to time, and no other
// while it is under way.
func TestProbe(t *testing.T) {
	s := newScene()
	s.draining("n")
	b := s.budget("p", "web", 0, 2, 2, 2)
	for _, name := range []string{"web-1", "web-2"} {
		pod := s.pod("n", name)
		s.remember(pod, PodMemory{FirstSeen: noon, BlockedSince: noon.Add(-s.Config.StuckAfter), BlockedBy: BudgetNeverAllows})
	}
	plan := Make(s.Snapshot)
	if len(plan.Grants) != 1 || !plan.Grants[0].Probe || plan.Grants[0].Budget.Name != "" {
		t.Fatalf("the grants are %+v, want one probe", plan.Grants)
	}
	s.InFlight[plan.Grants[0].Pod.UID] = Post{Sent: noon, Probe: true}
	if plan := Make(s.Snapshot); len(plan.Grants) != 0 {
		t.Errorf("another probe is sent while one is under way: %v", granted(plan))
	}
	clear(s.InFlight)
	s.Memory.Budgets[b.UID] = BudgetMemory{ProbedAt: noon}
	if plan := Make(s.Snapshot); len(plan.Grants) != 0 {
		t.Error("a probe is sent again at once")
	}
	s.Now = noon.Add(probeInterval)
	if plan := Make(s.Snapshot); len(plan.Grants) != 1 {
		t.Error("no probe is sent after the interval")
	}
}

// TestProbeManaged: a pod under a budget that a controller manages, and that never allows,
// is sent at once, since a webhook may move it: as often as that asks to wait, and no
// sooner than others once the budget itself has refused it.
func TestProbeManaged(t *testing.T) {
	for name, test := range map[string]struct {
		controller string
		healthy    int32
		memory     PodMemory
		probed     time.Time
		after      time.Duration
		reason     Reason
		sent       bool
	}{
		"managed":                       {controller: "VMI vm", healthy: 1, reason: BudgetNeverAllows, sent: true},
		"not managed":                   {healthy: 1, reason: BudgetNeverAllows},
		"managed, may allow later":      {controller: "VMI vm", healthy: 0, reason: BudgetExhausted},
		"refused by the budget":         {controller: "VMI vm", healthy: 1, probed: noon, after: time.Minute, reason: BudgetNeverAllows},
		"refused by the budget, stuck":  {controller: "VMI vm", healthy: 1, probed: noon, after: 6 * time.Minute, reason: BudgetNeverAllows, sent: true},
		"the webhook asks to wait":      {controller: "VMI vm", healthy: 1, memory: evacuating, after: 4 * time.Second, reason: Evacuating},
		"the webhook is asked again":    {controller: "VMI vm", healthy: 1, memory: evacuating, after: 5 * time.Second, reason: Evacuating, sent: true},
		"again while the pod moves":     {controller: "VMI vm", healthy: 0, memory: evacuating, after: 5 * time.Second, reason: Evacuating, sent: true},
		"again, without a manager":      {healthy: 1, memory: evacuating, after: 5 * time.Second, reason: BudgetNeverAllows},
		"again, also after the refusal": {controller: "VMI vm", healthy: 1, memory: evacuating, probed: noon, after: 5 * time.Second, reason: Evacuating, sent: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			b := s.budget("vm", "web", 0, test.healthy, 1, 1)
			b.Controller = test.controller
			test.memory.FirstSeen, test.memory.BlockedSince, test.memory.BlockedBy = noon, noon, test.reason
			s.remember(s.pod("n", "web-1"), test.memory)
			s.Memory.Budgets[b.UID] = BudgetMemory{ProbedAt: test.probed}
			s.Now = noon.Add(test.after)
			plan := Make(s.Snapshot)
			if sent := len(plan.Grants) == 1; sent != test.sent || sent && !plan.Grants[0].Probe {
				t.Errorf("the grants are %+v", plan.Grants)
			}
			if p := planOf(t, plan, n.Name).Pods[0]; p.State != Blocked || p.Reason != test.reason {
				t.Errorf("the pod is %s by %q, want blocked by %q", p.State, p.Reason, test.reason)
			}
		})
	}
}

// TestProbeManagedOnce: whatever answers the eviction of one pod of a managed budget, the
// others are not all asked for at once; nor are they after all have been throttled.
func TestProbeManagedOnce(t *testing.T) {
	for _, reason := range []Reason{Evacuating, Webhook, BudgetExhausted} {
		s := newScene()
		s.draining("n")
		s.budget("vm", "web", 0, 2, 2, 2).Controller = "VMI vm"
		for _, name := range []string{"web-1", "web-2"} {
			s.remember(s.pod("n", name), PodMemory{FirstSeen: noon, BlockedSince: noon, BlockedBy: BudgetNeverAllows})
		}
		for i, want := range []int{1, 0, 0, 0} {
			plan := Make(s.Snapshot)
			if len(plan.Grants) != want {
				t.Errorf("%s: plan %d grants %v, want %d", reason, i, granted(plan), want)
			}
			s.Memory.Keep(&plan, s.Config, s.Now)
			if i == 0 {
				s.Memory.Apply(Answered{Grant: plan.Grants[0], Outcome: Outcome{Code: "429", Reason: reason}, At: s.Now})
			}
			s.Throttled = time.Time{}
			if i == 1 {
				s.Throttled = s.Now.Add(time.Second)
			}
			s.Now = s.Now.Add(100 * time.Millisecond)
		}
	}
}

// evacuating is what is remembered of a pod whose eviction a webhook put off at noon.
var evacuating = PodMemory{}.with(Tries{Refusals: 1, RetryAt: noon.Add(evacuationBackoff), Outcome: Outcome{Code: "429", Reason: Evacuating, Message: "moves"}})

// TestPolls: a blocking budget of which nothing is heard is read, less and
// less often; its event starts over.
func TestPolls(t *testing.T) {
	s := newScene()
	s.draining("n")
	s.pod("n", "web-1")
	b := s.budget("p", "web", 0, 2, 2, 3)
	var at []time.Duration
	for s.Now.Before(noon.Add(20 * time.Minute)) {
		plan := Make(s.Snapshot)
		s.Memory.Budgets = plan.Budgets
		if len(plan.Polls) > 0 {
			at = append(at, s.Now.Sub(noon))
		}
		s.Now = s.Now.Add(time.Second)
	}
	if len(at) < 4 || at[0] < 30*time.Second || at[0] > 37*time.Second {
		t.Fatalf("the budget was read at %v", at)
	}
	for i := 1; i < len(at); i++ {
		interval := min(pollInterval<<i, pollIntervalMost)
		if gap := at[i] - at[i-1]; gap < interval || gap > interval*6/5+time.Second {
			t.Errorf("the budget was read %v after the last time, want %v, or a fifth more", gap, interval)
		}
	}
	b.ResourceVersion = "2"
	plan := Make(s.Snapshot)
	if m := plan.Budgets[b.UID]; m.Polls != 0 || m.PollAt.Sub(s.Now) > 37*time.Second {
		t.Errorf("after its event the budget is read at %v", m.PollAt.Sub(s.Now))
	}
}

// TestApart: of one budget, one eviction is sent at a time, unless its answer
// takes long. Those that wait for that are not blocked, those beyond what the
// budget allows are.
func TestApart(t *testing.T) {
	s := newScene()
	s.draining("n")
	for i := range 4 {
		s.pod("n", fmt.Sprintf("web-%d", i))
	}
	s.budget("p", "web", 3, 8, 5, 8)
	plan := Make(s.Snapshot)
	if got := granted(plan); !slices.Equal(got, []string{"web-0"}) {
		t.Errorf("granted %v, want one", got)
	}
	if !plan.Wake.Equal(noon.Add(apart)) {
		t.Errorf("plans again after %v, although the answer may not come", plan.Wake.Sub(noon))
	}
	states := func(p Plan) (all []State) {
		for _, s := range planOf(t, p, "n").Pods {
			all = append(all, s.State)
		}
		return all
	}
	if got := states(plan); !slices.Equal(got, []State{Eligible, Eligible, Eligible, Blocked}) {
		t.Errorf("the pods are %v", got)
	}
	s.InFlight["uid-web-0"] = Post{Sent: noon}
	s.Budgets["ns"].List[0].Free = 2
	if plan := Make(s.Snapshot); len(plan.Grants) != 0 || !plan.Wake.Equal(noon.Add(apart)) {
		t.Errorf("granted %v while one is being sent, plans again after %v", granted(plan), plan.Wake.Sub(noon))
	}
	s.Now = noon.Add(apart)
	if got := granted(Make(s.Snapshot)); !slices.Equal(got, []string{"web-1"}) {
		t.Errorf("granted %v after an answer did not come, want the next", got)
	}
}

// TestTogether: nodes that begin together are all cordoned before the first pod
// moves.
func TestTogether(t *testing.T) {
	begin := func(s scene, name string, ago, cordonedAgo time.Duration) {
		n := s.draining(name)
		cordoned := cordonedAgo > 0
		n.Unschedulable, n.OwnCordon = cordoned, cordoned
		m := s.Memory.Nodes[n.UID]
		m.StartedAt, m.CordonSeen = noon.Add(-ago), time.Time{}
		if cordoned {
			m.CordonSeen = noon.Add(-cordonedAgo)
		}
		s.Memory.Nodes[n.UID] = m
		s.pod(name, "web-"+name)
	}
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		set  func(scene)
		want []string
		wake time.Duration
	}{
		"one node waits for the rest of the command": {
			set:  func(s scene) { begin(s, "a", 40*ms, 10*ms) },
			want: []string{}, wake: 60 * ms,
		},
		"and then goes": {
			set:  func(s scene) { begin(s, "a", togetherGap, 10*ms) },
			want: []string{"web-a"},
		},
		"one waits for the other's cordon": {
			set: func(s scene) {
				begin(s, "a", 400*ms, 300*ms)
				begin(s, "b", 200*ms, 0)
			},
			want: []string{}, wake: 1800 * ms,
		},
		"each cordon renews the patience": {
			set: func(s scene) {
				begin(s, "a", 11*time.Second, 10*time.Second)
				begin(s, "b", 11*time.Second, 500*ms)
				begin(s, "c", 11*time.Second, 0)
			},
			want: []string{}, wake: 1500 * ms,
		},
		"which ends when no further node is cordoned": {
			set: func(s scene) {
				begin(s, "a", 11*time.Second, togetherPatience)
				begin(s, "b", 11*time.Second, 0)
			},
			want: []string{"web-a"},
		},
		"a node that began before does not wait for one that comes later": {
			set: func(s scene) {
				begin(s, "a", togetherWithin+ms, time.Second)
				begin(s, "b", 0, 0)
			},
			want: []string{"web-a"},
		},
		"a node that comes later waits on its own": {
			set: func(s scene) {
				begin(s, "a", togetherWithin+togetherGap+ms, 0)
				begin(s, "b", togetherGap, ms)
			},
			want: []string{"web-b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			test.set(s)
			plan := Make(s.Snapshot)
			if got := granted(plan); !slices.Equal(got, test.want) {
				t.Errorf("granted %v, want %v", got, test.want)
			}
			if test.wake > 0 && !plan.Wake.Equal(noon.Add(test.wake)) {
				t.Errorf("plans again after %v, want %v", plan.Wake.Sub(noon), test.wake)
			}
			for _, n := range plan.Nodes {
				if n.Phase != api.Draining || !n.Memory.IdleSince.IsZero() {
					t.Errorf("node %s is %s, idle since %v: it waits for nobody but drainer", n.Node.Name, n.Phase, n.Memory.IdleSince)
				}
			}
		})
	}
}
