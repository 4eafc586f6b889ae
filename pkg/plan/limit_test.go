package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

func shareOf(text string) Share {
	share, err := ParseShare(text)
	if err != nil {
		panic(err) // The test's own mistake.
	}
	return share
}

// asked adds a node with a request, which is as much younger than those before
// as they are many.
func (s scene) asked(name string, change ...func(*Node)) *Node {
	n := s.node(name, api.DrainAnnotation, "r")
	s.Memory.Nodes[n.UID] = NodeMemory{Request: "r", RequestedAt: noon.Add(time.Duration(len(s.Nodes)) * time.Second), Counted: true}
	for _, c := range change {
		c(n)
	}
	return n
}

// drained adds a node that is drained and not released.
func (s scene) drained(name string) *Node {
	n := s.draining(name)
	m := s.Memory.Nodes[n.UID]
	m.FinishedAt = noon.Add(-time.Second)
	s.Memory.Nodes[n.UID] = m
	return n
}

// spare adds nodes that are available.
func (s scene) spare(nodes int) {
	for i := range nodes {
		s.node(fmt.Sprintf("spare-%02d", i))
	}
}

func in(pool string) func(*Node) { return func(n *Node) { n.Pool = pool } }

func of(groups ...string) func(*Node) { return func(n *Node) { n.Groups = groups } }

func prior(priority string) func(*Node) {
	return func(n *Node) { n.Annotations[api.PriorityAnnotation] = priority }
}

// begun are the nodes that begin in a plan, in order of their names.
func begun(p Plan) []string {
	var names []string
	for _, n := range p.Nodes {
		if n.Memory.StartedAt.Equal(noon) {
			names = append(names, n.Node.Name)
		}
	}
	return names
}

// limitTest is a row of the tables of limits.
type limitTest struct {
	prepare func(scene)
	// begin are the nodes that begin; says is in the message of the node a, which
	// waits for what waits says.
	begin []string
	waits Queueing
	says  string
}

func checkLimits(t *testing.T, tests map[string]limitTest) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			test.prepare(s)
			plan := Make(s.Snapshot)
			if got := begun(plan); !slices.Equal(got, test.begin) {
				t.Errorf("%v begin, want %v", got, test.begin)
			}
			if test.waits == "" {
				return
			}
			a := planOf(t, plan, "a")
			if message := a.Report().Message; a.Facts.Queued != test.waits || !strings.Contains(message, test.says) {
				t.Errorf("a waits for %q and says %q, want %q and %q", a.Facts.Queued, message, test.waits, test.says)
			}
		})
	}
}

