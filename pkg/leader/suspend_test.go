package leader

import (
	"testing"
	"time"
	"unsafe"
)

// suspended is the time after a machine was suspended for d at the time t: the
// wall clock has advanced, the monotonic clock has not. No function of package
// time makes such a Time, so its first word is changed, which holds the seconds
// of the wall clock from bit 30 on.
func suspended(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	after := at
	*(*uint64)(unsafe.Pointer(&after)) += uint64(d/time.Second) << 30
	if wall, monotonic := after.Round(0).Sub(at.Round(0)), after.Sub(at); wall != d || monotonic != 0 {
		t.Fatalf("the wall clock is %v ahead and the monotonic clock %v, want %v and 0", wall, monotonic, d)
	}
	return after
}

// TestSuspended: the time of a leader is over after its machine was suspended,
// although the monotonic clock has not advanced.
func TestSuspended(t *testing.T) {
	begun := time.Now()
	now := begun
	l := &lease{renewDeadline: renewDeadline, now: func() time.Time { return now }}
	l.renewed.Store(&renewal{at: begun})
	if _, mayAct := l.fence(); !mayAct {
		t.Fatal("a leader that has just renewed may not act")
	}
	now = suspended(t, begun, renewDeadline-time.Second)
	if _, mayAct := l.fence(); !mayAct {
		t.Error("a leader that slept for less than the renew deadline may not act")
	}
	now = suspended(t, begun, time.Hour)
	if until, mayAct := l.fence(); mayAct {
		t.Errorf("a leader that slept for an hour may act until %v", until)
	}
}
