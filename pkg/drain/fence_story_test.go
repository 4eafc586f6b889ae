package drain_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/pkg/sim/apiserver"
)

// TestStoryNamesake: a node that is recreated under its name while it is being
// cordoned is not changed, and a deleted node is not recreated.
func TestStoryNamesake(t *testing.T) {
	for name, again := range map[string]bool{"created again": true, "gone": false} {
		t.Run(name, func(t *testing.T) { namesake(t, again) })
	}
}

func namesake(t *testing.T, again bool) {
	tell(t, func(s *story) {
		s.nodes("n")
		s.spares(2)
		s.server.Add(apiserver.Rule{Match: writesNode, Before: 100 * time.Millisecond})
		s.start()
		s.drain("r", "n")
		cordons := func(r apiserver.Request) bool { return writesNode(r) && r.Subresource == "" }
		s.await("a cordon on its way", 10*time.Second, func() bool { return len(s.server.Requests(cordons)) == 1 })
		s.cluster(func(c *sim.Cluster) {
			c.Delete(sim.Nodes, sim.Key{Name: "n"})
			if again {
				c.AddNode("n", nil)
			}
		})
		gone := len(s.writes("n"))
		s.wait(time.Minute)
		for _, n := range s.writes("n")[gone-1:] {
			if n.Spec.Unschedulable && n.DeletionTimestamp == nil && n.Annotations == nil {
				t.Errorf("a node that nobody asked for was cordoned: %s of UID %s", n.Name, n.UID)
			}
		}
		if !again && s.node("n") != nil {
			t.Error("a node that was deleted is back")
		}
		for _, r := range s.server.Requests(writesNode) {
			var body metav1.PartialObjectMetadata
			if err := json.Unmarshal(r.Body, &body); err != nil || body.UID == "" {
				t.Errorf("a write to a node does not name its UID (%v): %s", err, r.Body)
			}
		}
	})
}

// TestStoryFence: a leader that cannot renew its lease sends nothing after the
// renew deadline, whatever is requested.
func TestStoryFence(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "m")
		s.spares(30)
		s.deployment("web", times(20, "n")...)
		s.budget("web", "maxUnavailable 1")
		s.start()
		s.drain("r", "n")
		s.await("some pods gone", time.Minute, func() bool { return len(s.pods("n")) < 15 })
		renews := func(r apiserver.Request) bool { return r.Resource == apiserver.Leases && r.Verb == "update" }
		s.server.Add(apiserver.Rule{Match: renews, Answer: apiserver.AnswerError(apierrors.NewInternalError(errors.New("etcd is away")))})
		renewed := s.lastRenewal()
		// The elector itself gives up later than that.
		s.wait(time.Until(renewed.Add(renewDeadline + 200*time.Millisecond)))
		s.drain("r", "m")
		s.await("the process has lost its lease", time.Minute, func() bool {
			return len(s.server.Requests(func(r apiserver.Request) bool { return r.Resource == "discovery" })) > 1
		})
		for _, r := range s.server.Requests(func(r apiserver.Request) bool {
			return r.Resource != apiserver.Leases && r.Resource != "discovery" && r.Verb != "get" && r.Verb != "list" && r.Verb != "watch"
		}) {
			if late := r.Began.Sub(renewed.Add(renewDeadline)); late > 0 && r.Resource != apiserver.Events {
				t.Errorf("sent %v after the renew deadline: %v", late, r)
			}
		}
	})
}

// lastRenewal is when the last request for the lease arrived that succeeded.
func (s *story) lastRenewal() time.Time {
	renewals := s.server.Requests(func(r apiserver.Request) bool {
		return r.Resource == apiserver.Leases && r.Code == 200 && r.Verb == "update"
	})
	return renewals[len(renewals)-1].Began
}

// TestStoryFailingTask: a failing write to a node is retried with increasing
// delay, however often plans are made for other nodes.
func TestStoryFailingTask(t *testing.T) {
	tell(t, func(s *story) {
		s.nodes("n", "busy")
		s.spares(30)
		s.deployment("api", times(60, "busy")...)
		s.budget("api", "maxUnavailable 1")
		ofN := func(r apiserver.Request) bool { return writesNode(r) && r.Name == "n" }
		restore := s.server.Add(apiserver.Rule{Match: ofN, Answer: apiserver.AnswerError(apierrors.NewInternalError(errors.New("webhook is away")))})
		s.start()
		s.drain("r", "n", "busy")
		s.wait(time.Minute)
		if tries := len(s.server.Requests(ofN)); tries < 5 || tries > 10 {
			t.Errorf("%d tries in a minute, want 5 to 10", tries)
		}
		restore()
		s.await("drained", 2*time.Minute, s.drained("r", "n"))
	})
}