// TestMaxUnavailable: what counts, and what is let through.
func TestMaxUnavailable(t *testing.T) {
	one := func(s scene) { s.Config.MaxUnavailable = shareOf("1"); s.spare(3) }
	waits := func(says string) (Queueing, string) { return QueuedForAvailability, says }
	tests := map[string]limitTest{}
	add := func(name string, prepare func(scene), says string) {
		test := limitTest{prepare: func(s scene) { one(s); prepare(s); s.asked("a") }, begin: []string{"a"}}
		if says != "" {
			test.begin = nil
			test.waits, test.says = waits("waits for nodes to be available, place 1 in the queue: 1 nodes are unavailable, at most 1 may be: " + says)
		}
		tests[name] = test
	}
	add("none is unavailable", func(scene) {}, "")
	add("one is being drained", func(s scene) { s.draining("x") }, "1 being drained (x)")
	add("one is being drained, and not cordoned yet", func(s scene) { s.draining("x").Unschedulable = false }, "1 being drained (x)")
	add("one is being drained, and yields its slot", func(s scene) {
		s.Config.YieldAfter = time.Minute
		s.idle(s.draining("x"), time.Hour)
	}, "1 being drained (x)")
	add("a young one is being drained", func(s scene) { s.draining("x").Created = noon }, "1 being drained (x)")
	add("one is drained", func(s scene) { s.drained("x") }, "1 drained and not released (x)")
	add("one gave up", func(s scene) {
		s.Config.Timeout, s.Config.OnTimeout = time.Second, api.Stop
		s.draining("x")
	}, "1 cordoned (x)")
	add("one is cordoned", func(s scene) { s.node("x").Unschedulable = true }, "1 cordoned (x)")
	add("one is cordoned, and asked for", func(s scene) {
		s.asked("x", func(n *Node) { n.Unschedulable = true; n.Annotations[api.PausedAnnotation] = "true" })
	}, "1 cordoned (x)")
	add("one is cordoned and not served", func(s scene) { n := s.node("x"); n.Unschedulable, n.Served = true, false }, "")
	add("one is cordoned and ignored", func(s scene) { n := s.node("x"); n.Unschedulable, n.Ignored = true, true }, "")
	add("one is cordoned and being deleted", func(s scene) { n := s.node("x"); n.Unschedulable, n.Deleting = true, true }, "")
	add("one is cordoned and young", func(s scene) { n := s.node("x"); n.Unschedulable, n.Created = true, noon.Add(time.Second-youngFor) }, "")
	add("one is cordoned by drainer and young", func(s scene) {
		n := s.node("x")
		n.Unschedulable, n.OwnCordon, n.Created = true, true, noon
	}, "1 cordoned (x)")
	add("one is cordoned and no longer young", func(s scene) { n := s.node("x"); n.Unschedulable, n.Created = true, noon.Add(-youngFor) }, "1 cordoned (x)")
	add("one is not Ready", func(s scene) { n := s.node("x"); n.Ready, n.ReadySince = false, noon.Add(-notReadyFor) }, "1 not Ready (x)")
	add("one is not Ready for a moment", func(s scene) { n := s.node("x"); n.Ready, n.ReadySince = false, noon.Add(time.Second-notReadyFor) }, "")
	add("one is not Ready and young", func(s scene) { n := s.node("x"); n.Ready, n.Created = false, noon }, "")
	checkLimits(t, tests)
}

// TestMaxUnavailableGates: the limit gates starts only, and never that of a node
// that it counts.
func TestMaxUnavailableGates(t *testing.T) {
	tight := func(s scene) { s.Config.MaxUnavailable = shareOf("1"); s.spare(3) }
	checkLimits(t, map[string]limitTest{
		"no limit":      {prepare: func(s scene) { s.spare(1); s.drained("x"); s.asked("a"); s.asked("b") }, begin: []string{"a", "b"}},
		"one after one": {prepare: func(s scene) { tight(s); s.asked("b"); s.asked("a") }, begin: []string{"b"}, waits: QueuedForAvailability, says: "1 being drained (b)"},
		"a share": {prepare: func(s scene) {
			tight(s)
			s.Config.MaxUnavailable = shareOf("50%")
			s.asked("b")
			s.asked("c")
			s.asked("d")
			s.asked("a")
		}, begin: []string{"b", "c", "d"}, waits: QueuedForAvailability, says: "3 nodes are unavailable, at most 3 may be"},
		"an ignored one":        {prepare: func(s scene) { tight(s); s.drained("x"); s.asked("a", func(n *Node) { n.Ignored = true }) }, begin: []string{"a"}},
		"one that counts":       {prepare: func(s scene) { tight(s); s.drained("x"); s.asked("a", func(n *Node) { n.Unschedulable = true }) }, begin: []string{"a"}},
		"beside an ignored one": {prepare: func(s scene) { tight(s); s.asked("b", func(n *Node) { n.Ignored = true }); s.asked("a") }, begin: []string{"a", "b"}},
		"beside one that counts": {prepare: func(s scene) {
			tight(s)
			s.Config.MaxUnavailable = shareOf("2")
			s.asked("b", func(n *Node) { n.Unschedulable = true })
			s.asked("a")
		}, begin: []string{"a", "b"}},
		"one not Ready": {prepare: func(s scene) { tight(s); s.drained("x"); s.asked("a", func(n *Node) { n.Ready = false }) }, begin: []string{"a"}},
		"behind another": {prepare: func(s scene) {
			tight(s)
			s.drained("x")
			s.asked("a")
			s.asked("b", func(n *Node) { n.Unschedulable = true })
		}, begin: []string{"b"}, waits: QueuedForAvailability, says: "place 1"},
		"several reasons": {
			prepare: func(s scene) {
				tight(s)
				for i := range 5 {
					s.drained(fmt.Sprintf("d%d", i))
				}
				s.node("x").Unschedulable = true
				s.asked("a")
			}, waits: QueuedForAvailability,
			says: "6 nodes are unavailable, at most 1 may be: 5 drained and not released (d0, d1, d2, …), 1 cordoned (x)",
		},
	})
}

