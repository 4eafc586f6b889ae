package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// disappears says that a node does so much after noon.
func disappears(after time.Duration) func(*Node) {
	return func(n *Node) { n.Annotations[api.DeadlineAnnotation] = noon.Add(after).Format(time.RFC3339) }
}

// TestDeadlineBegins: a drain with a deadline begins at once, whatever others wait
// for. What stops everything, and what removes the node anyway, still counts.
func TestDeadlineBegins(t *testing.T) {
	busy := func(s scene, change ...func(*Node)) {
		n := s.draining("busy")
		s.pod("busy", "web-1")
		for _, c := range change {
			c(n)
		}
	}
	annotated := func(key, value string) func(*Node) { return func(n *Node) { n.Annotations[key] = value } }
	for name, test := range map[string]struct {
		prepare func(scene)
		change  func(*Node)
		// waits is in the message of the same node without the deadline, holds in that
		// with it; empty for a drain that begins.
		waits, holds string
	}{
		"the slots":               {prepare: func(s scene) { s.Config.MaxDraining = shareOf("1"); busy(s) }, waits: "waits for a slot"},
		"its group":               {prepare: func(s scene) { s.Config.Groups = []Group{{Label: "zone", MaxDraining: shareOf("1")}}; busy(s) }, waits: "waits for its group"},
		"groups":                  {prepare: func(s scene) { s.Config.Groups = []Group{{Label: "zone", MaxGroups: 1}}; busy(s, of("x")) }, change: of("y"), waits: "waits for its group"},
		"unavailable nodes":       {prepare: func(s scene) { s.Config.MaxUnavailable = shareOf("1"); busy(s) }, waits: "waits for nodes to be available"},
		"pods without a node":     {prepare: func(s scene) { s.Config.PendingPods, s.Pending = new(int), 1 }, waits: "waits for pods to be scheduled"},
		"the last node":           {prepare: func(s scene) { s.Nodes[0].Ready = false }, waits: "it is the last schedulable Ready node"},
		"a window":                {prepare: func(s scene) { s.Config.Windows = []Window{opening(time.Hour)} }, change: func(n *Node) { n.Windows = []int{0} }, waits: "waits for a window"},
		"a freeze":                {prepare: func(s scene) { s.Config.Freezes = []Freeze{{Until: noon.Add(1), Reason: "holidays"}} }, waits: "holidays"},
		"a pause":                 {change: annotated(api.PausedAnnotation, "true"), waits: "paused before it began"},
		"a start when it is gone": {change: annotated(api.NotBeforeAnnotation, "2030-01-31T12:02:00Z"), waits: "not before 2030-01-31T12:02:00Z"},
		"an earlier start":        {change: annotated(api.NotBeforeAnnotation, "2030-01-31T12:01:59Z"), waits: "not before", holds: "not before 2030-01-31T12:01:59Z"},
		"a stop of everything":    {prepare: func(s scene) { s.Control.Paused = "INC-42" }, waits: "INC-42", holds: "INC-42"},
		"a Node that is deleted":  {change: func(n *Node) { n.Deleting = true }, waits: "being deleted", holds: "being deleted"},
		"an autoscaler":           {change: func(n *Node) { n.RemovalTaint = "karpenter.sh/disrupted" }, waits: "an autoscaler", holds: "an autoscaler"},
		"a mistake":               {change: annotated(api.TimeoutAnnotation, "x"), waits: "correct or remove it", holds: "correct or remove it"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, deadline := range []bool{false, true} {
				s := newScene()
				s.spare(2)
				s.Nodes[1].Ready = false
				n := s.node("n", api.DrainAnnotation, "r")
				if test.prepare != nil {
					test.prepare(s)
				}
				if test.change != nil {
					test.change(n)
				}
				says := test.waits
				if deadline {
					says = test.holds
					disappears(2 * time.Minute)(n)
				}
				got := planOf(t, Make(s.Snapshot), "n")
				if got.Memory.started() != (says == "") || !strings.Contains(got.Report().Message, says) {
					t.Errorf("with a deadline %v: begun %v, says %q; want %q", deadline, got.Memory.started(), got.Report().Message, says)
				}
			}
		})
	}
}

