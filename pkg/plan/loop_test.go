package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// loop plans over a scene as the controller does, and writes to its nodes what
// the plans say.
type loop struct {
	scene
	pods   map[string][]*Pod
	events []Event
	facts  []Fact
	// denied is why nodes cannot be cordoned; empty if they can.
	denied string
}

// newLoop takes the nodes and pods of a scene, of which nothing is remembered.
func newLoop(s scene) *loop {
	l := &loop{scene: s, pods: map[string][]*Pod{}}
	l.Memory = NewMemory()
	l.Began = s.Now
	for name, list := range s.Pods {
		for _, e := range list {
			l.pods[name] = append(l.pods[name], e.Pod)
		}
	}
	return l
}

// step makes a plan, after the time, and carries out what it says of nodes.
func (l *loop) step(after time.Duration) Plan {
	l.Now = l.Now.Add(after)
	for _, f := range l.facts {
		l.events = append(l.events, l.Memory.Apply(f)...)
	}
	l.facts = nil
	entries, events := l.Memory.Observe(Observed{Now: l.Now, Nodes: l.Nodes, Pods: l.pods, InFlight: l.InFlight})
	l.Pods = entries
	Match(l.Pods, l.Budgets)
	plan := Make(l.Snapshot)
	l.events = slices.Concat(l.events, events, l.Memory.Keep(&plan, l.Config, l.Now))
	for i := range plan.Nodes {
		l.carryOut(&plan.Nodes[i])
	}
	return plan
}

func (l *loop) carryOut(n *NodePlan) {
	node := n.Node
	wrote := func(r *Report) {
		node.ResourceVersion += "0"
		l.facts = append(l.facts, NodeWritten{Node: node.UID, Version: node.ResourceVersion, Report: r, At: l.Now})
	}
	if n.Write {
		r := n.Report()
		show(node, r)
		wrote(&r)
	}
	if n.Taint || n.Untaint {
		node.QueuedTaint = n.Taint
		wrote(nil)
	}
	switch {
	case n.Release:
		node.Unschedulable, node.OwnCordon, node.OwnStatus, node.QueuedTaint = false, false, false, false
		delete(node.Annotations, api.StatusAnnotation)
		delete(node.Annotations, api.DrainedAnnotation)
		wrote(nil)
	case n.Cordon && l.denied != "":
		l.facts = append(l.facts, NodeTrouble{Node: node.UID, Text: l.denied})
	case n.Cordon:
		node.Unschedulable, node.OwnCordon = true, true
		wrote(nil)
	case n.Confirm:
		r := n.Report().Done(l.Now, 0)
		show(node, r)
		wrote(&r)
		l.facts = append(l.facts, NodeDrained{Node: node.UID, Request: n.Request.ID, At: l.Now})
	}
}

// come lets a pod appear on a node.
func (l *loop) come(node, name string) {
	p := l.pod(node, name)
	delete(l.Memory.Pods, p.UID)
	l.pods[node] = append(slices.Clone(l.pods[node]), p)
}

// restart forgets what is not on the nodes.
func (l *loop) restart() {
	l.Memory, l.Began, l.events, l.facts = NewMemory(), l.Now, nil, nil
}

