package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

// pacedScene has the nodes n, with web-1 and web-2, and m, with web-3.
func pacedScene() scene {
	s := newScene()
	s.Config.PaceWithoutBudget = true
	s.draining("n")
	s.draining("m")
	s.pod("n", "web-1")
	s.pod("n", "web-2")
	s.pod("m", "web-3")
	return s
}

// TestPace: of the pods of a controller without a budget one is granted, over all
// nodes, and none while another one leaves.
func TestPace(t *testing.T) {
	pod := func(s scene, name string) *Pod { return s.Memory.Pods[types.UID("uid-"+name)].Pod }
	const waits = "because it waits for the replacement of pod ns/web-3 to be Ready, for 2m at most"
	for name, test := range map[string]struct {
		prepare func(scene)
		granted string
		message string // of the node n
	}{
		"off":                       {func(s scene) { s.Config.PaceWithoutBudget = false }, "web-3 web-1 web-2", ""},
		"one of a controller":       {func(scene) {}, "web-3", "ns/web-1 (and 1 more) " + waits},
		"one of each controller":    {func(s scene) { s.pod("n", "db-1") }, "web-3 db-1", waits},
		"under a budget":            {func(s scene) { s.budget("web", "web", 3, 6, 3, 6) }, "web-3", ""},
		"not Ready":                 {func(s scene) { pod(s, "web-2").Ready = false }, "web-3 web-2", "ns/web-1 " + waits},
		"Pending":                   {func(s scene) { pod(s, "web-2").Phase, pod(s, "web-2").Ready = corev1.PodPending, false }, "web-3 web-2", waits},
		"finished":                  {func(s scene) { pod(s, "web-2").Phase = corev1.PodSucceeded }, "web-3 web-2", waits},
		"one is being sent":         {func(s scene) { s.InFlight["uid-web-3"] = Post{Sent: noon} }, "", waits},
		"one is not known to leave": {func(s scene) { s.remember(pod(s, "web-3"), PodMemory{FirstSeen: noon}.with(Tries{Uncertain: true})) }, "", waits},
		"one is evicted": {func(s scene) {
			s.remember(pod(s, "web-3"), PodMemory{FirstSeen: noon, Target: true, Paced: true}.with(Tries{AdmittedAt: noon}))
		}, "", waits},
		"one that was not Ready is evicted": {func(s scene) {
			s.remember(pod(s, "web-3"), PodMemory{FirstSeen: noon, Target: true}.with(Tries{AdmittedAt: noon}))
		}, "web-1", "ns/web-2 because it waits for the replacement of pod ns/web-1 to be Ready"},
		"one under a budget is being sent": {func(s scene) {
			pod(s, "web-3").Labels = "app=guarded"
			s.budget("guarded", "guarded", 3, 6, 3, 6)
			s.InFlight["uid-web-3"] = Post{Sent: noon}
		}, "web-1", "ns/web-2 because it waits for the replacement of pod ns/web-1 to be Ready"},
		"the last has not left after all": {func(s scene) {
			s.Memory.Paces = map[types.UID]PaceMemory{"rs-web": {Pod: pod(s, "web-3"), Own: true, LeftAt: noon.Add(-10 * time.Second)}}
		}, "web-3", "ns/web-1 (and 1 more) " + waits},
		"one leaves that somebody deleted": {func(s scene) { leave(pod(s, "web-3")) }, "", waits},
		"one leaves besides the last": {func(s scene) {
			s.remember(pod(s, "web-3"), PodMemory{FirstSeen: noon, Target: true, Paced: true}.with(Tries{AdmittedAt: noon.Add(-paceFor)}))
			leave(s.pod("m", "web-4"))
			s.Memory.Paces = map[types.UID]PaceMemory{"rs-web": {
				Pod: pod(s, "web-3"), Own: true, LeftAt: noon.Add(-paceFor), LeftFrom: 1,
			}}
		}, "", "because it waits for the replacement of pod ns/web-4 to be Ready"},
		"one has left for two minutes": {func(s scene) {
			s.remember(pod(s, "web-3"), PodMemory{FirstSeen: noon, Target: true, Paced: true}.with(Tries{AdmittedAt: noon.Add(-paceFor)}))
		}, "web-1", "ns/web-2 because it waits for the replacement of pod ns/web-1 to be Ready"},
		"the node disappears": {func(s scene) {
			s.Nodes[0].Annotations[api.DeadlineAnnotation] = clock(noon.Add(time.Hour))
		}, "web-1 web-2", ""},
		"without a controller": {func(s scene) {
			s.Config.BarePods = EvictBarePods
			for _, e := range s.Memory.Pods {
				e.Controller = Owner{}
			}
		}, "web-3 web-1 web-2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := pacedScene()
			test.prepare(s)
			plan := Make(s.Snapshot)
			if got := strings.Join(granted(plan), " "); got != test.granted {
				t.Errorf("granted are %q, want %q", got, test.granted)
			}
			n := planOf(t, plan, "n")
			if message := n.Report().Message; !strings.Contains(message, test.message) || test.message == "" && strings.Contains(message, "replacement") {
				t.Errorf("the message is %q, want %q", message, test.message)
			}
			for i := range n.Pods {
				if w := &n.Pods[i]; w.Reason == Pace && w.Stuck(noon.Add(time.Hour), time.Minute) {
					t.Errorf("%s counts as stuck", w.Pod.Name)
				}
			}
		})
	}
}

