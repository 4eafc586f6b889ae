package drain

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// scene builds a snapshot.
type scene struct{ *Snapshot }

func newScene() scene {
	share, _ := ParseShare("100%")
	return scene{&Snapshot{
		Now: noon,
		Config: Config{
			MaxDraining: share, Settle: 5 * time.Second, StuckAfter: 5 * time.Minute, OnTimeout: api.Wait,
			BarePods: BlockBarePods, EmptyDir: EvictEmptyDir,
		},
		Pods: map[string][]*Pod{}, DaemonSets: map[types.UID]bool{}, Budgets: map[string]NamespaceBudgets{},
		InFlight: map[types.UID]bool{},
		Memory: Memory{
			Nodes: map[types.UID]NodeMemory{}, Pods: map[types.UID]*PodMemory{}, Budgets: map[types.UID]BudgetMemory{},
		},
	}}
}

// node adds a Ready node with annotations, given as keys and values in turn.
func (s scene) node(name string, annotations ...string) *Node {
	n := &Node{Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1", Ready: true, Annotations: map[string]string{}}
	for i := 0; i < len(annotations); i += 2 {
		n.Annotations[annotations[i]] = annotations[i+1]
	}
	s.Nodes = append(s.Nodes, n)
	return n
}

// draining adds a node that was cordoned a minute ago for the request "r".
func (s scene) draining(name string, annotations ...string) *Node {
	n := s.node(name, append([]string{api.DrainAnnotation, "r"}, annotations...)...)
	n.Unschedulable, n.OwnCordon, n.OwnStatus = true, true, true
	begun := s.Now.Add(-time.Minute)
	s.Memory.Nodes[n.UID] = NodeMemory{Request: "r", RequestedAt: begun, StartedAt: begun, CordonSeen: begun, Phase: api.Draining, looked: true}
	s.Pods[name] = []*Pod{}
	return n
}

// pod adds a ready pod of a ReplicaSet to a node.
func (s scene) pod(node, name string, change ...func(*Pod)) *Pod {
	app, _, _ := strings.Cut(name, "-")
	p := &Pod{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name), Node: node, Phase: corev1.PodRunning, Ready: true,
		Labels:     labels.Set{"app": app},
		Controller: Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app, UID: types.UID("rs-" + app)},
	}
	for _, c := range change {
		c(p)
	}
	s.Pods[node] = append(s.Pods[node], p)
	return p
}

// budget adds a budget over the pods of an app.
func (s scene) budget(name, app string, allowed, healthy, desired, expected int32) *Budget {
	b := &Budget{
		Namespace: "ns", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1", Observed: true,
		Selector: labels.SelectorFromSet(labels.Set{"app": app}),
		Allowed:  allowed, CurrentHealthy: healthy, DesiredHealthy: desired, ExpectedPods: expected,
	}
	all := s.Budgets["ns"]
	s.Budgets["ns"] = NamespaceBudgets{Epoch: all.Epoch + 1, List: append(all.List, BudgetView{Budget: b, Free: int(allowed)})}
	return b
}

func planOf(t *testing.T, p Plan, node string) NodePlan {
	t.Helper()
	for _, n := range p.Nodes {
		if n.Node.Name == node {
			return n
		}
	}
	t.Fatalf("the plan has no node %s", node)
	return NodePlan{}
}

func granted(p Plan) []string {
	names := make([]string, 0, len(p.Grants))
	for _, g := range p.Grants {
		names = append(names, g.Pod.Name)
	}
	return names
}

