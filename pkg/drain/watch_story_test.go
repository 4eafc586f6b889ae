package drain_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// watching matches the lists and watches of a resource.
func watching(resource sim.Resource) func(apiserver.Request) bool {
	return func(r apiserver.Request) bool {
		return r.Resource == resource && (r.Verb == "list" || r.Verb == "watch")
	}
}

// refuse lets the lists and watches that match fail, and breaks the watches, once these
// are open: one that is under way could be neither refused nor broken.
func (s *story) refuse(match func(apiserver.Request) bool) (remove func()) {
	s.await("the watches are open", time.Minute, func() bool {
		watches := s.server.Requests(func(r apiserver.Request) bool { return match(r) && r.Verb == "watch" })
		open := func(r apiserver.Request) bool { return r.Code == http.StatusOK }
		return slices.ContainsFunc(watches, open) && !slices.ContainsFunc(watches, func(r apiserver.Request) bool { return r.Ended.IsZero() })
	})
	remove = s.server.Add(apiserver.Rule{Match: match, Answer: apiserver.AnswerText(http.StatusForbidden, "no", 0)})
	s.server.Expire(match)
	return remove
}

// blocked starts drainer, which drains node a: its 20 pods are under a budget without
// room.
func (s *story) blocked() *replica {
	s.nodes("a")
	s.spares(2)
	s.deployment("web", times(20, "a")...)
	s.budget("web", "maxUnavailable 0")
	d := s.start()
	s.drain("r", "a")
	s.await("blocked", time.Minute, s.reaches("a", api.Blocked))
	return d
}

// TestStoryWatchRetried: a watch that has failed for minutes is tried again within 11 s,
// and not only after the 30 s to 60 s of client-go.
func TestStoryWatchRetried(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.start()
		s.refuse(watching(sim.Nodes))
		begun := time.Now()
		s.wait(5 * time.Minute)
		last := begun
		for _, r := range s.server.Requests(watching(sim.Nodes)) {
			if r.Began.Before(begun) {
				continue
			}
			if gap := r.Began.Sub(last); gap > 11*time.Second {
				t.Errorf("nobody tried for %v", gap)
			}
			last = r.Began
		}
		if time.Since(last) > 11*time.Second {
			t.Errorf("the last try was %v ago", time.Since(last))
		}
	})
}

// TestStoryControlUnreadable: while nobody knows whether somebody wants to stop
// everything, nothing is started or evicted, and nodes and metrics say so.
func TestStoryControlUnreadable(t *testing.T) {
	for name, refused := range map[string]func(apiserver.Request) bool{
		"lists and watches": watching(sim.ConfigMaps),
		"only watches":      func(r apiserver.Request) bool { return watching(sim.ConfigMaps)(r) && r.Verb == "watch" },
	} {
		t.Run(name, func(t *testing.T) { tell(t, func(s *story) { s.controlUnreadable(refused) }) })
	}
}

func (s *story) controlUnreadable(refused func(apiserver.Request) bool) {
	s.nodes("b")
	s.flags.maxDraining = "2"
	d := s.blocked()
	if d.metric("drainer_failing_watches", "resource", "configmaps") != 0 {
		s.Error("a watch fails before anything has failed")
	}
	remove := s.refuse(refused)
	s.wait(20 * time.Second)
	if s.phase("a") != api.Blocked {
		s.Errorf("after 20 s the node is %s: an API server that restarts pauses everything", s.phase("a"))
	}
	s.await("the node is paused", time.Minute, s.reaches("a", api.Paused))
	if m := s.message("a"); !strings.Contains(m, "drainer does not know whether it may continue") || !strings.Contains(m, "ConfigMap drainer-control since ") {
		s.Errorf("the node says %q", m)
	}
	if got := d.metric("drainer_failing_watches", "resource", "configmaps"); got != 1 {
		s.Errorf("%v watches of ConfigMaps fail, want 1", got)
	}
	if d.metric("drainer_paused") != 1 {
		s.Error("the metric does not say that everything is paused")
	}
	s.limit("web", "maxUnavailable 10")
	s.drain("r", "b")
	s.wait(time.Minute)
	if sent := s.evictions(""); len(sent) != 0 || s.node("b").Spec.Unschedulable {
		s.Errorf("in the meantime %d evictions were sent, node b is cordoned: %t", len(sent), s.node("b").Spec.Unschedulable)
	}
	remove()
	s.await("both are drained", 5*time.Minute, s.drained("r", "a", "b"))
	if got := d.metric("drainer_failing_watches", "resource", "configmaps"); got != 0 {
		s.Errorf("%v watches of ConfigMaps fail, want 0", got)
	}
}

// TestStoryControlPausedUnreadable: what the ConfigMap said last counts more than that it
// cannot be watched.
func TestStoryControlPausedUnreadable(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(1)
		s.start()
		s.control(api.ControlPaused, "INC-42")
		s.drain("r", "a")
		s.await("paused", time.Minute, s.reaches("a", api.Paused))
		s.refuse(watching(sim.ConfigMaps))
		s.wait(2 * time.Minute)
		if m := s.message("a"); !strings.Contains(m, "INC-42; this may be out of date") {
			t.Errorf("the node says %q, want the reason of the pause, and that it may be out of date", m)
		}
	})
}

// TestStoryFailingPods: a watch of a node's pods that fails counts until it works, or until
// nobody needs it any longer.
func TestStoryFailingPods(t *testing.T) {
	tell(t, func(s *story) {
		d := s.blocked()
		s.refuse(watching(sim.Pods))
		failing := func(n float64) func() bool {
			return func() bool { return d.metric("drainer_failing_watches", "resource", "pods") == n }
		}
		s.await("the watch fails", time.Minute, failing(1))
		s.unannotate("a", api.DrainAnnotation)
		s.await("nobody needs it", time.Minute, failing(0))
	})
}

// TestStoryPausedWhileUnreadable: a pause that somebody writes while the ConfigMap cannot
// be watched counts from the moment when it can be again: no eviction is sent in between.
func TestStoryPausedWhileUnreadable(t *testing.T) {
	tell(t, func(s *story) {
		s.blocked()
		remove := s.refuse(watching(sim.ConfigMaps))
		s.await("the node is paused", time.Minute, s.reaches("a", api.Paused))
		s.limit("web", "maxUnavailable 10")
		s.control(api.ControlPaused, "INC-42")
		remove()
		s.await("the node says why", time.Minute, func() bool { return strings.Contains(s.message("a"), "INC-42") })
		s.wait(time.Minute)
		if sent := s.evictions(""); len(sent) != 0 || strings.Contains(s.message("a"), "out of date") {
			t.Errorf("%d evictions were sent, the node says %q", len(sent), s.message("a"))
		}
	})
}

// TestStoryNeverSynced: a process that never sees the nodes does nothing, says so, and
// leaves nothing running when it ends: the story's bubble would not end otherwise.
func TestStoryNeverSynced(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("a")
		s.spares(1)
		s.server.Add(apiserver.Rule{Match: watching(sim.Nodes), Answer: apiserver.AnswerText(http.StatusForbidden, "no", 0)})
		d := s.start()
		s.drain("r", "a")
		s.wait(time.Minute)
		if got := d.metric("drainer_failing_watches", "resource", "nodes"); got != 1 {
			t.Errorf("%v watches of nodes fail, want 1", got)
		}
		if writes := s.writes("a"); s.node("a").Spec.Unschedulable || s.status("a").Request != "" {
			t.Errorf("the node was written to: %v", writes)
		}
	})
}
