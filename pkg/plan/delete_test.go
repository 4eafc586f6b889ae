package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// refused is the memory of a pod whose eviction the API server has just refused
// for the reason, and that has been blocked for a while.
func refused(reason Reason, blocked time.Duration) PodMemory {
	return PodMemory{
		FirstSeen: noon.Add(-blocked), TargetSince: noon.Add(-blocked), BlockedSince: noon.Add(-blocked), BlockedBy: reason,
	}.with(Tries{SentAt: noon.Add(-time.Second), Outcome: Outcome{Reason: reason}})
}

// tooMany is the memory of a pod that the API server has just refused because of its
// set of budgets.
func tooMany(budgets string, blocked time.Duration) PodMemory {
	m := refused(MultipleBudgets, blocked)
	tries := m.Tries()
	tries.RefusedBudgets = budgets
	return m.with(tries)
}

// deleting is a scene in which the node n has timed out and deletes. Its pod
// web-1 is held by a budget, and the API server has just said so.
func deleting(annotations ...string) (scene, *Node, *Pod) {
	s := newScene()
	s.Began = noon.Add(-time.Hour)
	s.Config.Timeout, s.Config.OnTimeout, s.Config.AllowDelete = 30*time.Second, api.Delete, true
	s.Config.NeverDelete = []string{"kube-system"}
	n := s.draining("n", annotations...)
	pod := s.pod("n", "web-1", grace(30))
	s.budget("web", "web", 0, 3, 3, 3)
	s.remember(pod, refused(BudgetExhausted, time.Minute))
	return s, n, pod
}

func grace(seconds int) func(*Pod) {
	return func(p *Pod) { p.OwnGrace = time.Duration(seconds) * time.Second }
}

// deleted are the pods that a plan deletes, probed those that it evicts although
// a refusal is expected.
func deleted(p Plan) (deleted, probed []string) {
	for _, g := range p.Grants {
		switch {
		case g.Deletion != nil:
			deleted = append(deleted, g.Pod.Name)
		case g.Probe:
			probed = append(probed, g.Pod.Name)
		}
	}
	return deleted, probed
}