// leave lets a pod terminate, from noon on by the API server's clock.
func leave(p *Pod) { p.Deadline, p.Grace = noon.Add(30*time.Second), 30*time.Second }

// turns plans over a node with pods that no budget selects, as the controller does.
type turns struct {
	*loop
	*testing.T
}

func newTurns(t *testing.T, pods int) turns {
	t.Helper()
	s := newScene()
	s.Config.PaceWithoutBudget = true
	s.node("n", api.DrainAnnotation, "r")
	s.node("spare")
	for i := range pods {
		s.pod("n", fmt.Sprintf("web-%d", i+1))
	}
	l := newLoop(s)
	l.Began = noon.Add(-time.Hour)
	return turns{loop: l, T: t}
}

// granted plans until something is granted, which has to be the one pod, and evicts it.
func (l turns) granted(name string) {
	l.Helper()
	for range 10 {
		plan := l.step(time.Second)
		if len(plan.Grants) == 0 {
			continue
		}
		if got := granted(plan); !slices.Equal(got, []string{name}) {
			l.Fatalf("granted are %v, want %s", got, name)
		}
		l.facts = append(l.facts, Answered{Grant: plan.Grants[0], Outcome: Outcome{Reason: Admitted, Code: "201"}, At: l.Now})
		return
	}
	l.Fatalf("%s is not granted", name)
}

// leaves lets a pod terminate, from now on.
func (l turns) leaves(name string) {
	l.replace(name, func(p Pod) []*Pod {
		p.Deadline, p.Grace = l.Now.Add(30*time.Second), 30*time.Second
		return []*Pod{&p}
	})
}

// goes removes a pod.
func (l turns) goes(name string) { l.replace(name, func(Pod) []*Pod { return nil }) }

func (l turns) replace(name string, by func(Pod) []*Pod) {
	var pods []*Pod
	for _, p := range l.pods["n"] {
		if p.Name == name {
			pods = append(pods, by(*p)...)
		} else {
			pods = append(pods, p)
		}
	}
	l.pods["n"] = pods
}

// nothing plans once; nothing may be granted.
func (l turns) nothing(after time.Duration) Plan {
	l.Helper()
	plan := l.step(after)
	if len(plan.Grants) > 0 {
		l.Fatalf("granted are %v, want none", granted(plan))
	}
	return plan
}

// waits plans once and returns how many lists are asked for; nothing may be granted.
func (l turns) waits(after time.Duration) int {
	l.Helper()
	plan := l.nothing(after)
	if plan.Wake.IsZero() || plan.Wake.Sub(l.Now) > paceFor {
		l.Errorf("the next plan is at %v", plan.Wake)
	}
	return len(plan.SiblingReads)
}

// lists answers with a list that has begun just now.
func (l turns) lists(pods ...Sibling) {
	l.facts = append(l.facts, SiblingsListed{Controller: "rs-web", Siblings: pods, Began: l.Now})
}

