package e2e

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestFaultKills: drainer is killed again and again while 20 nodes are drained.
// Some processes do not live to lead.
func TestFaultKills(t *testing.T) {
	f := disturb(setup(t, 22), "drainer killed 15 times, after 0.2 s to 3 s, while 20 nodes are drained", 1)
	f.requestAll("fault")
	for i := range 15 {
		if i%3 == 2 {
			poll(t, "it leads", func() bool { f.revive(); return f.list[0].leads() })
		}
		f.last(time.Millisecond, 200*time.Millisecond, 3*time.Second, f.kill)
	}
	f.recover("fault")
}

// kill kills the first replica, and lets its lease run out if it has got one.
func (f *trouble) kill() {
	f.Helper()
	f.killed(f.list[0])
}

// killLeader kills the replica that leads, if one does, and lets its lease run out.
func (f *trouble) killLeader() {
	f.Helper()
	for _, p := range f.list {
		if p.leads() {
			f.killed(p)
			return
		}
	}
}

func (f *trouble) killed(p process) {
	f.Helper()
	p.Kill()
	if err := shared.ExpireLease(f.Context(), f.namespace); err != nil && !apierrors.IsNotFound(err) {
		f.Fatal(err)
	}
}

// TestFaultLease: the lease is deleted while two replicas compete for it.
func TestFaultLease(t *testing.T) {
	f := disturb(setup(t, 6), "the Lease deleted every 0.5 s to 3 s", 2)
	f.requestAll("fault")
	f.last(faultFor, 500*time.Millisecond, 3*time.Second, f.deleteLease)
	f.recover("fault")
}

func (f *trouble) deleteLease() {
	f.Helper()
	err := shared.Client.CoordinationV1().Leases(f.namespace).Delete(f.Context(), "drainer", metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		f.Fatal(err)
	}
}