// events of type E that have happened.
func eventsOf[E Event](l *loop) []E {
	var all []E
	for _, event := range l.events {
		if e, ok := event.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// crowd is 30 pods under a budget without room, on a node that is drained for
// the request r.
func crowd() *loop {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	for i := range 30 {
		s.pod("n", fmt.Sprintf("web-%02d", i))
	}
	s.budget("p", "web", 0, 30, 30, 31)
	return newLoop(s)
}

// TestRestartKeepsStuck: pods that are stuck are as stuck after a restart, also
// those that the status does not list, and nobody is told again.
func TestRestartKeepsStuck(t *testing.T) {
	l := crowd()
	for range 40 {
		l.step(10 * time.Second)
	}
	if n := len(eventsOf[PodStuck](l)); n != 30 {
		t.Fatalf("%d of 30 pods are told to be stuck", n)
	}
	l.restart()
	l.step(time.Second)
	plan := planOf(t, l.step(10*time.Millisecond), "n")
	stuck := 0
	for i := range plan.Pods {
		if plan.Pods[i].Stuck(l.Now, l.Config.StuckAfter) {
			stuck++
		}
	}
	if stuck != 30 {
		t.Errorf("after a restart %d of 30 pods are stuck", stuck)
	}
	if told := len(eventsOf[PodStuck](l)) + len(eventsOf[PodBlocked](l)); told > 0 {
		t.Errorf("%d events are written again", told)
	}
}

// TestRestartKeepsBlockedDuration: how long a pod was blocked counts from before
// the restart.
func TestRestartKeepsBlockedDuration(t *testing.T) {
	l := crowd()
	for range 100 {
		l.step(10 * time.Second)
	}
	l.restart()
	l.step(time.Second)
	l.step(time.Second)
	b := *l.Budgets["ns"].List[0].Budget
	b.Allowed, b.CurrentHealthy, b.ResourceVersion = 1, 31, "2"
	l.Budgets["ns"].List[0] = BudgetView{Budget: &b, Free: 1}
	plan := l.step(time.Second)
	if len(plan.Grants) != 1 {
		t.Fatalf("granted %v, want one pod", granted(plan))
	}
	l.facts = append(l.facts, Answered{Grant: plan.Grants[0], Outcome: Outcome{Reason: Admitted, Code: "201"}, At: l.Now})
	l.step(time.Second)
	waited := eventsOf[PodUnblocked](l)
	if len(waited) != 1 || waited[0].Waited < 16*time.Minute {
		t.Errorf("a pod that was blocked for 16m40s is counted as %+v", waited)
	}
}

// TestOneEnd: a request has one end, however often stray pods reopen its drain,
// and however often the process restarts.
func TestOneEnd(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	l := newLoop(s)
	l.pods["n"] = []*Pod{}
	for i := range 4 {
		for range 10 {
			l.step(time.Second)
		}
		if phase := l.Memory.Nodes["uid-n"].Phase; phase != api.Drained {
			t.Fatalf("round %d: the node is %s", i, phase)
		}
		l.come("n", fmt.Sprintf("stray-%d", i))
		l.step(time.Second)
		l.pods["n"] = []*Pod{}
		if i == 2 {
			if ends := eventsOf[DrainEnded](l); len(ends) != 1 || ends[0].Result != ResultDrained {
				t.Errorf("one request has the ends %+v", ends)
			}
			l.restart()
		}
	}
	if ends := eventsOf[DrainEnded](l); len(ends) != 0 {
		t.Errorf("after a restart the same request ends again: %+v", ends)
	}
}

// TestSuperseded: a new request on a node that is being drained keeps the slot;
// one on a queued node keeps the place.
func TestSuperseded(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		s := newScene()
		s.Config.MaxDraining, _ = ParseShare("1")
		a := s.node("a", api.DrainAnnotation, "r")
		b := s.node("b", api.DrainAnnotation, "r")
		c := s.node("c", api.DrainAnnotation, "r")
		s.node("spare")
		for _, n := range []*Node{a, b, c} {
			s.pod(n.Name, "web-"+n.Name)
		}
		s.budget("p", "web", 0, 3, 3, 4)
		l := newLoop(s)
		for range 3 {
			l.step(time.Second)
		}
		a.Annotations[api.DrainAnnotation], b.Annotations[api.DrainAnnotation] = "new", "new"
		if restarted {
			l.restart()
		}
		l.step(time.Second)
		plan := l.step(time.Second)
		if n := planOf(t, plan, "a"); n.Phase != api.Draining || n.Request.ID != "new" {
			t.Errorf("restarted %v: node a, which was being drained, is %s", restarted, n.Phase)
		}
		if n := planOf(t, plan, "b"); n.Phase != api.Queued || n.Report().Message[:len("waits for a slot, place 1 ")] != "waits for a slot, place 1 " {
			t.Errorf("restarted %v: node b, which was the first in the queue, is %s: %s", restarted, n.Phase, n.Report().Message)
		}
		if ends := eventsOf[DrainEnded](l); !restarted && (len(ends) != 1 || ends[0].Result != ResultSuperseded || ends[0].Request != "r") {
			t.Errorf("the ends are %+v", ends)
		}
	}
}

// TestLate: pods that came after the cordon was seen are late, but not those of
// the first list: a process that has just started does not know when they came.
func TestLate(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	l := newLoop(s)
	for range 3 {
		l.step(time.Second)
	}
	l.restart()
	l.step(time.Second)
	l.step(time.Second) // the cordon is seen, the pods are not listed yet
	l.come("n", "web-1")
	l.step(time.Second)
	l.come("n", "web-2")
	l.step(time.Second)
	for name, want := range map[types.UID]bool{"uid-web-1": false, "uid-web-2": true} {
		if got := l.Memory.Pods[name].Memory.Late; got != want {
			t.Errorf("%s is late: %v, want %v", name, got, want)
		}
	}
}

// TestNotServed: a node whose labels no longer match has a result of its own.
func TestNotServed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*loop)
		want   Result
	}{
		"its labels change": {func(l *loop) { l.Nodes[0].Served = false }, ResultNotServed},
		"it is deleted":     {func(l *loop) { l.Nodes = l.Nodes[1:] }, ResultNodeDeleted},
		"it is cancelled":   {func(l *loop) { delete(l.Nodes[0].Annotations, api.DrainAnnotation) }, ResultCancelled},
	} {
		l := crowd()
		for range 3 {
			l.step(time.Second)
		}
		test.change(l)
		l.step(time.Second)
		l.step(time.Second)
		if ends := eventsOf[DrainEnded](l); len(ends) != 1 || ends[0].Result != test.want {
			t.Errorf("%s: the ends are %+v, want %s", name, ends, test.want)
		}
	}
}

