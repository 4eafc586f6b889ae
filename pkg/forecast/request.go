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
	// Delete deletes a pod.
	Delete Verb = "delete"
	// Report applies conditions and annotations of a node, Clear removes them.
	Report Verb = "report"
	Clear  Verb = "clear"
	// Cordon and Uncordon apply spec.unschedulable.
	Cordon   Verb = "cordon"
	Uncordon Verb = "uncordon"
	// Taint and Untaint patch the queued taint.
	Taint   Verb = "taint"
	Untaint Verb = "untaint"
	// Mark changes what rules for marked nodes want changed.
	Mark Verb = "mark"
	// ListPods lists the pods of a node before it is Drained.
	ListPods Verb = "list pods"
	// ForeseePods lists the pods of a node that is queued.
	ForeseePods Verb = "foresee pods"
	// GetPod, GetBudget and GetNode read what no event has shown.
	GetPod    Verb = "get pod"
	GetBudget Verb = "get budget"
	GetNode   Verb = "get node"
	// GetScale reads the controller of pods.
	GetScale Verb = "get scale"
	// ListSiblings lists the pods of a controller.
	ListSiblings Verb = "list siblings"
)

// Request is one request of the daemon.
type Request struct {
	Verb Verb
	// Object is the pod, the budget, the controller or, without a namespace, the node.
	Object types.NamespacedName
	// UID is that of the object, and a precondition of a write; empty for a
	// budget.
	UID types.UID
	// Grant is what the pod is evicted or deleted for; zero for other verbs.
	Grant plan.Grant
	// Sent is when it was sent, Daemon which daemon of the loop sent it: the first
	// is 1.
	Sent   time.Time
	Daemon int
}

// Fault is what goes wrong with a request. The zero value is nothing.
type Fault struct {
	// Delay is how much longer the API server takes until it handles the request,
	// Wait how much longer the answer takes to arrive.
	Delay, Wait time.Duration
	// Error is answered instead of what the API server answers: an
	// *errors.StatusError of apimachinery, or any other error for none at all.
	Error error
	// CarriedOut lets the request take effect although Error is answered.
	CarriedOut bool
}

// reply is the API server's answer, and how much longer it takes to give it.
type reply func(takes time.Duration, err error)

// atOnce is an act that the API server carries out when the request arrives.
func atOnce(act func() error) func(reply) {
	return func(to reply) { to(0, act()) }
}

// send sends a request. act carries it out when it arrives, and replies then or
// later; answered is called with the answer, unless the daemon has crashed. A
// request that is not answered within the timeout has the answer
// context.DeadlineExceeded; a timeout of 0 is none.
func (d *daemon) send(r Request, timeout time.Duration, act func(reply), answered func(error)) {
	l := d.loop
	r.Sent, r.Daemon = l.Now(), d.number
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
	back := l.options.Latency/2 + fault.Wait
	respond := func(takes time.Duration, err error) {
		if fault.Error != nil {
			err = fault.Error
		}
		l.After(takes+back, func() { answer(err) })
	}
	if timeout > 0 && l.mayExceed(r, fault, timeout) {
		l.After(timeout, func() { answer(context.DeadlineExceeded) })
	}
	l.After(l.options.Latency/2, func() {
		if l.options.Received != nil {
			l.options.Received(r)
		}
		if fault.Delay > 0 {
			l.After(fault.Delay, func() { l.handle(r, fault, act, respond) })
			return
		}
		l.handle(r, fault, act, respond)
	})
}

// handle is the API server's side of a request.
func (l *Loop) handle(r Request, fault Fault, act func(reply), respond reply) {
	if fault.Error != nil && !fault.CarriedOut {
		respond(0, nil)
		return
	}
	act(func(takes time.Duration, err error) {
		if l.options.Handled != nil {
			l.options.Handled(r, err)
		}
		respond(takes, err)
	})
}

// mayExceed is true for a request that may take longer than the timeout: most
// are answered long before, and need no appointment for it.
func (l *Loop) mayExceed(r Request, fault Fault, timeout time.Duration) bool {
	least := l.options.Latency + fault.Delay + fault.Wait
	if r.Verb == Evict {
		if hook := l.cluster.Webhook(r.Object.Namespace); hook != nil {
			least += hook.Takes
		}
		least += slowestEviction
	}
	return least >= timeout
}

// slowestEviction is how long the model's eviction handler may take to answer.
const slowestEviction = 10 * time.Second