// TestClassify: §3 of the design, line by line.
func TestClassify(t *testing.T) {
	finished := func(p *Pod) { p.Phase, p.Ready = corev1.PodSucceeded, false }
	bare := func(p *Pod) { p.Controller = Owner{} }
	daemon := func(p *Pod) {
		p.Controller = Owner{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "ds"}
	}
	deleted := func(p *Pod) { p.Deadline, p.Grace = noon.Add(10*time.Second), 30*time.Second }
	for name, test := range map[string]struct {
		change  []func(*Pod)
		prepare func(scene)
		state   State
		reason  Reason
		sent    bool
	}{
		"of a ReplicaSet":              {state: Wanted, sent: true},
		"static":                       {change: []func(*Pod){func(p *Pod) { p.Static = true }}, state: Left},
		"of a DaemonSet":               {change: []func(*Pod){daemon}, prepare: func(s scene) { s.DaemonSets["ds"] = true }, state: Left},
		"finished of a DaemonSet":      {change: []func(*Pod){daemon, finished}, prepare: func(s scene) { s.DaemonSets["ds"] = true }, state: Left},
		"of a DaemonSet just gone":     {change: []func(*Pod){daemon}, state: Wanted},
		"of a DaemonSet long gone":     {change: []func(*Pod){daemon}, prepare: seenLongAgo, state: Wanted, sent: true},
		"of another kind's set":        {change: []func(*Pod){daemon, func(p *Pod) { p.Controller.APIVersion = "x.io/v1" }}, state: Wanted, sent: true},
		"finished":                     {change: []func(*Pod){finished}, state: Wanted, sent: true},
		"terminating":                  {change: []func(*Pod){deleted}, state: Terminating, reason: GracePeriod},
		"overdue":                      {change: []func(*Pod){deleted, func(p *Pod) { p.Deadline = noon.Add(-time.Minute) }}, state: Terminating, reason: Kubelet},
		"held by a finalizer":          {change: []func(*Pod){deleted, func(p *Pod) { p.Finalizers, p.Stopped = []string{"x/y"}, true }}, state: Terminating, reason: Finalizer},
		"bare":                         {change: []func(*Pod){bare}, state: BlockedPod, reason: BarePod},
		"bare, to be evicted":          {change: []func(*Pod){bare}, prepare: func(s scene) { s.Config.BarePods = EvictBarePods }, state: Wanted, sent: true},
		"bare, to be skipped":          {change: []func(*Pod){bare}, prepare: func(s scene) { s.Config.BarePods = SkipBarePods }, state: Left},
		"bare and finished":            {change: []func(*Pod){bare, finished}, state: Wanted, sent: true},
		"with an emptyDir":             {change: []func(*Pod){func(p *Pod) { p.EmptyDir = true }}, state: Wanted, sent: true},
		"with an emptyDir to keep":     {change: []func(*Pod){func(p *Pod) { p.EmptyDir = true }}, prepare: func(s scene) { s.Config.EmptyDir = BlockEmptyDir }, state: BlockedPod, reason: EmptyDirVolume},
		"being sent":                   {prepare: func(s scene) { s.InFlight["uid-web-1"] = true }, state: Wanted},
		"throttled":                    {prepare: func(s scene) { s.Throttled = noon.Add(time.Second) }, state: BlockedPod, reason: Throttled},
		"drainer's own, others stay":   {prepare: func(s scene) { s.Config.OwnPod = "uid-web-1"; s.pod("n", "other-1") }, state: BlockedPod, reason: Order},
		"drainer's own, alone":         {prepare: func(s scene) { s.Config.OwnPod = "uid-web-1"; s.node("spare") }, state: Wanted, sent: true},
		"drainer's own, nowhere to go": {prepare: func(s scene) { s.Config.OwnPod = "uid-web-1" }, state: BlockedPod, reason: Order},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n")
			s.pod("n", "web-1", test.change...)
			if test.prepare != nil {
				test.prepare(s)
			}
			plan := Make(s.Snapshot)
			got := planOf(t, plan, "n").Pods[0]
			if got.State != test.state || got.Reason != test.reason {
				t.Errorf("state %s, reason %q; want %s, %q", got.State, got.Reason, test.state, test.reason)
			}
			if sent := slices.Contains(granted(plan), "web-1"); sent != test.sent {
				t.Errorf("sent: %v, want %v", sent, test.sent)
			}
		})
	}
}

func seenLongAgo(s scene) {
	s.Memory.Pods["uid-web-1"] = &PodMemory{FirstSeen: noon.Add(-time.Minute)}
}

