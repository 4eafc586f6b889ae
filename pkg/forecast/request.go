package forecast

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/plan"
)

// Verb is what a request of the daemon does.
type Verb string

// The daemon's requests. Lists and watches of the whole cluster are not among
// them.
const (
	// Evict posts to pods/eviction.
	Evict Verb = "evict"
	// Report applies conditions and annotations of a node, Clear removes them.
	Report Verb = "report"
	Clear  Verb = "clear"
	// Cordon and Uncordon apply spec.unschedulable.
	Cordon   Verb = "cordon"
	Uncordon Verb = "uncordon"
	// Taint and Untaint patch the queued taint.
	Taint   Verb = "taint"
	Untaint Verb = "untaint"
	// ListPods lists the pods of a node before it is Drained.
	ListPods Verb = "list pods"
	// GetPod, GetBudget and GetNode read what no event told of.
	GetPod    Verb = "get pod"
	GetBudget Verb = "get budget"
	GetNode   Verb = "get node"
)

// Request is one request of the daemon.
type Request struct {
	Verb Verb
	// Object is the pod, the budget or, without a namespace, the node.
	Object types.NamespacedName
	// UID is that of the object, of which a write is a precondition; empty for a
	// budget.
	UID types.UID
	// Grant is what the pod is evicted for; zero for other verbs.
	Grant plan.Grant
	// Sent is when it was sent.
	Sent time.Time
}

// Fault is what goes wrong with a request. The zero value is nothing.
type Fault struct {
	// Delay is how much longer the request takes to the API server, Wait how
	// much longer the answer takes back.
	Delay, Wait time.Duration
	// Error is answered instead of what the API server answers: an
	// *errors.StatusError of apimachinery, or any other error for none at all.
	Error error
	// CarriedOut lets the request take effect although Error is answered.
	CarriedOut bool
}

// send sends a request. act carries it out and says how much longer the API
// server takes to answer; answered is called with the answer, unless the daemon
// has crashed.
func (d *daemon) send(r Request, timeout time.Duration, act func() (time.Duration, error), answered func(error)) {
	l := d.loop
	r.Sent = l.Now()
	var fault Fault
	if l.options.Request != nil {
		fault = l.options.Request(r)
	}
	open := true
	answer := func(err error) {
		if d.dead || !open {
			return
		}
		open = false
		if l.options.Answered != nil {
			l.options.Answered(r, err)
		}
		answered(err)
	}
	there, back := l.options.Latency/2+fault.Delay, l.options.Latency/2+fault.Wait
	if timeout > 0 && there >= timeout {
		l.After(timeout, func() { answer(context.DeadlineExceeded) })
	}
	l.After(there, func() {
		var takes time.Duration
		err := fault.Error
		if err == nil || fault.CarriedOut {
			var real error
			if takes, real = act(); fault.Error == nil {
				err = real
			}
		}
		rest := takes + back
		if timeout > 0 && there+rest >= timeout {
			rest, err = max(0, timeout-there), context.DeadlineExceeded
		}
		l.After(rest, func() { answer(err) })
	})
}