// TestDelete: which pod may be deleted past its budget, and which may not.
func TestDelete(t *testing.T) {
	budget := func(s scene) *Budget { return s.Budgets["ns"].List[0].Budget }
	for name, test := range map[string]struct {
		change func(scene, *Node, *Pod)
		// deletes and probes are pods; spared is why web-1 is not deleted.
		deletes, probes []string
		spared          string
	}{
		"timed out and held":           {func(scene, *Node, *Pod) {}, []string{"web-1"}, nil, ""},
		"in time":                      {func(s scene, _ *Node, _ *Pod) { s.Config.Timeout = time.Hour }, nil, nil, ""},
		"to wait":                      {func(_ scene, n *Node, _ *Pod) { n.Annotations[api.OnTimeoutAnnotation] = "Wait" }, nil, nil, ""},
		"to stop":                      {func(_ scene, n *Node, _ *Pod) { n.Annotations[api.OnTimeoutAnnotation] = "Stop" }, nil, nil, ""},
		"not allowed":                  {func(s scene, _ *Node, _ *Pod) { s.Config.AllowDelete = false }, nil, nil, ""},
		"paused":                       {func(_ scene, n *Node, _ *Pod) { n.Annotations[api.PausedAnnotation] = "true" }, nil, nil, ""},
		"mistaken":                     {func(_ scene, n *Node, _ *Pod) { n.Annotations[api.Prefix+"on-time-out"] = "Delete" }, nil, nil, ""},
		"uncordoned":                   {func(_ scene, n *Node, _ *Pod) { n.Unschedulable = false }, nil, nil, ""},
		"throttled":                    {func(s scene, _ *Node, _ *Pod) { s.Throttled = noon.Add(time.Second) }, nil, nil, ""},
		"careful":                      {func(s scene, _ *Node, _ *Pod) { s.Careful = true }, nil, []string{"web-1"}, ""},
		"never asked":                  {func(s scene, _ *Node, p *Pod) { s.tried(p, func(t *Tries) { t.Outcome = Outcome{} }) }, nil, []string{"web-1"}, ""},
		"asked long ago":               {func(s scene, _ *Node, p *Pod) { s.tried(p, func(t *Tries) { t.SentAt = noon.Add(-time.Minute) }) }, nil, []string{"web-1"}, ""},
		"refused by a webhook":         {func(s scene, _ *Node, p *Pod) { s.tried(p, func(t *Tries) { t.Outcome.Reason = Webhook }) }, nil, []string{"web-1"}, ""},
		"a workload that moves itself": {func(s scene, _ *Node, p *Pod) { s.tried(p, func(t *Tries) { t.Outcome.Reason = Evacuating }) }, nil, []string{"web-1"}, ""},
		"one that moved a moment ago": {func(s scene, _ *Node, p *Pod) {
			s.tried(p, func(t *Tries) { t.Outcome.Reason, t.RetryAt = Evacuating, noon.Add(time.Second) })
		}, nil, nil, ""},
		"a webhook, a moment ago": {func(s scene, _ *Node, p *Pod) {
			s.tried(p, func(t *Tries) { t.Outcome.Reason, t.RetryAt = Webhook, noon.Add(time.Second) })
		}, nil, nil, ""},
		"forbidden": {func(s scene, _ *Node, p *Pod) {
			s.tried(p, func(t *Tries) { t.Outcome.Reason, t.RetryAt = Forbidden, noon.Add(time.Second) })
		}, nil, nil, ""},
		"a bare pod":                {func(_ scene, _ *Node, p *Pod) { p.Controller = Owner{} }, nil, nil, ""},
		"a bare pod that may leave": {func(s scene, _ *Node, p *Pod) { p.Controller = Owner{}; s.Config.BarePods = EvictBarePods }, nil, nil, "no controller would create it again"},
		"an emptyDir that blocks":   {func(s scene, _ *Node, p *Pod) { p.EmptyDir = true; s.Config.EmptyDir = BlockEmptyDir }, nil, nil, ""},
		"of a DaemonSet": {func(s scene, _ *Node, p *Pod) {
			p.Controller = Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "d", UID: "d"}
			s.DaemonSets["d"] = true
		}, nil, nil, ""},
		"static":                     {func(_ scene, _ *Node, p *Pod) { p.Static = true }, nil, nil, ""},
		"drainer's own":              {func(s scene, _ *Node, p *Pod) { s.Config.OwnPod = p.UID; s.node("spare") }, nil, nil, "it is drainer's own pod"},
		"a budget with a controller": {func(s scene, _ *Node, _ *Pod) { budget(s).Controller = "VirtualMachineInstance vm" }, nil, nil, "PDB ns/web is managed by VirtualMachineInstance vm"},
		"a protected namespace":      {func(s scene, _ *Node, _ *Pod) { s.Config.NeverDelete = []string{"ns"} }, nil, nil, "nothing is deleted in namespace ns"},
		"a budget not processed":     {func(s scene, _ *Node, _ *Pod) { budget(s).Observed = false }, nil, nil, ""},
		"a budget not computed":      {func(s scene, _ *Node, _ *Pod) { budget(s).SyncFailed = "no scale" }, nil, nil, ""},
		"a budget with room":         {func(s scene, _ *Node, _ *Pod) { budget(s).Allowed = 1; s.Budgets["ns"].List[0].Free = 1 }, nil, nil, ""},
		"room that is reserved":      {func(s scene, _ *Node, _ *Pod) { budget(s).Allowed = 1 }, nil, nil, "the disruptions that the budget allows are reserved for other pods"},
		"a disruption not settled":   {func(s scene, _ *Node, _ *Pod) { budget(s).Disrupted = map[string]bool{"web-9": true} }, nil, nil, ""},
		"a budget unknown to us": {func(s scene, _ *Node, p *Pod) {
			s.Budgets = nil
			s.tried(p, func(t *Tries) { t.RetryAt = noon.Add(time.Second) })
		}, nil, nil, "no budget is known to hold it"},
		"being sent": {func(s scene, _ *Node, p *Pod) { s.InFlight[p.UID] = Post{Sent: noon, Probe: true} }, nil, nil, ""},
		"several budgets": {func(s scene, _ *Node, p *Pod) {
			s.budget("web2", "web", 1, 3, 2, 3)
			s.remember(p, tooMany("uid-web uid-web2 ", time.Minute))
		}, []string{"web-1"}, nil, ""},
		"throttled while it waits": {func(s scene, _ *Node, p *Pod) {
			s.Throttled = noon.Add(time.Second)
			s.tried(p, func(t *Tries) { t.RetryAt, t.RefusedVersions = noon.Add(time.Minute), "1" })
		}, nil, nil, ""},
		"stuck for long": {func(s scene, _ *Node, p *Pod) { s.remember(p, refused(BudgetExhausted, time.Hour)) }, []string{"web-1"}, nil, ""},
		"several budgets, one not processed": {func(s scene, _ *Node, p *Pod) {
			s.budget("web2", "web", 1, 3, 2, 3).Observed = false
			s.remember(p, tooMany("uid-web uid-web2 ", time.Minute))
		}, nil, nil, "the disruption controller has not computed PDB ns/web2"},
		"several budgets, one of a controller": {func(s scene, _ *Node, p *Pod) {
			s.budget("web2", "web", 1, 3, 2, 3).Controller = "Cluster pg"
			s.remember(p, tooMany("uid-web uid-web2 ", time.Minute))
		}, nil, nil, "PDB ns/web2 is managed by Cluster pg"},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, pod := deleting()
			test.change(s, n, pod)
			p := Make(s.Snapshot)
			deletes, probes := deleted(p)
			if !slices.Equal(deletes, test.deletes) || !slices.Equal(probes, test.probes) {
				t.Errorf("deletes %v and probes %v, want %v and %v", deletes, probes, test.deletes, test.probes)
			}
			if pods := planOf(t, p, "n").Pods; len(pods) != 1 || pods[0].Spared != test.spared {
				t.Errorf("the pod is %+v, want it spared because %q", pods, test.spared)
			}
			if says := planOf(t, p, "n").Report().Message; test.spared != "" && !strings.Contains(says, "not deleted: "+test.spared) {
				t.Errorf("the node says %q", says)
			}
		})
	}
}