// TestMaxUnavailableShare: it is a share of the nodes that can be unavailable,
// at least 1.
func TestMaxUnavailableShare(t *testing.T) {
	for spare, want := range map[int]int{1: 1, 6: 1, 7: 2, 12: 3} {
		s := newScene()
		s.Config.MaxUnavailable = shareOf("20%")
		s.spare(spare)
		for i := range 20 {
			n := s.node(fmt.Sprintf("ignored-%d", i))
			n.Ignored, n.Unschedulable = true, true
		}
		for i := range 3 {
			s.asked(fmt.Sprintf("a%d", i))
		}
		if got := len(begun(Make(s.Snapshot))); got != want {
			t.Errorf("with %d spare nodes, %d begin, want %d", spare, got, want)
		}
	}
}

// TestMaxUnavailableLeavesDrains: a drain under way continues, and a release is
// made, however many nodes are unavailable.
func TestMaxUnavailableLeavesDrains(t *testing.T) {
	s := newScene()
	s.Config.MaxUnavailable = shareOf("1")
	s.spare(2)
	s.draining("x")
	s.draining("y")
	s.pod("y", "web-1")
	cancelled := s.node("z")
	cancelled.Unschedulable, cancelled.OwnCordon, cancelled.OwnStatus = true, true, true
	plan := Make(s.Snapshot)
	if got := granted(plan); !slices.Equal(got, []string{"web-1"}) {
		t.Errorf("%v are sent, want web-1", got)
	}
	if !planOf(t, plan, "z").Release {
		t.Error("z is not released")
	}
}

// TestPriority: who has the higher priority begins first, then who is older.
func TestPriority(t *testing.T) {
	one := func(s scene) { s.Config.MaxDraining = shareOf("1"); s.spare(1) }
	checkLimits(t, map[string]limitTest{
		"a higher one":     {prepare: func(s scene) { one(s); s.asked("a"); s.asked("b", prior("1")) }, begin: []string{"b"}, waits: QueuedForSlot, says: "place 1"},
		"a lower one":      {prepare: func(s scene) { one(s); s.asked("a", prior("-1")); s.asked("b") }, begin: []string{"b"}, waits: QueuedForSlot, says: "place 1"},
		"the same":         {prepare: func(s scene) { one(s); s.asked("b", prior("3")); s.asked("a", prior("3")) }, begin: []string{"b"}, waits: QueuedForSlot, says: "place 1"},
		"the last of them": {prepare: func(s scene) { one(s); s.asked("a"); s.asked("b", prior("1")); s.asked("c", prior("1")) }, begin: []string{"b"}, waits: QueuedForSlot, says: "place 2"},
		"no number":        {prepare: func(s scene) { one(s); s.asked("b", prior("first")); s.asked("a") }, begin: []string{"a"}},
	})
}

// TestRemoval: a node that is being removed is not begun, and holds nobody up.
func TestRemoval(t *testing.T) {
	checkLimits(t, map[string]limitTest{
		"deleted": {
			prepare: func(s scene) { s.spare(1); s.asked("a", func(n *Node) { n.Deleting = true }); s.asked("b") },
			begin:   []string{"b"}, waits: QueuedForRemoval, says: "does not start: the Node is being deleted",
		},
		"by an autoscaler": {
			prepare: func(s scene) { s.spare(1); s.asked("a", func(n *Node) { n.RemovalTaint = "karpenter.sh/disrupted" }) },
			waits:   QueuedForRemoval, says: "an autoscaler is removing the node (taint karpenter.sh/disrupted)",
		},
	})
	s := newScene()
	s.draining("x").RemovalTaint = "karpenter.sh/disrupted"
	s.pod("x", "web-1")
	if got := granted(Make(s.Snapshot)); len(got) != 1 {
		t.Errorf("a drain under way sends %v", got)
	}
}