// TestAdmission: a pod that would be refused is not sent.
func TestAdmission(t *testing.T) {
	unready := func(p *Pod) { p.Ready = false }
	for name, test := range map[string]struct {
		change  func(*Pod)
		budgets func(scene)
		reason  Reason // empty: sent
		spends  bool
	}{
		"no budget":                   {budgets: func(s scene) { s.budget("p", "other", 0, 1, 1, 1) }},
		"room":                        {budgets: func(s scene) { s.budget("p", "web", 1, 3, 2, 3) }, spends: true},
		"used up":                     {budgets: func(s scene) { s.budget("p", "web", 0, 2, 2, 3) }, reason: BudgetExhausted},
		"never, by the numbers":       {budgets: func(s scene) { s.budget("p", "web", 0, 3, 3, 3) }, reason: BudgetNeverAllows},
		"never, by the spec":          {budgets: func(s scene) { s.budget("p", "web", 0, 2, 3, 3).ZeroBySpec = true }, reason: BudgetNeverAllows},
		"not observed":                {budgets: func(s scene) { s.budget("p", "web", 1, 3, 2, 3).Observed = false }, reason: BudgetUnsynced},
		"sync failed":                 {budgets: func(s scene) { s.budget("p", "web", 0, 0, 0, 0).SyncFailed = "no scale" }, reason: BudgetSyncFailed},
		"unready, budget healthy":     {change: unready, budgets: func(s scene) { s.budget("p", "web", 0, 2, 2, 3) }},
		"unready, budget not healthy": {change: unready, budgets: func(s scene) { s.budget("p", "web", 0, 1, 2, 3) }, reason: BudgetExhausted},
		"unready, always allowed":     {change: unready, budgets: func(s scene) { s.budget("p", "web", 0, 1, 2, 3).AlwaysAllow = true }},
		"pending":                     {change: func(p *Pod) { p.Phase, p.Ready = corev1.PodPending, false }, budgets: func(s scene) { s.budget("p", "web", 0, 0, 2, 3) }},
		"finished":                    {change: func(p *Pod) { p.Phase, p.Ready = corev1.PodFailed, false }, budgets: func(s scene) { s.budget("p", "web", 0, 0, 2, 3) }},
		"two budgets, not asked":      {budgets: func(s scene) { s.budget("p", "web", 0, 2, 2, 3); s.budget("q", "web", 0, 2, 2, 3) }},
		"two budgets, asked": {budgets: func(s scene) {
			s.budget("p", "web", 0, 2, 2, 3)
			s.budget("q", "web", 0, 2, 2, 3)
			s.Memory.Pods["uid-web-1"] = &PodMemory{FirstSeen: noon, AskedSets: "uid-p uid-q "}
		}, reason: MultipleBudgets},
		"three budgets, asked for two": {budgets: func(s scene) {
			for _, name := range []string{"p", "q", "r"} {
				s.budget(name, "web", 0, 2, 2, 3)
			}
			s.Memory.Pods["uid-web-1"] = &PodMemory{FirstSeen: noon, AskedSets: "uid-p uid-q "}
		}},
		"reserved": {budgets: func(s scene) {
			s.budget("p", "web", 1, 3, 2, 3)
			s.Budgets["ns"].List[0].Free = 0
		}, reason: BudgetExhausted},
		"refused a moment ago": {budgets: func(s scene) {
			s.Memory.Pods["uid-web-1"] = &PodMemory{FirstSeen: noon, RetryAt: noon.Add(time.Second), Outcome: Outcome{Reason: Webhook, Message: "no"}}
		}, reason: Webhook},
		"refused by a budget that has changed": {budgets: func(s scene) {
			s.budget("p", "web", 1, 3, 2, 3)
			s.Memory.Pods["uid-web-1"] = &PodMemory{
				FirstSeen: noon, RetryAt: noon.Add(time.Second), Outcome: Outcome{Reason: BudgetExhausted}, RefusedVersions: "0 ",
			}
		}, spends: true},
		"too many disruptions pending": {budgets: func(s scene) {
			b := s.budget("p", "web", 1, 3, 2, 3)
			b.Disrupted = map[string]bool{}
			for i := range maxDisrupted + 1 {
				b.Disrupted[fmt.Sprint(i)] = true
			}
		}, reason: BudgetExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.draining("n")
			pod := s.pod("n", "web-1")
			if test.change != nil {
				test.change(pod)
			}
			test.budgets(s)
			plan := Make(s.Snapshot)
			state := planOf(t, plan, "n").Pods[0]
			if state.Reason != test.reason || (state.State == BlockedPod) != (test.reason != "") {
				t.Errorf("state %s, reason %q; want reason %q", state.State, state.Reason, test.reason)
			}
			if sent := len(plan.Grants) == 1; sent != (test.reason == "") {
				t.Fatalf("sent: %v", sent)
			}
			if test.reason == "" && (plan.Grants[0].Budget.Name != "") != test.spends {
				t.Errorf("spends %v, want a budget: %v", plan.Grants[0].Budget, test.spends)
			}
		})
	}
}