// TestGone: what is remembered of a pod lasts as long as the pod is there, and
// its end is counted once.
func TestGone(t *testing.T) {
	l := crowd()
	for range 3 {
		l.step(time.Second)
	}
	if n := len(l.Memory.Pods); n != 30 {
		t.Fatalf("%d pods are remembered, want 30", n)
	}
	l.pods["n"] = l.pods["n"][:29]
	for range 3 {
		l.step(time.Second)
	}
	if n, gone := len(l.Memory.Pods), l.Memory.Nodes["uid-n"].Gone; n != 29 || gone != 1 {
		t.Errorf("%d pods are remembered and %d gone, want 29 and 1", n, gone)
	}
}

// TestGoneWhileSent: the answer of a pod that is gone when it comes is counted
// before the pod is.
func TestGoneWhileSent(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	s.pod("n", "web-1")
	l := newLoop(s)
	var plan Plan
	for range 3 {
		plan = l.step(time.Second)
	}
	if len(plan.Grants) != 1 {
		t.Fatalf("granted %v", granted(plan))
	}
	l.InFlight["uid-web-1"] = Post{Sent: l.Now}
	l.pods["n"] = []*Pod{}
	l.step(time.Second)
	if gone := l.Memory.Nodes["uid-n"].Gone; gone != 0 {
		t.Errorf("%d pods are gone while the answer is due", gone)
	}
	clear(l.InFlight)
	l.facts = append(l.facts, Answered{Grant: plan.Grants[0], Outcome: Outcome{Reason: Admitted}, At: l.Now})
	l.step(time.Second)
	if gone := l.Memory.Nodes["uid-n"].Gone; gone != 1 || len(eventsOf[PodEvicted](l)) != 1 || len(eventsOf[PodGone](l)) != 1 {
		t.Errorf("%d pods are gone, events %+v", gone, l.events)
	}
}

// TestIgnoredAnnotations: annotations of pods do not hold up their node; the
// status and one event say that they do not count.
func TestIgnoredAnnotations(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	s.pod("n", "web-1", func(p *Pod) { p.Instructions = []string{"drainer.dev/pod-action"} })
	l := newLoop(s)
	var plan Plan
	for range 3 {
		plan = l.step(time.Second)
	}
	if got := granted(plan); !slices.Equal(got, []string{"web-1"}) {
		t.Errorf("granted %v", got)
	}
	r := planOf(t, plan, "n").Report()
	if want := "ignored the annotation drainer.dev/pod-action of pod ns/web-1"; len(r.Status.Warnings) != 1 ||
		r.Status.Warnings[0][:len(want)] != want {
		t.Errorf("the status warns of %q, the message is %q", r.Status.Warnings, r.Message)
	}
	if events := eventsOf[PodAnnotationsIgnored](l); len(events) != 1 {
		t.Errorf("the events are %+v", events)
	}
}