// TestDeleteNotAllowed: without the flag a request to delete is invalid, and says
// how to make it valid.
func TestDeleteNotAllowed(t *testing.T) {
	s, n, _ := deleting(api.OnTimeoutAnnotation, "Delete")
	s.Config.AllowDelete, s.Config.OnTimeout = false, api.Wait
	plan := planOf(t, Make(s.Snapshot), n.Name)
	if says := plan.Report().Message; plan.Phase != api.InvalidRequest || !strings.Contains(says, "--allow-delete") || !strings.Contains(says, api.OnTimeoutAnnotation) {
		t.Errorf("the node is %s and says %q", plan.Phase, says)
	}
}

// TestDeletePace: of each budget one pod at a time, the oldest first, and the next
// once the budget has recovered or has had long enough.
func TestDeletePace(t *testing.T) {
	web := func(s scene) *BudgetView { return &s.Budgets["ns"].List[0] }
	forced := func(s scene, f Forced) {
		f.Pod, f.Node = cmpOr(f.Pod, &Pod{Namespace: "ns", Name: "web-0", UID: "uid-web-0"}), "n"
		s.Memory.Budgets["uid-web"] = BudgetMemory{Forced: f}
	}
	soon := noon.Add(10 * time.Second)
	for name, test := range map[string]struct {
		change  func(scene)
		deletes []string
	}{
		"the oldest of a budget": {func(s scene) {
			s.remember(s.pod("n", "web-2"), refused(BudgetExhausted, 2*time.Minute))
		}, []string{"web-2"}},
		"of all nodes": {func(s scene) {
			s.draining("m")
			s.remember(s.pod("m", "web-2"), refused(BudgetExhausted, 2*time.Minute))
		}, []string{"web-2"}},
		"one of each budget": {func(s scene) {
			s.remember(s.pod("n", "db-1"), refused(BudgetExhausted, 2*time.Minute))
			s.budget("db", "db", 0, 1, 1, 1)
		}, []string{"db-1", "web-1"}},
		"several budgets occupy each": {func(s scene) {
			s.budget("db", "db", 0, 1, 1, 1)
			both := s.budget("both", "db", 0, 1, 1, 1)
			both.Selector = mustSelect("app in (db, web)")
			s.remember(s.pod("n", "db-1"), tooMany("uid-db uid-both ", 2*time.Minute))
			s.Memory.Pods["uid-web-1"].Memory = tooMany("uid-web uid-both ", time.Minute)
		}, []string{"db-1"}},
		"one that is evicted now": {func(s scene) {
			s.pod("n", "db-1")
			s.budget("db", "db", 1, 2, 1, 2).Selector = mustSelect("app in (db, web)")
			s.Memory.Pods["uid-web-1"].Memory = tooMany("uid-web uid-db ", time.Minute)
		}, nil},
		"one that terminates": {func(s scene) {
			s.pod("n", "web-2", func(p *Pod) { p.Deadline, p.Grace = soon, 30*time.Second })
		}, nil},
		"one that terminates without end": {func(s scene) {
			s.pod("n", "web-2", func(p *Pod) { p.Deadline, p.Grace = noon.Add(-forcedApart), 30*time.Second })
		}, []string{"web-1"}},
		"one that terminates, by a clock behind": {func(s scene) {
			pod := s.pod("n", "web-2", func(p *Pod) { p.Deadline, p.Grace = noon.Add(-5*time.Minute), 30*time.Second })
			s.remember(pod, PodMemory{LeavingSince: noon.Add(-20 * time.Second)})
		}, nil},
		"one that was admitted": {func(s scene) {
			s.remember(s.pod("n", "web-2"), PodMemory{FirstSeen: noon}.with(Tries{AdmittedAt: noon}))
		}, nil},
		"one of which nothing is known": {func(s scene) {
			s.remember(s.pod("n", "web-2"), PodMemory{FirstSeen: noon}.with(Tries{Uncertain: true, LookupAt: soon}))
		}, nil},
		"deleted, and recovered":       {func(s scene) { forced(s, Forced{Until: soon, Healthy: 3, Dipped: true}) }, []string{"web-1"}},
		"deleted, and not counted yet": {func(s scene) { forced(s, Forced{Until: soon, Healthy: 3}) }, nil},
		"deleted, and counted":         {func(s scene) { forced(s, Forced{Until: soon, Healthy: 3}); web(s).Budget.CurrentHealthy = 2 }, nil},
		"deleted, not recovered": {func(s scene) {
			forced(s, Forced{Until: soon, Healthy: 3, Dipped: true})
			web(s).Budget.CurrentHealthy = 2
		}, nil},
		"deleted, not recovered in time": {func(s scene) { forced(s, Forced{Until: noon, Healthy: 3}); web(s).Budget.CurrentHealthy = 2 }, []string{"web-1"}},
		"deleted, and still there": {func(s scene) {
			pod := s.pod("n", "web-0", func(p *Pod) { p.Phase = "Pending" })
			forced(s, Forced{Pod: pod, Until: soon, Healthy: 3, Dipped: true})
		}, nil},
		"deleted, on a node that is no longer watched": {func(s scene) {
			forced(s, Forced{Until: soon, Healthy: 3, Dipped: true})
			b := s.Memory.Budgets["uid-web"]
			b.Forced.Node = "other"
			s.Memory.Budgets["uid-web"] = b
		}, nil},
		"being deleted, of a node without a request": {func(s scene) {
			s.InFlight["uid-gone"] = Post{Sent: noon, Budgets: []types.UID{"uid-web"}}
		}, nil},
		"being deleted, of another budget": {func(s scene) {
			s.InFlight["uid-gone"] = Post{Sent: noon, Budgets: []types.UID{"uid-db"}}
		}, []string{"web-1"}},
		"a process that has just begun":     {func(s scene) { s.Began = noon.Add(-59 * time.Second) }, nil},
		"a process that has begun long ago": {func(s scene) { s.Began = noon.Add(-60 * time.Second) }, []string{"web-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := deleting()
			test.change(s)
			deletes, _ := deleted(Make(s.Snapshot))
			if !slices.Equal(deletes, test.deletes) {
				t.Errorf("deletes %v, want %v", deletes, test.deletes)
			}
		})
	}
}

