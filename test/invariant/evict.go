package invariant

import (
	"net/http"
	"time"
)

// Received: the API server received an eviction, or a deletion, of drainer.
func (c *Checker) Received(at time.Time, e Eviction) {
	p := c.pods[e.Pod]
	if p == nil || e.UID != "" && p.UID != e.UID {
		return // Nothing is evicted: the UID is a precondition.
	}
	if why := c.stays(p.Pod); why != "" {
		c.violated(OnlyTargets, at, "pod %s is evicted although %s", e.Pod, why)
	}
	if why := c.held(at, p.Pod); why != "" {
		c.violated(OnlyTargets, at, "pod %s is evicted although %s", e.Pod, why)
	}
	c.judgeOrder(at, e, p)
	if !p.leaving.IsZero() && at.Sub(p.leaving) > c.rules.PodLag+time.Second {
		c.violated(OnlyTargets, at, "pod %s is evicted although it terminates for %v", e.Pod, at.Sub(p.leaving))
	}
	n := c.nodes[p.Spec.NodeName]
	if n == nil {
		c.violated(OnlyTargets, at, "pod %s is evicted although its node %q does not exist", e.Pod, p.Spec.NodeName)
		return
	}
	c.judgeRequest(at, e, n)
	c.judgeHours(at, e, n)
	c.judgePacing(at, e, p, n)
	if e.Deletes {
		c.judgeDeletion(at, e, p, n)
	}
}

// judgeRequest judges an eviction by the request of the pod's node.
func (c *Checker) judgeRequest(at time.Time, e Eviction, n *node) {
	switch why := n.silent(at); {
	case why == "":
		if n.gaveUp(c.rules.NodeLag) {
			c.violated(Stops, at, "pod %s is evicted although its node %s says that it gave up", e.Pod, n.name)
		}
	case !n.wasLive:
		c.violated(OnlyTargets, at, "pod %s is evicted although its node %s %s", e.Pod, n.name, why)
	case at.Sub(n.quietSince(at)) > c.rules.Patience:
		c.violated(Stops, at, "pod %s is evicted %v after its node %s %s", e.Pod, at.Sub(n.quietSince(at)), n.name, why)
	case n.acknowledged(c.rules.NodeLag) && e.By == Daemon:
		c.violated(Stops, at, "pod %s is evicted although its node %s %s, which drainer has written there", e.Pod, n.name, why)
	}
}

// Handled: the API server has handled an eviction and answers with the code,
// whether or not the answer arrives. Of an eviction that succeeded it is told
// before the change of the pod that follows from it.
func (c *Checker) Handled(at time.Time, e Eviction, code int) {
	if code < http.StatusOK || code >= http.StatusMultipleChoices {
		if !e.Deletes {
			c.refused[e.UID] = at
		}
		return
	}
	c.evictedWithout(at, e)
	if e.Deletes {
		c.force(at, e)
	} else {
		c.disrupted[e.UID] = true
	}
	if e.By != Daemon {
		return
	}
	if c.admitted[e.UID] {
		c.violated(AdmittedOnce, at, "pod %s is admitted twice", e.Pod)
	}
	c.admitted[e.UID] = true
}