// TestDeadlineHoldsSlot: a drain that began past the limits counts against them, in
// the plan in which it begins and later.
func TestDeadlineHoldsSlot(t *testing.T) {
	s := newScene()
	s.Config.MaxDraining = shareOf("1")
	s.spare(2)
	s.asked("older")
	spot := s.asked("spot", disappears(time.Minute))
	plan := Make(s.Snapshot)
	if got := begun(plan); !slices.Equal(got, []string{"spot"}) {
		t.Errorf("%v begin, want the one that disappears alone", got)
	}
	s.Memory.Nodes[spot.UID] = planOf(t, plan, "spot").Memory
	s.Now = noon.Add(time.Second)
	if older := planOf(t, Make(s.Snapshot), "older"); older.Memory.started() || older.Facts.Queued != QueuedForSlot {
		t.Errorf("the other begun %v, and waits for %q", older.Memory.started(), older.Facts.Queued)
	}
}

// TestDeadlineContinues: what stops a drain that has begun does not stop one whose
// node disappears, until that deadline no longer has an effect.
func TestDeadlineContinues(t *testing.T) {
	for name, change := range map[string]func(scene, *Node){
		"a pause":  func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" },
		"a freeze": func(s scene, _ *Node) { s.Config.Freezes = []Freeze{{Until: noon.Add(time.Hour), Reason: "x"}} },
		"a window": func(s scene, n *Node) {
			s.Config.Windows, n.Windows = []Window{pausing(opening(-2 * time.Hour))}, []int{0}
		},
		"Stop in time":    func(s scene, _ *Node) { s.Config.Timeout, s.Config.OnTimeout = time.Second, api.Stop },
		"Release in time": func(s scene, _ *Node) { s.Config.Timeout, s.Config.OnTimeout = time.Second, api.Release },
		"an order": func(s scene, _ *Node) {
			s.pod("n", "db-1", under(&Rule{Action: BlockPod}))
			s.Pods["n"][0].Rules = []*Rule{{Action: EvictPod, Order: 1}}
		},
		"a job to the end": func(s scene, _ *Node) { s.Pods["n"][0].Rules = []*Rule{{Action: AwaitPod}} },
	} {
		t.Run(name, func(t *testing.T) {
			for after, sends := range map[time.Duration]bool{
				time.Hour: true, time.Second: true, 0: true, -deadlineCounts + time.Second: true, -deadlineCounts: false, -time.Hour: false,
			} {
				s := newScene()
				s.spare(1)
				n := s.draining("n")
				s.pod("n", "web-1")
				disappears(after)(n)
				change(s, n)
				if got := slices.Contains(granted(Make(s.Snapshot)), "web-1"); got != sends {
					t.Errorf("%v before the deadline: sends %v, want %v", after, got, sends)
				}
			}
		})
	}
}

// TestDeadlineHeld: what drainer itself does not let go stays.
func TestDeadlineHeld(t *testing.T) {
	s := newScene()
	s.Config.EmptyDir = BlockEmptyDir
	disappears(time.Minute)(s.draining("n"))
	s.pod("n", "bare-1", func(p *Pod) { p.Controller = Owner{} })
	s.pod("n", "dir-1", func(p *Pod) { p.EmptyDir = true })
	s.pod("n", "blocked-1", under(&Rule{Action: BlockPod}))
	s.pod("n", "ignored-1", under(&Rule{Action: IgnorePod}))
	if got := granted(Make(s.Snapshot)); len(got) > 0 {
		t.Errorf("granted %v", got)
	}
}