func cmpOr(a, b *Pod) *Pod {
	if a != nil {
		return a
	}
	return b
}

// TestDeleteGrace: the grace period is the pod's own, or the request's, and never
// 0.
func TestDeleteGrace(t *testing.T) {
	for name, test := range map[string]struct {
		own     int
		request string
		want    int64
	}{
		"its own": {30, "", 30}, "none of its own": {0, "", 1}, "the request's": {30, "7", 7}, "a long one": {3600, "", 3600},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, pod := deleting()
			pod.OwnGrace = time.Duration(test.own) * time.Second
			s.Began = noon.Add(-24 * time.Hour)
			if test.request != "" {
				n.Annotations[api.GracePeriodAnnotation] = test.request
			}
			grants := Make(s.Snapshot).Grants
			if len(grants) != 1 || grants[0].Deletion == nil || grants[0].Deletion.GracePeriod != test.want {
				t.Fatalf("grants %+v, want a deletion with %d s", grants, test.want)
			}
		})
	}
}

// TestDeletionAnswered: what is told, counted and remembered of a deletion.
func TestDeletionAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		reason Reason
		// facts follow the answer. told is how often the deletion is told, holds
		// whether the budget has to recover.
		facts []Fact
		told  int
		holds bool
	}{
		"carried out":           {Admitted, nil, 1, true},
		"refused":               {Webhook, nil, 0, false},
		"gone before":           {Gone, []Fact{LookedUp{Pod: "uid-web-1", Gone: true, At: noon}}, 0, false},
		"unknown":               {Unknown, nil, 0, true},
		"unknown, then leaving": {Unknown, []Fact{LookedUp{Pod: "uid-web-1", Terminating: true, At: noon}}, 1, true},
		"unknown, then gone":    {Unknown, []Fact{LookedUp{Pod: "uid-web-1", Gone: true, At: noon}}, 1, true},
		"unknown, and not so":   {ServerError, []Fact{LookedUp{Pod: "uid-web-1", At: noon}}, 0, true},
		"unknown, and evicted later": {ServerError, []Fact{
			LookedUp{Pod: "uid-web-1", At: noon},
			Answered{Grant: Grant{Pod: &Pod{Name: "web-1", UID: "uid-web-1"}}, Outcome: Outcome{Reason: Admitted}, At: noon},
		}, 0, true},
		"carried out, then seen": {Admitted, []Fact{LookedUp{Pod: "uid-web-1", Terminating: true, At: noon}}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, _ := deleting()
			g := Make(s.Snapshot).Grants[0]
			facts := append([]Fact{Answered{Grant: g, Outcome: Outcome{Reason: test.reason}, At: noon}}, test.facts...)
			told := 0
			for _, f := range facts {
				for _, e := range s.Memory.Apply(f) {
					if d, is := e.(PodDeleted); is {
						told++
						if d.Pod.Name != "web-1" || d.Budgets != "ns/web" || d.Reason != BudgetNeverAllows || d.Node != n || d.GracePeriod != 30 {
							t.Errorf("it is told %+v", d)
						}
					}
				}
			}
			if counted := s.Memory.Nodes[n.UID].Deletions["ns/web"]; told != test.told || counted != test.told {
				t.Errorf("told %d times and counted %d, want %d", told, counted, test.told)
			}
			f := s.Memory.Budgets["uid-web"].Forced
			if holds := f.Pod != nil; holds != test.holds || holds && (f.Healthy != 3 || !f.Until.Equal(noon.Add(time.Minute))) {
				t.Errorf("of the budget is remembered %+v", f)
			}
		})
	}
}