// TestSends: nothing is sent unless everything stands for it.
func TestSends(t *testing.T) {
	for name, test := range map[string]struct {
		change func(scene, *Node)
		sends  bool
		phase  api.Phase
	}{
		"cordoned":        {func(scene, *Node) {}, true, api.Draining},
		"not cordoned":    {func(_ scene, n *Node) { n.Unschedulable, n.OwnCordon = false, false }, false, api.Draining},
		"not our cordon":  {func(_ scene, n *Node) { n.OwnCordon = false }, false, api.Draining},
		"not listed":      {func(s scene, n *Node) { delete(s.Pods, n.Name) }, false, api.Draining},
		"paused":          {func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" }, false, api.Paused},
		"invalid":         {func(_ scene, n *Node) { n.Annotations[api.Prefix+"dryrun"] = "true" }, false, api.InvalidRequest},
		"timed out, Wait": {func(_ scene, n *Node) { n.Annotations[api.TimeoutAnnotation] = "30s" }, true, api.TimedOut},
		"timed out, Stop": {func(_ scene, n *Node) {
			n.Annotations[api.TimeoutAnnotation], n.Annotations[api.OnTimeoutAnnotation] = "30s", "Stop"
		}, false, api.TimedOut},
		"in time": {func(_ scene, n *Node) { n.Annotations[api.TimeoutAnnotation] = "2m" }, true, api.Draining},
		"paused for long enough to be in time": {func(s scene, n *Node) {
			n.Annotations[api.TimeoutAnnotation] = "30s"
			m := s.Memory.Nodes[n.UID]
			m.PausedFor = 40 * time.Second
			s.Memory.Nodes[n.UID] = m
		}, true, api.Draining},
		"instruction on the pod": {func(s scene, n *Node) { s.Pods[n.Name][0].Instructions = []string{"drainer.dev/drain"} }, false, api.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			n := s.draining("n")
			s.pod("n", "web-1")
			test.change(s, n)
			plan := Make(s.Snapshot)
			if sends := len(plan.Grants) > 0; sends != test.sends {
				t.Errorf("sends: %v, want %v", sends, test.sends)
			}
			if phase := planOf(t, plan, "n").Phase; phase != test.phase {
				t.Errorf("phase %s, want %s", phase, test.phase)
			}
		})
	}
}