// TestPaceTurns: the next pod leaves once the last one is gone and a pod that has been
// created since is Ready.
func TestPaceTurns(t *testing.T) {
	l := newTurns(t, 3)
	l.granted("web-1")
	left := l.Now
	ready := func(uid types.UID, created time.Time) Sibling {
		return Sibling{UID: uid, Created: created.Unix(), Ready: true}
	}
	if l.waits(time.Second) > 0 {
		t.Error("the pods are listed although the last one is still there")
	}
	l.leaves("web-1")
	from := l.Now
	l.waits(time.Second)
	l.lists(ready("new", from))
	l.waits(time.Second)
	l.goes("web-1")
	l.Memory.Paces["rs-web"] = func() PaceMemory { m := l.Memory.Paces["rs-web"]; m.Listed = nil; return m }()
	if n := l.waits(time.Second); n != 1 {
		t.Errorf("%d lists are asked for, want one", n)
	}
	for what, pods := range map[string][]Sibling{
		"no pod":                   {},
		"a pod from before":        {ready("old", from.Add(-time.Second))},
		"a replacement, not Ready": {{UID: "new", Created: from.Unix()}},
		"a replacement, leaving":   {{UID: "new", Created: from.Unix(), Ready: true, Leaving: true}},
		"the last one still there": {ready("new", from), {UID: "uid-web-1", Leaving: true}},
	} {
		l.lists(pods...)
		if l.waits(100*time.Millisecond) > 0 {
			t.Errorf("%s: the pods are listed again at once", what)
		}
	}
	if n := l.waits(3 * time.Second); n != 1 {
		t.Errorf("later %d lists are asked for, want one", n)
	}
	l.facts = append(l.facts, SiblingsListed{Controller: "rs-web", Siblings: []Sibling{ready("new", from)}, Began: left.Add(-time.Second)})
	l.waits(100 * time.Millisecond)
	l.lists(ready("new", from))
	l.granted("web-2")

	// What was there when the second one left does not replace it, also if it was
	// created in the same second.
	l.waits(0)
	l.replace("web-2", func(p Pod) []*Pod { p.Deadline, p.Grace = from.Add(30*time.Second), 30*time.Second; return []*Pod{&p} })
	l.waits(time.Second)
	l.goes("web-2")
	l.waits(time.Second)
	l.lists(ready("new", from))
	l.waits(time.Second)
	l.lists(ready("new", from), ready("not listed before", from.Add(-time.Minute)))
	l.waits(time.Second)
	l.lists(ready("new", from), ready("newer", from))
	l.granted("web-3")
}

// TestPaceLimit: where the last pod is not known to be replaced, the next one leaves two
// minutes after its eviction, and not before. Nobody lists the pods all the time.
func TestPaceLimit(t *testing.T) {
	for name, follow := range map[string]func(turns){
		"terminating":              func(l turns) { l.leaves("web-1") },
		"gone":                     func(l turns) { l.leaves("web-1"); l.step(0); l.goes("web-1") },
		"gone before anybody sees": func(l turns) { l.goes("web-1") },
	} {
		t.Run(name, func(t *testing.T) {
			l := newTurns(t, 2)
			l.granted("web-1")
			evicted, lists := l.Now, 0
			follow(l)
			for l.Now.Before(evicted.Add(paceFor - time.Second)) {
				lists += l.waits(500 * time.Millisecond)
				// One that was there before anybody evicted.
				l.lists(Sibling{UID: "old", Created: noon.Add(-time.Hour).Unix(), Ready: true})
			}
			if lists > 25 || lists < 5 && name != "terminating" || lists > 0 && name == "terminating" {
				t.Errorf("%d lists are asked for", lists)
			}
			l.granted("web-2")
			if waited := l.Now.Sub(evicted); waited > paceFor+2*time.Second {
				t.Errorf("the next one waits for %v", waited)
			}
		})
	}
}

// TestPaceFinished: a pod that has finished by the time that it is seen to terminate holds
// the next one like any other, and so does one that is not Ready by then.
func TestPaceFinished(t *testing.T) {
	for name, change := range map[string]func(*Pod){
		"finished":         func(p *Pod) { p.Phase, p.Deadline, p.Grace = corev1.PodSucceeded, noon.Add(time.Minute), time.Minute },
		"not Ready":        func(p *Pod) { p.Ready = false },
		"finished, before": func(p *Pod) { p.Phase = corev1.PodFailed },
	} {
		t.Run(name, func(t *testing.T) {
			l := newTurns(t, 2)
			l.granted("web-1")
			answer := l.facts
			l.facts = nil
			l.InFlight["uid-web-1"] = Post{Sent: l.Now}
			l.replace("web-1", func(p Pod) []*Pod { change(&p); return []*Pod{&p} })
			l.nothing(100 * time.Millisecond)
			delete(l.InFlight, "uid-web-1")
			l.facts = answer
			l.nothing(100 * time.Millisecond)
			l.leaves("web-1")
			l.nothing(100 * time.Millisecond)
			l.goes("web-1")
			l.waits(time.Second)
		})
	}
}