// TestDeadlineGrace: pods get no more time than their node has, and a second at
// least.
func TestDeadlineGrace(t *testing.T) {
	for name, test := range map[string]struct {
		after   time.Duration
		own     int
		request string
		rule    int64
		want    string
	}{
		"time enough":                     {after: time.Minute, own: 60, want: "its own"},
		"too little":                      {after: time.Minute, own: 61, want: "60"},
		"a part of a second":              {after: 10*time.Second + 900*time.Millisecond, own: 30, want: "10"},
		"less than a second":              {after: 900 * time.Millisecond, own: 30, want: "1"},
		"passed":                          {after: -time.Minute, own: 30, want: "1"},
		"no grace period":                 {after: -time.Minute, own: 0, want: "its own"},
		"the request's":                   {after: time.Minute, own: 600, request: "7", want: "7"},
		"too little for the request's":    {after: time.Minute, own: 1, request: "90", want: "60"},
		"the rule's":                      {after: time.Minute, own: 600, rule: 7, want: "7"},
		"too little for the rule's":       {after: time.Minute, own: 1, rule: 90, want: "60"},
		"no longer of any effect":         {after: -deadlineCounts, own: 30, want: "its own"},
		"of no effect, and the request's": {after: -deadlineCounts, own: 30, request: "90", want: "90"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			n.Annotations[api.DeadlineAnnotation] = noon.Add(test.after).Format(time.RFC3339Nano)
			pod := s.pod("n", "web-1", grace(test.own))
			if test.request != "" {
				n.Annotations[api.GracePeriodAnnotation] = test.request
			}
			if test.rule > 0 {
				pod.Rules = []*Rule{{Action: EvictPod, GracePeriod: &test.rule}}
			}
			got := "its own"
			if g := Make(s.Snapshot).Grants; len(g) != 1 {
				t.Fatalf("granted %v", g)
			} else if g[0].GracePeriod != nil {
				got = fmt.Sprint(*g[0].GracePeriod)
			}
			if got != test.want {
				t.Errorf("the grace period is %s, want %s", got, test.want)
			}
		})
	}
}

// TestDeadlineFirst: what budgets allow goes to the node that disappears next, and
// what is sent from such nodes goes before all else.
func TestDeadlineFirst(t *testing.T) {
	s := newScene()
	s.draining("a")
	s.pod("a", "web-a")
	s.pod("a", "free-a")
	for name, after := range map[string]time.Duration{"b": 2 * time.Minute, "c": time.Minute} {
		disappears(after)(s.draining(name))
		for i := range 3 {
			s.pod(name, fmt.Sprintf("web-%s%d", name, i))
		}
	}
	s.pod("b", "free-b")
	s.budget("web", "web", 1, 7, 6, 7)
	if got := granted(Make(s.Snapshot)); !slices.Equal(got, []string{"web-c0", "free-b", "free-a"}) {
		t.Errorf("granted %v", got)
	}
}

