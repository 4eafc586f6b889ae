package scenario

import (
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"drainer.dev/drainer/pkg/sim"
)

// faults lets drainer's requests go wrong, and its watches lag, for a while.
func (g *generator) faults() {
	for range g.IntN("faults", 4) {
		from := g.between("from", 0, time.Minute)
		f := Fault{
			From: from, Until: from + g.between("for", time.Second, time.Minute),
			Class: pick(g, "class", Evictions, Evictions, Writes, Reads), Every: 1 + g.IntN("every", 4),
		}
		g.wrong(&f)
		g.Faults = append(g.Faults, f)
	}
	for range g.IntN("lags", 3) {
		from := g.between("from", 0, time.Minute)
		l := Lag{From: from, Until: from + g.between("for", time.Second, time.Minute), Resource: pick(g, "lagging", sim.Pods, sim.Budgets, sim.Nodes, sim.DaemonSets)}
		l.By = pick[time.Duration](g, "lags by", 500, 3000, 15000) * time.Millisecond
		if l.Resource == sim.Nodes {
			l.By = min(l.By, 3*time.Second)
		}
		g.Lags = append(g.Lags, l)
	}
}

// wrong chooses what goes wrong. The API server ends a request after half a
// minute, so that none takes effect later than that.
func (g *generator) wrong(f *Fault) {
	f.Text = pick(g, "fault", "slow", "late", "lost before", "lost after", "internal", "unavailable", "throttled", "shuts down", "conflict", "timeout", "timeout after")
	retry := int32(1 + g.IntN("retry after", 20))
	switch f.Text {
	case "slow":
		f.Delay, f.CarriedOut = pick[time.Duration](g, "slow by", 200, 2000, 12000)*time.Millisecond, true
	case "late":
		f.Wait, f.CarriedOut = pick[time.Duration](g, "late by", 200, 2000, 60000)*time.Millisecond, true
	case "lost before":
		f.Lost = true
	case "lost after":
		f.Lost, f.CarriedOut = true, true
	case "internal":
		f.Error = apierrors.NewInternalError(errors.New("etcdserver: request timed out"))
	case "unavailable":
		f.Error = status(503, metav1.StatusReasonServiceUnavailable, 0)
	case "throttled":
		f.Error = status(429, metav1.StatusReasonTooManyRequests, retry)
	case "shuts down":
		f.Error = status(503, metav1.StatusReasonServiceUnavailable, retry)
	case "conflict":
		f.Error = apierrors.NewConflict(schema.GroupResource{Resource: "x"}, "x", errors.New("the object has been modified"))
	case "timeout":
		f.Error = apierrors.NewTimeoutError("the request did not complete", 0)
	case "timeout after":
		f.Error, f.CarriedOut = apierrors.NewTimeoutError("the request did not complete", 0), true
	}
}

func status(code int32, reason metav1.StatusReason, retryAfter int32) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: "the server is not well",
		Details: &metav1.StatusDetails{RetryAfterSeconds: retryAfter},
	}}
}