// TestStart: who may begin, and what the others wait for.
func TestStart(t *testing.T) {
	request := func(s scene, names ...string) {
		for i, name := range names {
			n := s.node(name, api.DrainAnnotation, "r")
			s.Memory.Nodes[n.UID] = NodeMemory{Request: "r", RequestedAt: noon.Add(time.Duration(i) * time.Second), looked: true}
		}
	}
	limit := func(s scene, text string) {
		share, err := ParseShare(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Config.MaxDraining = share
	}
	for name, test := range map[string]struct {
		prepare func(scene)
		// started are the nodes that begin; says is in the message of others.
		started []string
		says    map[string]string
	}{
		"all of them": {func(s scene) { request(s, "a", "b"); s.node("spare") }, []string{"a", "b"}, nil},
		"in the order of their requests": {func(s scene) {
			limit(s, "1")
			request(s, "z", "a", "b")
			s.node("spare")
		}, []string{"z"}, map[string]string{"a": "place 1 in the queue: 1 of at most 1", "b": "place 2 in the queue"}},
		"a share, rounded down": {func(s scene) {
			limit(s, "50%")
			request(s, "a", "b")
			s.node("spare")
		}, []string{"a"}, map[string]string{"b": "place 1"}},
		"at least one":              {func(s scene) { limit(s, "1%"); request(s, "a"); s.node("spare") }, []string{"a"}, nil},
		"not the last node":         {func(s scene) { request(s, "a", "b") }, []string{"a"}, map[string]string{"b": "last schedulable Ready node"}},
		"the last node, if allowed": {func(s scene) { s.Config.AllowLastNode = true; request(s, "a") }, []string{"a"}, nil},
		"a node that takes no pods anyway": {func(s scene) {
			request(s, "a")
			s.Nodes[0].Ready = false
		}, []string{"a"}, nil},
		"a node that repels is no place to go": {func(s scene) {
			request(s, "a")
			s.node("tainted").Repelling = true
		}, nil, map[string]string{"a": "last schedulable Ready node"}},
		"a drain under way holds a slot": {func(s scene) {
			limit(s, "1")
			s.draining("busy")
			s.pod("busy", "web-1")
			request(s, "a")
			s.node("spare")
		}, nil, map[string]string{"a": "place 1"}},
		"a drained node does not": {func(s scene) {
			limit(s, "1")
			n := s.draining("done")
			m := s.Memory.Nodes[n.UID]
			m.FinishedAt = noon
			s.Memory.Nodes[n.UID] = m
			request(s, "a")
			s.node("spare")
		}, []string{"a"}, nil},
		"not before its time": {func(s scene) {
			request(s, "a")
			s.Nodes[0].Annotations[api.NotBeforeAnnotation] = "2030-01-31T12:00:01Z"
			s.node("spare")
		}, nil, map[string]string{"a": "not before 2030-01-31T12:00:01Z"}},
		"not while paused": {func(s scene) {
			request(s, "a")
			s.Nodes[0].Annotations[api.PausedAnnotation] = "true"
			s.node("spare")
		}, nil, map[string]string{"a": "paused before it began"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			test.prepare(s)
			plan := Make(s.Snapshot)
			var started []string
			for _, n := range plan.Nodes {
				if n.Memory.StartedAt.Equal(noon) {
					started = append(started, n.Node.Name)
					if !n.Cordon || !n.Watch {
						t.Errorf("%s begins and is not cordoned or not watched", n.Node.Name)
					}
				}
			}
			if !slices.Equal(started, test.started) {
				t.Errorf("started %v, want %v", started, test.started)
			}
			for name, says := range test.says {
				n := planOf(t, plan, name)
				if !strings.Contains(n.Report.Message, says) || n.Cordon || n.Report.InProgress != corev1.ConditionFalse {
					t.Errorf("%s says %q, cordon %v; want %q", name, n.Report.Message, n.Cordon, says)
				}
				if queues := strings.Contains(says, "place"); n.Taint != (queues || strings.Contains(says, "last")) {
					t.Errorf("%s gets the taint: %v", name, n.Taint)
				}
			}
		})
	}
}

// TestDrained: the promise is only looked for when everything stands still.
func TestDrained(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(scene, *Node)
		confirm bool
	}{
		"empty":             {func(scene, *Node) {}, true},
		"a pod":             {func(s scene, _ *Node) { s.pod("n", "web-1") }, false},
		"a pod that leaves": {func(s scene, _ *Node) { s.pod("n", "web-1", func(p *Pod) { p.Deadline = noon }) }, false},
		"a pod that stays":  {func(s scene, _ *Node) { s.pod("n", "static-1", func(p *Pod) { p.Static = true }) }, true},
		"not cordoned":      {func(_ scene, n *Node) { n.Unschedulable = false }, false},
		"not settled": {func(s scene, n *Node) {
			m := s.Memory.Nodes[n.UID]
			m.CordonSeen = noon.Add(-4 * time.Second)
			s.Memory.Nodes[n.UID] = m
		}, false},
		"paused":     {func(_ scene, n *Node) { n.Annotations[api.PausedAnnotation] = "true" }, false},
		"not listed": {func(s scene, n *Node) { delete(s.Pods, n.Name) }, false},
		"drained before": {func(s scene, n *Node) {
			m := s.Memory.Nodes[n.UID]
			m.FinishedAt = noon
			s.Memory.Nodes[n.UID] = m
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			test.change(s, s.draining("n"))
			if got := planOf(t, Make(s.Snapshot), "n").Confirm; got != test.confirm {
				t.Errorf("confirm: %v, want %v", got, test.confirm)
			}
		})
	}
}

// TestDrainedTurnsBack: a wanted pod on a drained node takes the promise back.
func TestDrainedTurnsBack(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	m := s.Memory.Nodes[n.UID]
	m.FinishedAt = noon.Add(-10 * time.Second)
	s.Memory.Nodes[n.UID] = m
	s.pod("n", "late-1")
	plan := planOf(t, Make(s.Snapshot), "n")
	if plan.Phase != api.Draining || plan.Report.Drained != corev1.ConditionFalse || plan.Report.InProgress != corev1.ConditionTrue {
		t.Errorf("phase %s, Drained %s", plan.Phase, plan.Report.Drained)
	}
	if got := plan.Memory.active(noon); got != 50*time.Second {
		t.Errorf("the drain has taken %v, want the 50s before it was done", got)
	}
}