// TestPaceSomebodyElse: a pod that somebody else deletes holds the others, although it is
// no longer Ready by the time that it is seen to terminate; one that was not Ready before
// does not.
func TestPaceSomebodyElse(t *testing.T) {
	for ready, want := range map[bool][]string{true: nil, false: {"web-3"}} {
		s := pacedScene()
		web1 := s.Memory.Pods["uid-web-1"].Pod
		web1.Ready, s.Control = ready, Control{Paused: "x"}
		p := Make(s.Snapshot)
		s.Memory.Keep(&p, s.Config, s.Now)
		web1.Ready, s.Control = false, Control{}
		leave(web1)
		if got := granted(Make(s.Snapshot)); !slices.Equal(got, want) {
			t.Errorf("it was Ready %v: granted are %v, want %v", ready, got, want)
		}
	}
}

// TestPaceStaleList: what was Ready in a list long ago may not be so now.
func TestPaceStaleList(t *testing.T) {
	l := newTurns(t, 2)
	l.granted("web-1")
	l.leaves("web-1")
	from := l.Now
	l.waits(time.Second)
	l.goes("web-1")
	l.waits(time.Second)
	paused := l.Nodes[0].Annotations
	paused[api.PausedAnnotation] = "true"
	l.lists(Sibling{UID: "new", Created: from.Unix(), Ready: true})
	l.nothing(time.Second)
	l.nothing(time.Minute)
	delete(paused, api.PausedAnnotation)
	if n := l.waits(time.Second); n != 1 {
		t.Errorf("%d lists are asked for, want one", n)
	}
	l.lists(Sibling{UID: "new", Created: from.Unix(), Ready: true})
	l.granted("web-2")
}

// TestPaceSeenLate: of a pod that is seen to terminate only at its end, nobody knows when
// it began to. What the last list did not have replaces it.
func TestPaceSeenLate(t *testing.T) {
	l := newTurns(t, 3)
	l.granted("web-1")
	l.leaves("web-1")
	l.waits(time.Second)
	l.goes("web-1")
	l.waits(time.Second)
	first := Sibling{UID: "new", Created: l.Now.Unix(), Ready: true}
	l.lists(first)
	l.granted("web-2")
	from := l.Now
	l.waits(time.Second)
	l.replace("web-2", func(p Pod) []*Pod { p.Deadline, p.Grace = from.Add(2*time.Second), 0; return []*Pod{&p} })
	l.waits(time.Second)
	l.goes("web-2")
	l.waits(time.Second)
	l.lists(first)
	l.waits(time.Second)
	l.lists(first, Sibling{UID: "newer", Created: from.Unix(), Ready: true})
	l.granted("web-3")
}

// TestPaceForcedEnd: the kubelet ends a pod by deleting it with a grace period of 0, which
// makes it look as if it had begun to terminate only then. Its replacement is older.
func TestPaceForcedEnd(t *testing.T) {
	l := newTurns(t, 2)
	l.granted("web-1")
	l.leaves("web-1")
	from := l.Now
	l.waits(time.Second)
	l.replace("web-1", func(p Pod) []*Pod { p.Deadline, p.Grace = from.Add(2*time.Second), 0; return []*Pod{&p} })
	l.waits(time.Second)
	l.goes("web-1")
	l.waits(time.Second)
	l.lists(Sibling{UID: "new", Created: from.Unix(), Ready: true})
	l.granted("web-2")
}

// TestPaceRefused: a pod that is refused does not keep the turn.
func TestPaceRefused(t *testing.T) {
	l := newTurns(t, 2)
	for range 10 {
		if plan := l.step(time.Second); len(plan.Grants) > 0 {
			l.facts = append(l.facts, Answered{Grant: plan.Grants[0], Outcome: Outcome{Reason: Webhook, Code: "400"}, At: l.Now})
			break
		}
	}
	plan := l.step(100 * time.Millisecond)
	if got := granted(plan); !slices.Equal(got, []string{"web-2"}) {
		t.Errorf("granted are %v, want web-2", got)
	}
}