// TestDeletionVanishes: a pod that is gone before it is known whether its deletion
// was carried out counts as deleted.
func TestDeletionVanishes(t *testing.T) {
	s, n, pod := deleting()
	s.Memory.Observe(Observed{Now: noon, Nodes: s.Nodes, Pods: map[string][]*Pod{"n": {pod}}})
	g := Make(s.Snapshot).Grants[0]
	s.Memory.Apply(Answered{Grant: g, Outcome: Outcome{Reason: Unknown}, At: noon})
	s.Memory.Pods[pod.UID].Memory.Target = true
	_, events := s.Memory.Observe(Observed{Now: noon, Nodes: s.Nodes, Pods: map[string][]*Pod{"n": {}}})
	if !slices.ContainsFunc(events, func(e Event) bool { _, is := e.(PodDeleted); return is }) || s.Memory.Nodes[n.UID].Deletions["ns/web"] != 1 {
		t.Errorf("the events are %v, counted are %v", events, s.Memory.Nodes[n.UID].Deletions)
	}
}

// TestDeletionsSaid: the node says how many pods were deleted past which budget,
// also once it is drained and after a restart.
func TestDeletionsSaid(t *testing.T) {
	s, n, _ := deleting()
	m := s.Memory.Nodes[n.UID]
	m.Deletions = map[string]int{"ns/db": 2, "ns/web, ns/all": 1}
	s.Memory.Nodes[n.UID] = m
	want := "2 deleted past PDB ns/db, 1 deleted past PDB ns/web, ns/all"
	r := planOf(t, Make(s.Snapshot), "n").Report()
	if !strings.Contains(r.Message, want) || !strings.HasPrefix(r.Message, "timed out, deleting pods past the budgets that hold them") {
		t.Errorf("the message is %q", r.Message)
	}
	if done := r.Done(noon, 0).Message; !strings.Contains(done, want) {
		t.Errorf("once drained it is %q", done)
	}
	show(n, r)
	delete(s.Memory.Nodes, n.UID)
	if after := planOf(t, Make(s.Snapshot), "n").Report(); !strings.Contains(after.Message, want) {
		t.Errorf("after a restart it is %q", after.Message)
	}
}