// TestDeadlineDelete: a pod that a budget holds is deleted when its node has just
// the pod's grace period left, and not one that is never deleted.
func TestDeadlineDelete(t *testing.T) {
	for name, test := range map[string]struct {
		after   time.Duration
		change  func(scene, *Node, *Pod)
		deletes bool
		probes  bool
		grace   int64
		wake    time.Duration // 0 if it does not matter.
	}{
		"before":            {after: 31 * time.Second, wake: time.Second},
		"just in time":      {after: 30 * time.Second, deletes: true, grace: 30},
		"late":              {after: 10 * time.Second, deletes: true, grace: 10},
		"at the end":        {after: 0, deletes: true, grace: 1},
		"after the end":     {after: -time.Minute, deletes: true, grace: 1},
		"long after it":     {after: -deadlineCounts},
		"the request's":     {after: 7 * time.Second, change: func(_ scene, n *Node, _ *Pod) { n.Annotations[api.GracePeriodAnnotation] = "7" }, deletes: true, grace: 7},
		"before that":       {after: 8 * time.Second, change: func(_ scene, n *Node, _ *Pod) { n.Annotations[api.GracePeriodAnnotation] = "7" }, wake: time.Second},
		"no grace":          {after: time.Second, change: func(_ scene, _ *Node, p *Pod) { p.OwnGrace = 0 }, deletes: true, grace: 1},
		"not allowed":       {change: func(s scene, _ *Node, _ *Pod) { s.Config.AllowDelete = false }},
		"never asked":       {change: func(s scene, _ *Node, p *Pod) { s.tried(p, func(t *Tries) { t.Outcome = Outcome{} }) }, probes: true},
		"a webhook":         {change: func(s scene, _ *Node, p *Pod) { s.tried(p, func(t *Tries) { t.Outcome.Reason = Webhook }) }, probes: true},
		"one that moves":    {change: func(s scene, _ *Node, p *Pod) { s.tried(p, func(t *Tries) { t.Outcome.Reason = Evacuating }) }, probes: true},
		"protected":         {change: func(s scene, _ *Node, _ *Pod) { s.Config.NeverDelete = []string{"ns"} }},
		"a managed budget":  {change: func(s scene, _ *Node, _ *Pod) { s.Budgets["ns"].List[0].Controller = "VirtualMachineInstance vm" }},
		"not computed":      {change: func(s scene, _ *Node, _ *Pod) { s.Budgets["ns"].List[0].SyncFailed = "no scale" }},
		"a bare pod":        {change: func(s scene, _ *Node, p *Pod) { p.Controller = Owner{}; s.Config.BarePods = EvictBarePods }},
		"blocked by a rule": {change: func(_ scene, _ *Node, p *Pod) { p.Rules = []*Rule{{Action: BlockPod}} }},
		"paused":            {change: func(_ scene, n *Node, _ *Pod) { n.Annotations[api.PausedAnnotation] = "true" }, deletes: true, grace: 1},
		"all paused":        {change: func(s scene, _ *Node, _ *Pod) { s.Control.Paused = "INC-42" }},
		"just deleted one": {change: func(s scene, _ *Node, _ *Pod) {
			s.Memory.Budgets["uid-web"] = BudgetMemory{Forced: Forced{Pod: &Pod{Namespace: "ns", UID: "other"}, Until: noon.Add(time.Minute), Healthy: 3}}
		}, deletes: true, grace: 1},
		"others are leaving": {change: func(s scene, _ *Node, _ *Pod) {
			s.pod("n", "web-2", func(p *Pod) { p.Deadline, p.Grace = noon.Add(time.Second), time.Second })
		}, deletes: true, grace: 1},
		"a timeout, too": {after: time.Hour, change: func(s scene, _ *Node, _ *Pod) { s.Config.Timeout, s.Config.OnTimeout = time.Second, api.Delete }, deletes: true, grace: 30},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, pod := deleting()
			s.Config.Timeout, s.Config.OnTimeout = 0, api.Wait
			disappears(test.after)(n)
			if test.change != nil {
				test.change(s, n, pod)
			}
			p := Make(s.Snapshot)
			deletes, probes := deleted(p)
			if slices.Equal(deletes, []string{"web-1"}) != test.deletes || slices.Equal(probes, []string{"web-1"}) != test.probes {
				t.Fatalf("deletes %v and probes %v", deletes, probes)
			}
			if test.deletes {
				d := p.Grants[0].Deletion
				late := test.after < time.Hour
				if d.GracePeriod != test.grace || d.Deadline.IsZero() == late || d.Rule != "" {
					t.Errorf("the deletion is %+v, want a grace period of %d", d, test.grace)
				}
			}
			if test.wake != 0 && !p.Wake.Equal(noon.Add(test.wake)) {
				t.Errorf("the next plan is made at %v, want %v after noon", p.Wake, test.wake)
			}
		})
	}
}

// TestDeadlineUnpaced: at the end all pods of a budget are deleted at once, and
// those of a node that only has timed out wait for them.
func TestDeadlineUnpaced(t *testing.T) {
	s, n, _ := deleting()
	disappears(10 * time.Second)(n)
	s.draining("other")
	s.remember(s.pod("other", "web-0", grace(30)), refused(BudgetExhausted, time.Hour))
	s.remember(s.pod("n", "web-2", grace(30)), refused(BudgetExhausted, 2*time.Minute))
	if deletes, probes := deleted(Make(s.Snapshot)); !slices.Equal(deletes, []string{"web-2", "web-1"}) || len(probes) > 0 {
		t.Errorf("deletes %v and probes %v, want both of the node that disappears", deletes, probes)
	}
}

// TestDeadlineSays: the message and the status say when the node disappears, what is
// deleted before, and what is lost.
func TestDeadlineSays(t *testing.T) {
	s, n, _ := deleting()
	s.Config.Timeout, s.Config.OnTimeout = 0, api.Wait
	disappears(2 * time.Minute)(n)
	s.pod("n", "db-1", func(p *Pod) { p.Controller = Owner{} })
	s.pod("n", "job-1", func(p *Pod) { p.Deadline, p.Grace = noon.Add(time.Hour), time.Hour })
	s.pod("n", "app-1", func(p *Pod) { p.Deadline, p.Grace = noon.Add(time.Minute), time.Minute })
	r := planOf(t, Make(s.Snapshot), "n").Report()
	for _, want := range []string{
		"the node disappears at 2030-01-31T12:02:00Z, in 2m; 1 pod will be deleted when only the grace period is left",
		"2 pods will be lost with it unless gone by then; 0 of 4 pods gone",
		"ns/job-1 terminating until 2030-01-31T13:00:00Z, by which time the node is gone",
	} {
		if !strings.Contains(r.Message, want) {
			t.Errorf("says %q, want %q", r.Message, want)
		}
	}
	if d := r.Status.Deadline; d == nil || !d.At.Equal(noon.Add(2*time.Minute)) || d.AtRisk != 2 || d.ToDelete != 1 {
		t.Errorf("the status has %+v", d)
	}
	var risky []string
	for _, b := range r.Status.Blockers {
		if b.AtRisk {
			risky = append(risky, b.Pod)
		}
	}
	if slices.Sort(risky); !slices.Equal(risky, []string{"ns/db-1", "ns/job-1"}) {
		t.Errorf("%v are at risk", risky)
	}
	for _, o := range r.Status.CannotFinish {
		if o.Pod == "ns/web-1" {
			t.Errorf("a pod that is deleted cannot leave: %+v", o)
		}
	}
}