// TestPendingPods: no drain begins while more pods than may be have no node.
func TestPendingPods(t *testing.T) {
	pending := func(pods int, most *int) func(scene) {
		return func(s scene) {
			s.Pending, s.Config.PendingPods = pods, most
			s.spare(1)
			s.asked("a")
		}
	}
	checkLimits(t, map[string]limitTest{
		"no limit": {prepare: pending(9, nil), begin: []string{"a"}},
		"as many":  {prepare: pending(3, new(3)), begin: []string{"a"}},
		"too many": {prepare: pending(4, new(3)), waits: QueuedForPods, says: "waits for pods to be scheduled, place 1 in the queue: 4 pods are unschedulable, and drains begin while there are at most 3"},
		"none may": {prepare: pending(1, new(0)), waits: QueuedForPods, says: "at most 0"},
	})
	s := newScene()
	pending(9, new(0))(s)
	s.draining("x")
	s.pod("x", "web-1")
	if got := granted(Make(s.Snapshot)); len(got) != 1 {
		t.Errorf("a drain under way sends %v", got)
	}
}

// TestPools: the slots and limits of pools, besides those of the others.
func TestPools(t *testing.T) {
	gpu := func(p Pool) func(scene) {
		return func(s scene) {
			p.Name = "gpu"
			s.Config.Pools = []Pool{{Name: "other"}, p}
			s.Config.MaxDraining = shareOf("1")
			s.spare(5)
		}
	}
	slots, available := gpu(Pool{MaxDraining: shareOf("50%")}), gpu(Pool{MaxDraining: shareOf("100%"), MaxUnavailable: shareOf("1")})
	checkLimits(t, map[string]limitTest{
		"a slot of the pool": {prepare: func(s scene) { slots(s); s.draining("x"); s.asked("a", in("gpu")) }, begin: []string{"a"}},
		"a full pool": {
			prepare: func(s scene) { slots(s); s.asked("b", in("gpu")); s.asked("c"); s.asked("a", in("gpu")) },
			begin:   []string{"b", "c"}, waits: QueuedForSlot, says: "place 1 in the queue: 1 of at most 1 nodes of pool gpu are being drained",
		},
		"a pool without slots of its own": {
			prepare: func(s scene) { slots(s); s.draining("x"); s.asked("a", in("other")) }, waits: QueuedForSlot, says: "1 of at most 1 nodes are being drained",
		},
		"too few available in the pool": {
			prepare: func(s scene) { available(s); s.drained("x").Pool = "gpu"; s.asked("a", in("gpu")); s.asked("b") },
			begin:   []string{"b"}, waits: QueuedForAvailability, says: "1 nodes of pool gpu are unavailable, at most 1 may be: 1 drained and not released (x)",
		},
		"too few available elsewhere": {prepare: func(s scene) { available(s); s.drained("x"); s.asked("a", in("gpu")) }, begin: []string{"a"}},
		"too few available in all": {
			prepare: func(s scene) {
				slots(s)
				s.Config.MaxUnavailable = shareOf("1")
				s.drained("x")
				s.asked("a", in("gpu"))
			},
			waits: QueuedForAvailability, says: "1 nodes are unavailable",
		},
	})
}

// TestPoolTimeout: the request's timeout comes before the pool's, and the pool's
// before that of all nodes.
func TestPoolTimeout(t *testing.T) {
	short, none := time.Second, time.Duration(0)
	for name, test := range map[string]struct {
		pool        Pool
		annotations []string
		want        api.Phase
		sends       bool
	}{
		"the pool's":                 {Pool{Timeout: &short, OnTimeout: api.Stop}, nil, api.TimedOut, false},
		"the pool's, which is none":  {Pool{Timeout: &none}, nil, api.Draining, true},
		"that of all, which is long": {Pool{OnTimeout: api.Stop}, nil, api.Draining, true},
		"the request's":              {Pool{Timeout: &short}, []string{api.TimeoutAnnotation, "2h"}, api.Draining, true},
		"what the request does then": {Pool{Timeout: &short, OnTimeout: api.Stop}, []string{api.OnTimeoutAnnotation, "Wait"}, api.TimedOut, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			test.pool.Name = "gpu"
			s.Config.Timeout, s.Config.Pools = time.Hour, []Pool{test.pool}
			s.draining("a", test.annotations...).Pool = "gpu"
			s.pod("a", "web-1")
			plan := Make(s.Snapshot)
			a := planOf(t, plan, "a")
			if sends := len(granted(plan)) > 0; a.Phase != test.want || sends != test.sends {
				t.Errorf("a is %s, sends %v; want %s, %v", a.Phase, sends, test.want, test.sends)
			}
			if got := a.Report().Status.Pool; got != "gpu" {
				t.Errorf("the status names the pool %q", got)
			}
		})
	}
}