// TestPaceRefusedThenUnseen: if the pod whose turn it was is refused, the one that leaves in
// its place is replaced by what was not in the last list, also if nobody saw it terminate.
func TestPaceRefusedThenUnseen(t *testing.T) {
	l := newTurns(t, 3)
	l.Began = noon
	for range 5 {
		l.waits(500 * time.Millisecond)
	}
	all := []Sibling{{UID: "uid-web-1", Ready: true}, {UID: "uid-web-2", Ready: true}, {UID: "uid-web-3", Ready: true}}
	l.lists(all...)
	l.granted("web-1")
	l.facts[len(l.facts)-1] = Answered{
		Grant: Grant{Pod: l.Memory.Paces["rs-web"].Pod}, Outcome: Outcome{Reason: Webhook, Code: "400", RetryAfter: time.Hour}, At: l.Now,
	}
	l.granted("web-2")
	l.goes("web-2")
	l.waits(time.Second)
	l.lists(all[0], all[2])
	l.waits(time.Second)
	l.lists(all[0], all[2], Sibling{UID: "new", Ready: true, Created: l.Now.Unix()})
	l.granted("web-3")
}

// TestPaceRestart: a process that has just begun does not know what the one before has
// evicted: it evicts the first pod of a controller once all of its pods are Ready, or
// after two minutes.
func TestPaceRestart(t *testing.T) {
	begin := func() turns {
		l := newTurns(t, 2)
		l.Began = noon
		asked := 0
		for range 5 {
			asked += l.waits(500 * time.Millisecond)
		}
		if asked != 1 {
			t.Errorf("%d lists are asked for, want one", asked)
		}
		return l
	}
	l := begin()
	l.lists(Sibling{UID: "a", Ready: true}, Sibling{UID: "b"})
	l.waits(0)
	l.lists(Sibling{UID: "a", Ready: true}, Sibling{UID: "b", Ready: true, Leaving: true})
	l.waits(0)
	l.lists()
	l.waits(0)
	if message := planOf(t, l.step(0), "n").Report().Message; !strings.Contains(message, "because it waits until all pods of ReplicaSet ns/web are known to be Ready, for 2m at most") {
		t.Errorf("the message is %q", message)
	}
	l.lists(Sibling{UID: "a", Ready: true}, Sibling{UID: "b", Ready: true})
	l.granted("web-1")

	l = begin()
	for l.Now.Before(noon.Add(paceFor - time.Second)) {
		l.waits(time.Second)
	}
	l.granted("web-1")
	if len(l.Memory.Paces) != 1 {
		t.Errorf("remembered are %v", l.Memory.Paces)
	}
	l.goes("web-1")
	l.goes("web-2")
	for range 150 {
		l.step(time.Second)
	}
	if len(l.Memory.Paces) > 0 {
		t.Errorf("remembered for nobody are %v", l.Memory.Paces)
	}
}

// TestPaceOutbox: a grant of a plan that did not know of an eviction under way, or of
// an answer, waits for the next plan.
func TestPaceOutbox(t *testing.T) {
	first := pacedScene()
	pod := func(name string) Grant { return Grant{Pod: first.Memory.Pods[types.UID("uid-"+name)].Pod, paced: true} }
	reserve := func(types.NamespacedName, *Pod) bool { return true }
	o := NewOutbox(10)
	o.Publish([]Grant{pod("web-1")})
	g, taken := o.Take(noon, reserve)
	if !taken {
		t.Fatal("nothing is taken")
	}
	if o.Publish([]Grant{pod("web-2")}); o.Waiting() > 0 {
		t.Error("a pod is sent beside another one of its controller")
	}
	o.Answered(Answered{Grant: g, Outcome: Outcome{Reason: Admitted, Code: "201"}, At: noon})
	if o.Publish([]Grant{pod("web-2")}); o.Waiting() > 0 {
		t.Error("a pod is sent although the answer for another one is not known")
	}
	o.Collect()
	if o.Publish([]Grant{pod("web-2")}); o.Waiting() != 1 {
		t.Error("a pod is not sent")
	}
}
