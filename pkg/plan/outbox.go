package plan

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// SlowAfter is how long a request holds a worker. One that takes longer
	// is waiting somewhere, usually in a webhook, and continues without it.
	SlowAfter = time.Second
	// MostInFlight bounds the requests under way, with and without a worker.
	MostInFlight = 100
)

// Outbox is the evictions that wait to be sent, those under way and the answers
// that no plan knows yet. It is not safe for concurrent use.
//
// Requests that hang must not hold up the others. Which ones hang is not known
// before they are sent, so no destination, the pods of one controller, may take
// more than half of what there is, nor may those together that are slow, and a
// destination that holds no worker goes first.
type Outbox struct {
	workers int
	// grants are those of the newest plan that have not been taken, in order, and
	// waiting is how many of them each destination has, if any.
	grants   []addressed
	waiting  map[destination]int
	inFlight map[types.UID]posted
	answers  []Answered
	// throttled is until when nothing is sent; careful is true from then on
	// until the server answers something else: one at a time.
	throttled time.Time
	careful   bool
}

// addressed is a grant and where its request goes.
type addressed struct {
	Grant
	destination destination
}

// posted is an eviction under way.
type posted struct {
	Post
	destination destination
}

// NewOutbox returns an empty outbox for so many workers.
func NewOutbox(workers int) *Outbox {
	return &Outbox{workers: workers, inFlight: map[types.UID]posted{}}
}

// Sight is what the next plan has to know of an Outbox.
type Sight struct {
	// Answers came since the last sight.
	Answers  []Answered
	InFlight map[types.UID]Post
	// Throttled and Careful are those of a Snapshot.
	Throttled time.Time
	Careful   bool
}

// Publish replaces the grants by those of a new plan. Pods that are being sent and
// pods whose answer the plan did not know are left out, so that no pod is sent twice,
// and no pod beside one of its controller that it has to wait for.
func (o *Outbox) Publish(grants []Grant) {
	answered := make(map[types.UID]bool, len(o.answers))
	for _, a := range o.answers {
		answered[a.Grant.Pod.UID] = true
	}
	o.grants, o.waiting = make([]addressed, 0, len(grants)), map[destination]int{}
	for _, g := range grants {
		d := destinationOf(g.Pod)
		if _, sent := o.inFlight[g.Pod.UID]; sent || answered[g.Pod.UID] || g.paced && o.unseen(d) {
			continue
		}
		o.grants = append(o.grants, addressed{g, d})
		o.waiting[d]++
	}
}

// unseen is true if something is sent to the destination, or was answered since the
// last sight.
func (o *Outbox) unseen(d destination) bool {
	for _, r := range o.inFlight {
		if r.destination == d {
			return true
		}
	}
	return slices.ContainsFunc(o.answers, func(a Answered) bool { return destinationOf(a.Grant.Pod) == d })
}

// Waiting is how many grants have not been taken yet.
func (o *Outbox) Waiting() int { return len(o.grants) }

// HasRoom is true if one of the grants may be taken beside what is under way.
func (o *Outbox) HasRoom() bool {
	load := o.load()
	for d := range o.waiting {
		if load.allows(d) {
			return true
		}
	}
	return false
}

// Collect hands the answers over, and says what is under way.
func (o *Outbox) Collect() Sight {
	s := Sight{Answers: o.answers, InFlight: make(map[types.UID]Post, len(o.inFlight)), Throttled: o.throttled, Careful: o.careful}
	for uid, r := range o.inFlight {
		s.InFlight[uid] = r.Post
	}
	o.answers = nil
	return s
}

// Take turns the first grant of the newest plan that has room into a request
// under way. Those whose budget no longer has room wait for the next plan:
// reserve takes a disruption of the budget for a pod, if one is free.
func (o *Outbox) Take(now time.Time, reserve func(types.NamespacedName, *Pod) bool) (Grant, bool) {
	if now.Before(o.throttled) || o.careful && o.answersDue() {
		return Grant{}, false
	}
	load := o.load()
	for i := o.first(load); i >= 0; i = o.first(load) {
		g := o.grants[i]
		o.remove(i)
		if _, sent := o.inFlight[g.Pod.UID]; sent || g.Budget.Name != "" && !reserve(g.Budget, g.Pod) {
			continue
		}
		post := Post{Sent: now, Probe: g.Probe}
		if g.Deletion != nil {
			post.Budgets = g.budgetUIDs
		}
		o.inFlight[g.Pod.UID] = posted{Post: post, destination: g.destination}
		return g.Grant, true
	}
	return Grant{}, false
}

// first is the index of the grant to take next beside the load, -1 if none has
// room: the first whose destination holds no worker, or else the first.
func (o *Outbox) first(l *load) int {
	has := l.allows
	for d := range o.waiting {
		if l.allows(d) && l.to[d].held == 0 {
			has = func(d destination) bool { return l.to[d].held == 0 && l.allows(d) }
			break
		}
	}
	return slices.IndexFunc(o.grants, func(g addressed) bool { return has(g.destination) })
}

// remove removes a grant.
func (o *Outbox) remove(i int) {
	d := o.grants[i].destination
	if o.waiting[d]--; o.waiting[d] == 0 {
		delete(o.waiting, d)
	}
	if i == 0 {
		o.grants = o.grants[1:] // Most often, and without moving the others.
	} else {
		o.grants = slices.Delete(o.grants, i, i+1)
	}
}

// answersDue is true while a request is under way that may be answered soon.
func (o *Outbox) answersDue() bool {
	for _, r := range o.inFlight {
		if !r.Slow {
			return true
		}
	}
	return false
}

// Detach lets a request continue without a worker. It returns false if the
// request has ended.
func (o *Outbox) Detach(uid types.UID) bool {
	r, sent := o.inFlight[uid]
	if sent {
		r.Slow = true
		o.inFlight[uid] = r
	}
	return sent
}

// Drop undoes Take for a pod that was not sent.
func (o *Outbox) Drop(uid types.UID) { delete(o.inFlight, uid) }

// Answered keeps an answer for the next plan.
func (o *Outbox) Answered(a Answered) {
	delete(o.inFlight, a.Grant.Pod.UID)
	o.answers = append(o.answers, a)
	if a.Outcome.Reason == Throttled {
		o.careful = true
		if until := a.At.Add(a.Outcome.RetryAfter); o.throttled.Before(until) {
			o.throttled = until
		}
		return
	}
	// A request that was sent before the throttling may be answered after it, and
	// one that gets no answer says nothing.
	if a.Outcome.Code != NoAnswer && !a.At.Add(-a.Took).Before(o.throttled) {
		o.careful = false
	}
}