// TestBlocked: a turn of a budget is not a change of phase.
func TestBlocked(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	s.pod("n", "web-1")
	s.budget("p", "web", 0, 2, 2, 3)
	plan := planOf(t, Make(s.Snapshot), "n")
	if plan.Phase != api.Draining || !plan.Memory.IdleSince.Equal(noon) {
		t.Fatalf("phase %s, idle since %v", plan.Phase, plan.Memory.IdleSince)
	}
	s.Memory.Nodes[n.UID] = plan.Memory
	s.Now = noon.Add(blockedAfter)
	plan = planOf(t, Make(s.Snapshot), "n")
	if plan.Phase != api.Blocked || plan.Report.InProgress != corev1.ConditionTrue || plan.Report.Status.Reason != string(BudgetExhausted) {
		t.Errorf("phase %s, DrainInProgress %s, reason %s", plan.Phase, plan.Report.InProgress, plan.Report.Status.Reason)
	}
	if !strings.Contains(plan.Report.Message, "ns/web-1 by PDB ns/p (needs 2 healthy, has 2)") {
		t.Errorf("the message is %q", plan.Report.Message)
	}
}

// TestRelease: what is ours is taken away when nobody asks any more.
func TestRelease(t *testing.T) {
	s := newScene()
	s.node("untouched")
	s.node("cordon").OwnCordon = true
	s.node("status").OwnStatus = true
	s.node("taint").QueuedTaint = true
	off := s.node("off", api.DrainAnnotation, "False")
	off.OwnCordon = true
	var released []string
	for _, n := range Make(s.Snapshot).Nodes {
		if !n.Release {
			t.Errorf("%s is planned and not released", n.Node.Name)
		}
		released = append(released, n.Node.Name)
	}
	if want := []string{"cordon", "off", "status", "taint"}; !slices.Equal(released, want) {
		t.Errorf("released %v, want %v", released, want)
	}
}

// TestRecall: a new process goes on from the Node alone.
func TestRecall(t *testing.T) {
	started := noon.Add(-time.Hour)
	status := api.Status{Request: "r", Phase: api.Draining, RequestedAt: &started, StartedAt: &started, Pods: api.PodCounts{Wanted: 3, Gone: 4}}
	s := newScene()
	s.node("spare")
	n := s.node("n", api.DrainAnnotation, "r", api.StatusAnnotation, status.Format())
	n.Unschedulable, n.OwnCordon, n.OwnStatus = true, true, true
	s.Pods["n"] = nil
	s.pod("n", "web-1")
	plan := planOf(t, Make(s.Snapshot), "n")
	if !plan.Memory.StartedAt.Equal(started) {
		t.Errorf("started at %v, want %v", plan.Memory.StartedAt, started)
	}
	// Of the 3 that remained, 2 have gone while nobody looked.
	if plan.Report.Status.Pods.Gone != 6 {
		t.Errorf("%d pods are gone, want 6", plan.Report.Status.Pods.Gone)
	}
	// Another request begins anew.
	n.Annotations[api.DrainAnnotation] = "r2"
	if plan := planOf(t, Make(s.Snapshot), "n"); !plan.Memory.StartedAt.Equal(noon) || plan.Report.Status.Pods.Gone != 0 {
		t.Errorf("another request started at %v with %d gone", plan.Memory.StartedAt, plan.Report.Status.Pods.Gone)
	}
}

// TestUncordon: the first outside uncordon is put right at once, the next ones
// with growing delay.
func TestUncordon(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	var delays []time.Duration
	for range 4 {
		n.Unschedulable, n.OwnCordon = false, false
		plan := planOf(t, Make(s.Snapshot), "n")
		s.Memory.Nodes[n.UID] = plan.Memory
		waited := time.Duration(0)
		for !plan.Cordon {
			s.Now, waited = s.Now.Add(time.Second), waited+time.Second
			plan = planOf(t, Make(s.Snapshot), "n")
		}
		delays = append(delays, waited)
		n.Unschedulable, n.OwnCordon = true, true
		s.Memory.Nodes[n.UID] = planOf(t, Make(s.Snapshot), "n").Memory
	}
	if want := []time.Duration{0, 5 * time.Second, 10 * time.Second, 20 * time.Second}; !slices.Equal(delays, want) {
		t.Errorf("put back after %v, want %v", delays, want)
	}
}