// TestTrouble: a node that cannot be cordoned says why and becomes Blocked, also
// if its status can be written; once it is cordoned the trouble is over.
func TestTrouble(t *testing.T) {
	s := newScene()
	n := s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	s.pod("n", "web-1")
	l := newLoop(s)
	l.denied = "admission says no"
	var plan *NodePlan
	for range 20 {
		plan = planOf(t, l.step(time.Second), "n")
	}
	if r := plan.Report(); plan.Phase != api.Blocked || !strings.Contains(r.Message, "cannot continue: admission says no") {
		t.Errorf("the node is %s and says %q", plan.Phase, r.Message)
	}
	l.denied = ""
	for range 3 {
		plan = planOf(t, l.step(time.Second), "n")
	}
	if plan.Phase != api.Draining || l.Memory.Nodes[n.UID].Trouble != "" {
		t.Errorf("the node is %s, in trouble: %q", plan.Phase, l.Memory.Nodes[n.UID].Trouble)
	}
}

// TestProbeRemembered: a probe that the server refused is not repeated for a
// while.
func TestProbeRemembered(t *testing.T) {
	l := crowd()
	var plan Plan
	for range 100 {
		if plan = l.step(10 * time.Second); len(plan.Grants) > 0 {
			break
		}
	}
	if len(plan.Grants) == 0 || !plan.Grants[0].Probe {
		t.Fatalf("granted %+v, want a probe", plan.Grants)
	}
	l.facts = append(l.facts, Answered{Grant: plan.Grants[0], Outcome: Outcome{Reason: BudgetNeverAllows}, At: l.Now})
	if again := l.step(10 * time.Second); len(again.Grants) > 0 {
		t.Errorf("the budget is probed again after 10s: %v", granted(again))
	}
	if again := l.step(probeInterval); len(again.Grants) != 1 {
		t.Errorf("granted %v after the interval, want one probe", granted(again))
	}
}

// TestRestartKeepsRefused: a pod that only the API server blocks, such as by a webhook, is
// as stuck after a restart as before, while it is sent again and after it is refused again.
func TestRestartKeepsRefused(t *testing.T) {
	s := newScene()
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	s.pod("n", "web-1")
	l := newLoop(s)
	refuse := func(p Plan) {
		for _, g := range p.Grants {
			l.facts = append(l.facts, Answered{Grant: g, Outcome: Outcome{Reason: Webhook, Code: "403", Message: "no"}, At: l.Now})
		}
	}
	for range 100 {
		refuse(l.step(10 * time.Second))
	}
	before := planOf(t, l.step(10*time.Second), "n")
	if before.Phase != api.Blocked || len(eventsOf[PodStuck](l)) != 1 {
		t.Fatalf("the node is %s, %d pods are told to be stuck", before.Phase, len(eventsOf[PodStuck](l)))
	}
	l.restart()
	l.step(0)
	for range 5 {
		p := l.step(time.Second)
		n := planOf(t, p, "n")
		if pod := n.Pods[0]; pod.State != Blocked || pod.Reason != Webhook || !pod.Since.Truncate(time.Second).Equal(before.Pods[0].Since.Truncate(time.Second)) {
			t.Errorf("the pod is %s by %q since %v, was since %v", pod.State, pod.Reason, pod.Since, before.Pods[0].Since)
		}
		if n.Memory.IdleSince.IsZero() || l.Now.Sub(n.Memory.IdleSince) < 10*time.Minute {
			t.Errorf("the drain is idle since %v", n.Memory.IdleSince)
		}
		refuse(p)
	}
	if told := len(eventsOf[PodStuck](l)) + len(eventsOf[PodBlocked](l)); told > 0 {
		t.Errorf("%d events are written again", told)
	}
}
