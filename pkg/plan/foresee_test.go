package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
)

// TestForeseen: the pods of a waiting node are listed now and then, only those that
// could not leave are kept, and what is fixed is no longer reported.
func TestForeseen(t *testing.T) {
	s := newScene()
	n := s.node("n", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z")
	stays, leaves := s.pod("n", "web-1"), s.pod("n", "other-1")
	static := s.pod("n", "web-2", func(p *Pod) { p.Static = true })
	first, second := s.budget("a", "web", 1, 2, 1, 2), s.budget("b", "web", 1, 2, 1, 2)
	s.planned(t, n)
	kept := Foresee(s.Snapshot, n, []*Pod{stays, leaves, static})
	if len(kept) != 1 || kept[0] != stays {
		t.Fatalf("%d pods are kept, want the one under two budgets", len(kept))
	}
	s.Memory.Apply(NodeForeseen{Node: n.UID, Request: "r", Pods: kept, At: s.Now})
	s.Now = s.Now.Add(2 * time.Second)
	plan, _ := s.planned(t, n)
	if o := plan.Report().Status.CannotFinish; plan.Foresee || len(o) != 1 || o[0].Budget != first.Key()+", "+second.Key() {
		t.Errorf("listed again %v, obstacles %+v", plan.Foresee, o)
	}
	s.Now = s.Now.Add(time.Minute)
	all := s.Budgets["ns"]
	s.Budgets["ns"] = NamespaceBudgets{Epoch: all.Epoch + 1, List: all.List[:1]}
	if plan, _ = s.planned(t, n); plan.Facts.Unfinishable || !plan.Write {
		t.Errorf("it still cannot finish, or does not say so: %q", plan.Report().Message)
	}
	s.Now = s.Now.Add(6 * time.Minute)
	if plan, _ = s.planned(t, n); !plan.Foresee {
		t.Error("its pods are not listed again")
	}
	s.Memory.Apply(NodeForeseen{Node: n.UID, Request: "another", Pods: []*Pod{stays}, At: s.Now})
	if plan, _ = s.planned(t, n); !plan.Foresee {
		t.Error("the pods of another request count")
	}
}

// TestForeseenUnready: a pod that is not Ready leaves whatever its budget allows, if
// enough others are healthy, as the eviction API has it.
func TestForeseenUnready(t *testing.T) {
	for name, test := range map[string]struct {
		healthy, desired, expected int32
		always, zero, kept         bool
	}{
		"enough others are healthy":     {1, 1, 1, false, false, false},
		"too few are":                   {0, 1, 1, false, false, true},
		"too few, and the policy is so": {0, 1, 1, true, false, false},
		"none is desired":               {0, 0, 0, false, true, true},
	} {
		s := newScene()
		n := s.node("n", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z")
		pod := s.pod("n", "web-1", func(p *Pod) { p.Ready = false })
		b := s.budget("web", "web", 0, test.healthy, test.desired, test.expected)
		b.AlwaysAllow, b.ZeroBySpec = test.always, test.zero
		s.planned(t, n)
		if kept := len(Foresee(s.Snapshot, n, []*Pod{pod})) > 0; kept != test.kept {
			t.Errorf("%s: kept %v, want %v", name, kept, test.kept)
		}
	}
}

// inPoolX is the placement of pods that only nodes with pool=x admit.
var inPoolX = PodOf(ownedBy("ReplicaSet", corev1.PodSpec{NodeSelector: map[string]string{"pool": "x"}})).Placement

func inPool(n *Node) *Node {
	n.Labels = labels.Set{"pool": "x"}
	return n
}

// waitingWith is a node that waits, alone in its pool, with two pods that only this
// pool admits.
func (s scene) waitingWith() (*Node, []*Pod) {
	place := func(p *Pod) { p.Placement = inPoolX }
	n := inPool(s.node("a", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z"))
	return n, []*Pod{s.pod("a", "web-1", place), s.pod("a", "web-2", place)}
}

// foreseen lists the pods of a node that waits.
func (s scene) foreseen(n *Node, pods []*Pod) {
	s.Memory.Apply(NodeForeseen{Node: n.UID, Request: "r", Pods: Foresee(s.Snapshot, n, pods), At: s.Now})
}

// TestStranded: a drain that waits cannot finish if more of its pods than their budget
// can lack would find no other node, and says which nodes admit them.
func TestStranded(t *testing.T) {
	const add = "add a node that admits the pod"
	roomy := func(s scene, allowed, desired int32) {
		b := s.Budgets["ns"].List[0].Budget
		b.Allowed, b.DesiredHealthy = allowed, desired
	}
	for name, test := range map[string]struct {
		prepare func(scene, []*Pod)
		after   time.Duration
		want    string
	}{
		"no other node": {func(s scene, _ []*Pod) { s.node("z") }, 6 * time.Minute, add},
		"not for long":  {func(scene, []*Pod) {}, time.Minute, ""},
		"another node":  {func(s scene, _ []*Pod) { inPool(s.node("b")) }, 6 * time.Minute, ""},
		"another that waits": {func(s scene, _ []*Pod) {
			inPool(s.node("b", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z"))
		}, 6 * time.Minute, ""},
		"another that drains":    {func(s scene, _ []*Pod) { inPool(s.draining("b")) }, 6 * time.Minute, "release b, which has a drain request, or " + add},
		"a cordoned node":        {func(s scene, _ []*Pod) { inPool(s.node("b")).Unschedulable = true }, 6 * time.Minute, "uncordon b, or " + add},
		"not known":              {func(_ scene, pods []*Pod) { pods[0].Placement = "" }, 6 * time.Minute, ""},
		"one is not Ready":       {func(_ scene, pods []*Pod) { pods[0].Ready = false }, 6 * time.Minute, ""},
		"one terminates":         {func(_ scene, pods []*Pod) { pods[0].Deadline = noon }, 6 * time.Minute, ""},
		"the budget can lack 2":  {func(s scene, _ []*Pod) { roomy(s, 1, 2) }, 6 * time.Minute, ""},
		"it allows 2 for now":    {func(s scene, _ []*Pod) { roomy(s, 2, 3) }, 6 * time.Minute, ""},
		"no budget":              {func(s scene, _ []*Pod) { s.Budgets["ns"] = NamespaceBudgets{} }, 6 * time.Minute, ""},
		"a budget not processed": {func(s scene, _ []*Pod) { s.Budgets["ns"].List[0].Observed = false }, 6 * time.Minute, ""},
		"they will be deleted": {func(s scene, _ []*Pod) {
			s.Config.AllowDelete, s.Config.OnTimeout, s.Config.Timeout = true, api.Delete, 2*time.Hour
		}, 6 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n, pods := s.waitingWith()
			s.budget("web", "web", 1, 4, 3, 4)
			test.prepare(s, pods)
			s.planned(t, n)
			s.foreseen(n, pods)
			s.Now = s.Now.Add(test.after)
			judgeObstacle(t, s, n, map[bool]string{true: "budget_exhausted"}[test.want != ""])
			if test.want == "" {
				return
			}
			plan, _ := s.planned(t, n)
			o := plan.Report().Status.CannotFinish[0]
			if o.Fix != test.want || o.Pods != 2 || !strings.Contains(o.Message, "can spare at most 1 and has 2 here, and no other schedulable node admits the pod") {
				t.Errorf("%d pods, %q, to fix: %q", o.Pods, o.Message, o.Fix)
			}
		})
	}
}

// TestStrandedNoMore: once another node admits the pods, nothing is reported,
// whenever they are listed next.
func TestStrandedNoMore(t *testing.T) {
	s := newScene()
	n, pods := s.waitingWith()
	s.budget("web", "web", 1, 4, 3, 4)
	other := inPool(s.node("b"))
	other.Unschedulable = true
	s.planned(t, n)
	s.foreseen(n, pods)
	s.Now = s.Now.Add(s.Config.StuckAfter)
	if plan, _ := s.planned(t, n); !plan.Facts.Unfinishable {
		t.Fatalf("it says %q", plan.Report().Message)
	}
	other.Unschedulable = false
	if plan, _ := s.planned(t, n); plan.Facts.Unfinishable || len(plan.Report().Status.CannotFinish) > 0 {
		t.Errorf("it still says %q", plan.Report().Message)
	}
}

// TestWaitTogether: a drain that waits warns if only nodes that wait, too, admit more of
// its pods than their budget can lack.
func TestWaitTogether(t *testing.T) {
	waiting := []string{api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z"}
	for name, test := range map[string]struct {
		prepare func(scene)
		after   time.Duration
		want    string
	}{
		"another that waits": {func(s scene) { inPool(s.node("b", waiting...)) }, 6 * time.Minute, "(b) admit ns/web-1 (and 1 more) under PDB ns/web; to fix: cancel one"},
		"several that wait": {func(s scene) {
			inPool(s.node("b", waiting...))
			inPool(s.node("c", waiting...))
		}, 6 * time.Minute, "(b and c) admit"},
		"not for long":          {func(s scene) { inPool(s.node("b", waiting...)) }, time.Minute, ""},
		"one without a request": {func(s scene) { inPool(s.node("b", waiting...)); inPool(s.node("c")) }, 6 * time.Minute, ""},
		"a dry run":             {func(s scene) { inPool(s.node("b", api.DrainAnnotation, "r", api.DryRunAnnotation, "true")) }, 6 * time.Minute, ""},
		"a dry run that no longer says so": {func(s scene) {
			b := inPool(s.node("b", waiting...))
			s.Memory.Nodes[b.UID] = NodeMemory{Request: "r", RequestedAt: noon, DryRun: &DryRun{}}
		}, 6 * time.Minute, ""},
		"an invalid request":    {func(s scene) { inPool(s.node("b", append(waiting, api.TimeoutAnnotation, "x")...)) }, 6 * time.Minute, ""},
		"not drainer's":         {func(s scene) { inPool(s.node("b", waiting...)).Served = false }, 6 * time.Minute, ""},
		"another pool":          {func(s scene) { s.node("b", waiting...); inPool(s.node("c")) }, 6 * time.Minute, ""},
		"the budget can lack 2": {func(s scene) { inPool(s.node("b", waiting...)); s.Budgets["ns"].List[0].DesiredHealthy = 2 }, 6 * time.Minute, ""},
		"they will be deleted": {func(s scene) {
			inPool(s.node("b", waiting...))
			s.Config.AllowDelete, s.Config.OnTimeout, s.Config.Timeout = true, api.Delete, 2*time.Hour
		}, 6 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n, pods := s.waitingWith()
			s.budget("web", "web", 1, 4, 3, 4)
			test.prepare(s)
			s.planned(t, n)
			s.foreseen(n, pods)
			s.Now = s.Now.Add(test.after)
			plan, _ := s.planned(t, n)
			r := plan.Report()
			text := strings.Join(r.Status.Warnings, "; ")
			if test.want == "" != (text == "") || !strings.Contains(text, test.want) || !strings.Contains(r.Message, text) {
				t.Errorf("it warns %q, want %q; the message is %q", text, test.want, r.Message)
			}
			if len(r.Status.CannotFinish) > 0 || r.Unfinishable {
				t.Errorf("it cannot finish for %+v", r.Status.CannotFinish)
			}
		})
	}
}

// TestWaitTogetherNoMore: what only waiting nodes admitted when the pods were listed can go
// elsewhere once one of them is no longer requested.
func TestWaitTogetherNoMore(t *testing.T) {
	s := newScene()
	n, pods := s.waitingWith()
	s.budget("web", "web", 1, 4, 3, 4)
	other := inPool(s.node("b", api.DrainAnnotation, "r", api.NotBeforeAnnotation, "2031-01-01T00:00:00Z"))
	s.planned(t, n)
	s.foreseen(n, pods)
	s.Now = s.Now.Add(s.Config.StuckAfter)
	if plan, _ := s.planned(t, n); len(plan.Report().Status.Warnings) != 1 {
		t.Fatalf("it says %q", plan.Report().Message)
	}
	delete(other.Annotations, api.DrainAnnotation)
	if plan, _ := s.planned(t, n); len(plan.Report().Status.Warnings) > 0 {
		t.Errorf("it still says %q", plan.Report().Message)
	}
}