// TestGroups: nodes of a group, and groups, that are drained at once.
func TestGroups(t *testing.T) {
	zones := func(limit Group) func(scene) {
		return func(s scene) {
			limit.Label = "zone"
			s.Config.Groups = []Group{limit}
			s.spare(1)
			s.draining("x").Groups = []string{"x"}
		}
	}
	each, some := zones(Group{MaxDraining: shareOf("1")}), zones(Group{MaxGroups: 1})
	checkLimits(t, map[string]limitTest{
		"another group": {prepare: func(s scene) { each(s); s.asked("a", of("y")) }, begin: []string{"a"}},
		"the group is full": {
			prepare: func(s scene) { each(s); s.asked("a", of("x")); s.asked("b", of("y")) },
			begin:   []string{"b"}, waits: QueuedForGroup, says: "place 1 in the queue: 1 of at most 1 nodes with zone=x are being drained",
		},
		"those without the label are one": {
			prepare: func(s scene) { each(s); s.asked("b"); s.asked("a", of("")) },
			begin:   []string{"b"}, waits: QueuedForGroup, says: "nodes without the label zone are being drained",
		},
		"a share of the group": {
			prepare: func(s scene) {
				each(s)
				s.Config.Groups[0].MaxDraining = shareOf("50%")
				for _, name := range []string{"b", "c", "a", "d"} {
					s.asked(name, of("y"))
				}
			},
			begin: []string{"b", "c"}, waits: QueuedForGroup, says: "2 of at most 2",
		},
		"a second group": {
			prepare: func(s scene) { some(s); s.asked("a", of("y")); s.asked("b", of("x")) },
			begin:   []string{"b"}, waits: QueuedForGroup, says: "at most 1 groups of nodes by zone are drained at once; being drained now: those with zone=x",
		},
		"the second of two limits": {
			prepare: func(s scene) {
				each(s)
				s.Config.Groups = append(s.Config.Groups, Group{Label: "rack", MaxDraining: shareOf("1")})
				s.Nodes[1].Groups = []string{"x", "r"}
				s.asked("a", of("y", "r"))
			},
			waits: QueuedForGroup, says: "nodes with rack=r are being drained",
		},
	})
}

// idle lets a node's drain have made no progress for as long.
func (s scene) idle(n *Node, since time.Duration) {
	m := s.Memory.Nodes[n.UID]
	m.IdleSince = s.Now.Add(-since)
	s.Memory.Nodes[n.UID] = m
	s.pod(n.Name, "stuck-"+n.Name, func(p *Pod) { p.Controller = Owner{} })
}

// TestShares: the larger of two, and which is less whatever they are of.
func TestShares(t *testing.T) {
	larger := shareOf("3").OrMore(shareOf("20%"))
	for total, want := range map[int]int{1: 3, 15: 3, 20: 4} {
		if got := larger.Of(total); got != want {
			t.Errorf("the larger of 3 and 20%% of %d is %d, want %d", total, got, want)
		}
	}
	for _, test := range []struct {
		a, b string
		want bool
	}{{"1", "2", true}, {"2", "2", false}, {"3", "2", false}, {"5%", "10%", true}, {"10%", "10%", false}, {"1", "100%", false}, {"1%", "100", false}} {
		if got := shareOf(test.a).Below(shareOf(test.b)); got != test.want {
			t.Errorf("%s is below %s: %v", test.a, test.b, got)
		}
	}
}
