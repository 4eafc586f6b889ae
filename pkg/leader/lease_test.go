package leader

import (
	"context"
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// TestForeignLease: the time of a leader is over as soon as it sees that another
// process holds the lease, and begins again when it has it back.
func TestForeignLease(t *testing.T) {
	e := newElection(t)
	l := &lease{Interface: e.lock, renewDeadline: renewDeadline, now: time.Now, ending: context.Background()}
	record := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
	if err := l.Create(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	acts := func(want bool) {
		t.Helper()
		if _, _, err := l.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, mayAct := l.fence(); mayAct != want {
			t.Errorf("it may act: %v, want %v", mayAct, want)
		}
	}
	acts(true)
	e.hold(t, "other")
	acts(false)
	e.hold(t, "")
	acts(false)
	if err := l.Update(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	acts(true)
}