// TestBudgetController: a budget that something manages is told apart from one
// that merely has an owner.
func TestBudgetController(t *testing.T) {
	yes := true
	pdb := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Release", Name: "r"}}}}
	if b, err := BudgetOf(pdb); err != nil || b.Controller != "" {
		t.Errorf("a budget without a controller has %q, %v", b.Controller, err)
	}
	pdb.OwnerReferences[0].Controller = &yes
	if b, err := BudgetOf(pdb); err != nil || b.Controller != "Release r" {
		t.Errorf("a budget with a controller has %q, %v", b.Controller, err)
	}
}

// TestDeleteAfter: a rule lets a pod be deleted once budgets, and nothing else,
// have held it for long enough.
func TestDeleteAfter(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(scene, *Node, *PodMemory, *Rule)
		deletes []string
		wake    time.Duration
		// counts is true if the time continues.
		counts bool
	}{
		"held long enough":   {func(scene, *Node, *PodMemory, *Rule) {}, []string{"web-1"}, 0, true},
		"not yet":            {func(_ scene, _ *Node, m *PodMemory, _ *Rule) { m.HeldSince = noon.Add(-9 * time.Minute) }, nil, time.Minute, true},
		"blocked for long":   {func(_ scene, _ *Node, m *PodMemory, _ *Rule) { m.HeldSince = time.Time{} }, nil, 10 * time.Minute, true},
		"a rule without it":  {func(_ scene, _ *Node, _ *PodMemory, r *Rule) { r.DeleteAfter = 0 }, nil, 0, false},
		"a rule that blocks": {func(_ scene, _ *Node, _ *PodMemory, r *Rule) { r.Action = BlockPod }, nil, 0, false},
		"a rule that waits":  {func(_ scene, _ *Node, _ *PodMemory, r *Rule) { r.Action = AwaitPod }, nil, 0, false},
		"not allowed":        {func(s scene, _ *Node, _ *PodMemory, _ *Rule) { s.Config.AllowDelete = false }, nil, 0, false},
		"paused":             {func(_ scene, n *Node, _ *PodMemory, _ *Rule) { n.Annotations[api.PausedAnnotation] = "true" }, nil, 0, false},
		"a protected budget": {func(s scene, _ *Node, _ *PodMemory, _ *Rule) { s.Budgets["ns"].List[0].Controller = "Cluster pg" }, nil, 0, true},
		"a budget with room": {func(s scene, _ *Node, _ *PodMemory, _ *Rule) {
			s.Budgets["ns"].List[0].Allowed = 1
			s.Budgets["ns"].List[0].Free = 1
		}, nil, 0, true},
		"a drain that has just begun": {func(s scene, n *Node, _ *PodMemory, _ *Rule) { started(s, n, noon.Add(-time.Minute)) }, nil, 9 * time.Minute, true},
		"throttled":                   {func(s scene, _ *Node, _ *PodMemory, _ *Rule) { s.Throttled = noon.Add(time.Minute) }, nil, time.Minute, true},
		"a budget unprocessed":        {func(s scene, _ *Node, _ *PodMemory, _ *Rule) { s.Budgets["ns"].List[0].Observed = false }, nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, pod := deleting()
			s.Config.Timeout, s.Config.OnTimeout = 0, api.Wait
			started(s, n, noon.Add(-time.Hour))
			rule := &Rule{Name: "r", Action: EvictPod, DeleteAfter: 10 * time.Minute}
			pod.Rules = []*Rule{rule}
			m := refused(BudgetExhausted, time.Hour)
			m.HeldSince = noon.Add(-10 * time.Minute)
			test.change(s, n, &m, rule)
			s.remember(pod, m)
			p := Make(s.Snapshot)
			if deletes, _ := deleted(p); !slices.Equal(deletes, test.deletes) {
				t.Errorf("deletes %v, want %v", deletes, test.deletes)
			}
			if at := noon.Add(test.wake); test.wake > 0 && (p.Wake.IsZero() || p.Wake.After(at)) {
				t.Errorf("wakes at %v, want %v or earlier", p.Wake, at)
			}
			node := planOf(t, p, "n")
			kept, _ := m.kept(node, &node.Pods[0], s.Config, noon)
			if kept.HeldSince.IsZero() == test.counts {
				t.Errorf("held since %v, want it to count: %t", kept.HeldSince, test.counts)
			}
		})
	}
}

// started says when the drain of a node has begun.
func started(s scene, n *Node, at time.Time) {
	m := s.Memory.Nodes[n.UID]
	m.StartedAt = at
	s.Memory.Nodes[n.UID] = m
}

// TestOutboxDeletion: a deletion under way says which budgets it goes past, an eviction
// does not.
func TestOutboxDeletion(t *testing.T) {
	budgets := []types.UID{"uid-a", "uid-b"}
	o := NewOutbox(10)
	o.Publish([]Grant{
		{Pod: &Pod{UID: "deleted"}, Deletion: &PodDeleted{}, budgetUIDs: budgets},
		{Pod: &Pod{UID: "probed"}, Probe: true, budgetUIDs: budgets},
	})
	for range 2 {
		o.Take(noon, nil)
	}
	under := o.Collect().InFlight
	if len(under) != 2 || !slices.Equal(under["deleted"].Budgets, budgets) || under["probed"].Budgets != nil {
		t.Errorf("under way are %+v", under)
	}
}
