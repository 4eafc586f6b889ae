package leader

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"drainer.dev/drainer/test/bubble"
)

const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
)

// election is a lease in a separate cluster, with the candidate "me".
type election struct {
	client *fake.Clientset
	lock   resourcelock.Interface
	ending context.CancelFunc
	ctx    context.Context
}

func newElection(t *testing.T) *election {
	t.Helper()
	e := &election{client: fake.NewClientset()}
	e.ctx, e.ending = context.WithCancel(t.Context())
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, "drainer", "drainer", e.client.CoreV1(), e.client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: "me"})
	if err != nil {
		t.Fatal(err)
	}
	e.lock = lock
	return e
}

// run takes part in the election.
func (e *election) run(leads func(bool), work func(context.Context, Term)) error {
	return Run(e.ctx, Config{
		Lock: e.lock, Name: "drainer", LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: 2 * time.Second,
		Leads: leads, Work: work,
	})
}

func (e *election) holder(t *testing.T) string {
	t.Helper()
	l, err := e.client.CoordinationV1().Leases("drainer").Get(t.Context(), "drainer", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

// hold makes the holder hold the lease, for an hour.
func (e *election) hold(t *testing.T, holder string) {
	t.Helper()
	leases := e.client.CoordinationV1().Leases("drainer")
	l, err := leases.Get(t.Context(), "drainer", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seconds, now, terms := int32(3600), metav1.NowMicro(), *l.Spec.LeaseTransitions
	if holder != "" {
		terms++
	}
	l.Spec = coordinationv1.LeaseSpec{
		HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now, AcquireTime: &now, LeaseTransitions: &terms,
	}
	if _, err := leases.Update(t.Context(), l, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestLead: the lease is released only after the work has returned.
func TestLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newElection(t)
		time.AfterFunc(time.Minute, e.ending)
		var led []bool
		err := e.run(func(leads bool) { led = append(led, leads) }, func(ctx context.Context, term Term) {
			<-ctx.Done()
			for range 8 {
				bubble.Sleep(time.Second)
				if holder := e.holder(t); holder != "me" {
					t.Errorf("the lease is held by %q while the work continues", holder)
				}
			}
			if _, mayAct := term.Fence(); !mayAct {
				t.Error("the lease was not renewed while the work came to its end")
			}
		})
		if err != nil {
			t.Error(err)
		}
		if holder := e.holder(t); holder != "" {
			t.Errorf("the lease is still held by %q", holder)
		}
		if len(led) != 2 || !led[0] || led[1] {
			t.Errorf("told of leading: %v", led)
		}
	})
}

// TestLeadStandby: a standby ends at once and does nothing.
func TestLeadStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newElection(t)
		other, seconds, now := "other", int32(3600), metav1.NowMicro()
		_, err := e.client.CoordinationV1().Leases("drainer").Create(t.Context(), &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: "drainer"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &other, LeaseDurationSeconds: &seconds, RenewTime: &now, AcquireTime: &now},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		time.AfterFunc(time.Minute, e.ending)
		err = e.run(func(bool) { t.Error("the standby leads") }, func(context.Context, Term) { t.Error("the standby works") })
		if err != nil || time.Since(begun) > time.Minute+time.Second {
			t.Errorf("ended after %v with %v", time.Since(begun), err)
		}
		if holder := e.holder(t); holder != "other" {
			t.Errorf("the lease is held by %q", holder)
		}
	})
}

// TestLeadLost: a leader that cannot renew the lease stops before another may
// act.
func TestLeadLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newElection(t)
		cut := time.Now().Add(time.Minute)
		e.client.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
			return time.Now().After(cut), nil, errors.New("connection refused")
		})
		err := e.run(func(bool) {}, func(ctx context.Context, term Term) {
			<-ctx.Done()
			if _, mayAct := term.Fence(); mayAct {
				t.Error("the work ends and may still act")
			}
			if after := time.Since(cut); after >= leaseDuration {
				t.Errorf("the work ends %v after the last renewal: another may act by then", after)
			}
		})
		if !errors.Is(err, ErrLost) {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestHandOver: a leader that hands over ends its work, releases the lease and
// stands by until another process has held it.
func TestHandOver(t *testing.T) {
	for _, stays := range []time.Duration{time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) { handOver(t, stays) })
	}
}

func handOver(t *testing.T, stays time.Duration) {
	e := newElection(t)
	terms := 0
	err := e.run(func(bool) {}, func(ctx context.Context, term Term) {
		if terms++; term.HandOver == nil {
			t.Errorf("term %d cannot be handed over", terms)
		}
		if terms == 2 || term.HandOver == nil {
			e.ending()
			return
		}
		time.AfterFunc(time.Minute, term.HandOver)
		<-ctx.Done()
		if holder := e.holder(t); holder != "me" {
			t.Errorf("the lease is held by %q while the work comes to its end", holder)
		}
		// The other comes a while later, and leaves again after stays.
		time.AfterFunc(5*time.Second, func() {
			if holder := e.holder(t); holder != "" {
				t.Errorf("the lease is held by %q, want it given up", holder)
			}
			e.hold(t, "other")
			time.AfterFunc(stays, func() { e.hold(t, "") })
		})
	})
	if err != nil || terms != 2 {
		t.Errorf("%d terms, ended with %v; want 2", terms, err)
	}
}

// TestHandOverInVain: if nobody takes the lease, the work continues, and is not
// handed over again.
func TestHandOverInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newElection(t)
		var began []time.Time
		err := e.run(func(bool) {}, func(ctx context.Context, term Term) {
			began = append(began, time.Now())
			if len(began) == 1 {
				term.HandOver()
				<-ctx.Done()
				return
			}
			if term.HandOver != nil {
				t.Error("it may be handed over again")
			}
			e.ending()
		})
		if err != nil || len(began) != 2 {
			t.Fatalf("%d terms, ended with %v; want 2", len(began), err)
		}
		if d := began[1].Sub(began[0]); d < leaseDuration || d > 2*leaseDuration {
			t.Errorf("the second term begins after %v", d)
		}
	})
}
