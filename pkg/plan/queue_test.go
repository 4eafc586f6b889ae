package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
)

// TestStart: who may begin, and what the others wait for.
func TestStart(t *testing.T) {
	request := func(s scene, names ...string) {
		for i, name := range names {
			n := s.node(name, api.DrainAnnotation, "r")
			s.Memory.Nodes[n.UID] = NodeMemory{Request: "r", RequestedAt: noon.Add(time.Duration(i) * time.Second), Counted: true}
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
		"not the last node":         {func(s scene) { request(s, "a", "b") }, []string{"a"}, map[string]string{"b": "place 1 in the queue: it is the last schedulable Ready node"}},
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
					if !n.Write || n.Cordon || !n.Watch {
						t.Errorf("%s begins: write %v, cordon %v, watch %v, want the status before the cordon", n.Node.Name, n.Write, n.Cordon, n.Watch)
					}
				}
			}
			if !slices.Equal(started, test.started) {
				t.Errorf("started %v, want %v", started, test.started)
			}
			for name, says := range test.says {
				n := planOf(t, plan, name)
				if !strings.Contains(n.Report().Message, says) || n.Cordon || n.Report().InProgress != corev1.ConditionFalse {
					t.Errorf("%s says %q, cordon %v; want %q", name, n.Report().Message, n.Cordon, says)
				}
				want := Queueing("")
				switch {
				case strings.Contains(says, "last"):
					want = QueuedAsLast
				case strings.Contains(says, "place"):
					want = QueuedForSlot
				case strings.Contains(says, "not before"):
					want = QueuedForTime
				}
				if n.Facts.Queued != want {
					t.Errorf("%s waits for %q, want %q", name, n.Facts.Queued, want)
				}
				if queues := strings.Contains(says, "place"); n.Taint != (queues || strings.Contains(says, "last")) {
					t.Errorf("%s gets the taint: %v", name, n.Taint)
				}
			}
		})
	}
}

// TestQueuedCordoned: a node that waits with drainer's cordon on it says so: it
// was asked for again before it was released, or has had another drain.
func TestQueuedCordoned(t *testing.T) {
	const says = "; the node is still cordoned from an earlier request"
	for name, test := range map[string]struct {
		change func(*Node)
		want   bool
	}{
		"ours":                 {func(n *Node) { n.Unschedulable, n.OwnCordon = true, true }, true},
		"ours, while paused":   {func(n *Node) { n.Unschedulable, n.OwnCordon, n.Annotations[api.PausedAnnotation] = true, true, "true" }, true},
		"somebody else's":      {func(n *Node) { n.Unschedulable = true }, false},
		"ours, and taken away": {func(n *Node) { n.OwnCordon = true }, false},
		"none":                 {func(*Node) {}, false},
	} {
		s := newScene()
		s.Config.MaxDraining, _ = ParseShare("1")
		s.draining("busy")
		s.pod("busy", "web-1")
		n := s.node("n", api.DrainAnnotation, "again")
		s.Memory.Nodes[n.UID] = NodeMemory{Counted: true}
		test.change(n)
		plan := planOf(t, Make(s.Snapshot), "n")
		if got := plan.Report().Message; strings.HasSuffix(got, says) != test.want || plan.Release || plan.Memory.started() {
			t.Errorf("%s: the node says %q, released: %v", name, got, plan.Release)
		}
	}
}

// TestRelease: what drainer wrote is removed once there is no request.
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

// TestRecall: a new process continues with only what is on the Node.
func TestRecall(t *testing.T) {
	started := noon.Add(-time.Hour)
	status := api.Status{Request: "r", Phase: api.Draining, RequestedAt: &started, StartedAt: &started, Pods: api.PodCounts{Eligible: 3, Gone: 4}}
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
	if plan.Report().Status.Pods.Gone != 6 {
		t.Errorf("%d pods are gone, want 6", plan.Report().Status.Pods.Gone)
	}
	// Another request starts over.
	n.Annotations[api.DrainAnnotation] = "r2"
	if plan := planOf(t, Make(s.Snapshot), "n"); !plan.Memory.StartedAt.Equal(noon) || plan.Report().Status.Pods.Gone != 0 {
		t.Errorf("another request started at %v with %d gone", plan.Memory.StartedAt, plan.Report().Status.Pods.Gone)
	}
}