// TestDeadlineWords: what is said at the time, by what drainer may do.
func TestDeadlineWords(t *testing.T) {
	for name, test := range map[string]struct {
		after  time.Duration
		change func(scene, *Node)
		says   string
		not    string
	}{
		"seconds":     {after: 9 * time.Second, says: "disappears at 2030-01-31T12:00:09Z, in less than 10s"},
		"passed":      {after: -time.Second, says: "the node should have disappeared at 2030-01-31T11:59:59Z"},
		"only evicts": {after: time.Minute, change: func(s scene, _ *Node) { s.Config.AllowDelete = false }, says: "1 pod will be lost with it unless gone by then (drainer deletes none: it runs without --allow-delete)"},
		"expired":     {after: -deadlineCounts, says: "drainer.dev/deadline=2030-01-31T11:55:00Z does not count: it passed more than 5m ago", not: "disappear"},
		"of a dry run": {after: time.Minute, change: func(_ scene, n *Node) {
			n.Annotations[api.DrainAnnotation] = "other"
			n.Annotations[api.DryRunAnnotation] = "true"
		}, not: "disappear"},
		"a mistake": {after: time.Minute, change: func(_ scene, n *Node) { n.Annotations[api.TimeoutAnnotation] = "x" }, not: "disappear"},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, _ := deleting()
			s.Config.Timeout, s.Config.OnTimeout = 0, api.Wait
			disappears(test.after)(n)
			if test.change != nil {
				test.change(s, n)
			}
			r := planOf(t, Make(s.Snapshot), "n").Report()
			if !strings.Contains(r.Message, test.says) || test.not != "" && strings.Contains(r.Message, test.not) {
				t.Errorf("says %q, want %q and not %q", r.Message, test.says, test.not)
			}
			if (r.Status.Deadline == nil) != (test.not != "") {
				t.Errorf("the status has %+v", r.Status.Deadline)
			}
		})
	}
}

// TestDeadlineWritten: a deadline that moves or goes is written at once.
func TestDeadlineWritten(t *testing.T) {
	for name, test := range map[string]struct {
		change func(scene, *Node)
		writes bool
	}{
		"nothing":  {func(scene, *Node) {}, false},
		"it moves": {func(_ scene, n *Node) { disappears(2 * time.Hour)(n) }, true},
		"it goes":  {func(_ scene, n *Node) { delete(n.Annotations, api.DeadlineAnnotation) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, _ := deleting()
			s.Config.Timeout, s.Config.OnTimeout = 0, api.Wait
			disappears(time.Hour)(n)
			m := s.Memory.Nodes[n.UID]
			m.Phase, m.IdleSince = api.Blocked, noon.Add(-time.Minute)
			s.Memory.Nodes[n.UID] = m
			s.report(n)
			test.change(s, n)
			if got := planOf(t, Make(s.Snapshot), "n").Write; got != test.writes {
				t.Errorf("writes %v, want %v", got, test.writes)
			}
		})
	}
}

// TestDeadlineOfMany: nodes that disappear begin together, however many.
func TestDeadlineOfMany(t *testing.T) {
	s := newScene()
	s.Config.MaxDraining = shareOf("1")
	for i := range 20 {
		s.asked(fmt.Sprintf("spot-%02d", i), disappears(time.Duration(i)*time.Second))
	}
	if got := begun(Make(s.Snapshot)); len(got) != 20 {
		t.Errorf("%v begin, want all 20", got)
	}
}