// TestReturning: what keeps coming back waits longer each time; what came
// together with the first one does not.
func TestReturning(t *testing.T) {
	seen := noon
	node := NodeMemory{CordonSeen: seen}
	early, late := &PodMemory{FirstSeen: seen}, &PodMemory{FirstSeen: seen.Add(time.Second)}
	if node.late(early) || !node.late(late) {
		t.Error("late is what came after the cordon was seen")
	}
	r := Return{}.evicted(late, seen.Add(2*time.Second))
	together := &PodMemory{FirstSeen: seen.Add(time.Second)}
	if r = r.evicted(together, seen.Add(3*time.Second)); r.Count != 1 {
		t.Errorf("two that came together count %d", r.Count)
	}
	var delays []time.Duration
	for i := range 7 {
		delays = append(delays, r.delay())
		at := seen.Add(time.Duration(i+1) * time.Minute)
		r = r.evicted(&PodMemory{FirstSeen: at}, at.Add(time.Second))
	}
	if delays[0] != returnDelay || delays[1] != 2*returnDelay || delays[6] != returnDelayMost {
		t.Errorf("the delays are %v", delays)
	}
}

// TestProof: one stuck pod of a budget is sent, now and then, and no other
// while it is under way.
func TestProof(t *testing.T) {
	s := newScene()
	s.draining("n")
	b := s.budget("p", "web", 0, 2, 2, 2)
	for _, name := range []string{"web-1", "web-2"} {
		pod := s.pod("n", name)
		s.Memory.Pods[pod.UID] = &PodMemory{Pod: pod, FirstSeen: noon, BlockedSince: noon.Add(-s.Config.StuckAfter), BlockedBy: BudgetNeverAllows}
	}
	plan := Make(s.Snapshot)
	if len(plan.Grants) != 1 || !plan.Grants[0].Proof || plan.Grants[0].Budget.Name != "" {
		t.Fatalf("the grants are %+v, want one proof", plan.Grants)
	}
	s.InFlight[plan.Grants[0].Pod.UID] = true
	if plan := Make(s.Snapshot); len(plan.Grants) != 0 {
		t.Errorf("another proof is sent while one is under way: %v", granted(plan))
	}
	clear(s.InFlight)
	s.Memory.Budgets[b.UID] = BudgetMemory{ProvenAt: noon}
	if plan := Make(s.Snapshot); len(plan.Grants) != 0 {
		t.Error("a proof is sent again at once")
	}
	s.Now = noon.Add(proofInterval)
	if plan := Make(s.Snapshot); len(plan.Grants) != 1 {
		t.Error("no proof is sent after the interval")
	}
}

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
		if gap := at[i] - at[i-1]; gap > 6*time.Minute+time.Second {
			t.Errorf("the budget was not read for %v", gap)
		}
	}
	b.ResourceVersion = "2"
	plan := Make(s.Snapshot)
	if m := plan.Budgets[b.UID]; m.Polls != 0 || m.PollAt.Sub(s.Now) > 37*time.Second {
		t.Errorf("after its event the budget is read at %v", m.PollAt.Sub(s.Now))
	}
}

// TestSamePlan: the same snapshot gives the same plan.
func TestSamePlan(t *testing.T) {
	make := func() Plan {
		s := newScene()
		for i := range 5 {
			name := fmt.Sprintf("n%d", i)
			s.draining(name)
			for j := range 6 {
				s.pod(name, fmt.Sprintf("web%d-%d%d", j%3, i, j))
			}
		}
		for j := range 3 {
			s.budget(fmt.Sprintf("p%d", j), fmt.Sprintf("web%d", j), int32(j), 9, 8, 10)
		}
		return Make(s.Snapshot)
	}
	first := make()
	for range 20 {
		if again := make(); !reflect.DeepEqual(granted(first), granted(again)) || !reflect.DeepEqual(messages(first), messages(again)) {
			t.Fatal("two plans of the same snapshot differ")
		}
	}
}

func messages(p Plan) []string {
	var texts []string
	for _, n := range p.Nodes {
		texts = append(texts, n.Node.Name+": "+n.Report.Message)
	}
	return texts
}
