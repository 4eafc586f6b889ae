package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// TestSlowWebhook: 100 evictions of one controller that hang in a webhook do
// not hold up the 30 free pods of another node. They hang until the free pods
// are gone, or the API server gives up on the webhook after 30 s.
func TestSlowWebhook(t *testing.T) {
	e := setup(t, 3)
	slow, quick := e.nodes[0], e.nodes[1]
	e.create(workload.Deployment(on(e.spec("slow", 100), slow)), workload.Deployment(on(e.spec("free", 30), quick)))
	e.awaitReady("slow", 100)
	e.awaitReady("free", 30)
	hanging, asked := e.hold("slow")
	e.start()
	e.request(slow, "slow")
	// As many as there are workers.
	for range 10 {
		suite.Receive(t, "the webhook is asked", asked)
	}
	e.request(quick, "free")
	e.awaitDrained(quick, "free")
	hanging.open()
	free := e.sentFor("free")
	first := slices.MinFunc(e.sentFor("slow"), func(a, b cluster.AuditEvent) int { return a.Done.Compare(b.Done) })
	if len(free) < 30 {
		t.Errorf("%d evictions of free pods were sent, want 30", len(free))
	}
	last := free[len(free)-1]
	if last.Done.After(first.Done) {
		t.Errorf("a free pod was evicted %v after the first eviction that hung was answered", last.Done.Sub(first.Done))
	}
	t.Logf("30 free pods were evicted within %v", last.Done.Sub(free[0].Received))
}

// TestBigStart: no pod of 120 nodes that begin together is evicted before all
// are cordoned, unless the cordons themselves rest.
func TestBigStart(t *testing.T) {
	const nodes = 120
	e := setup(t, nodes+1)
	e.create(workload.Deployment(e.spec("web", 2*nodes)))
	e.awaitReady("web", 2*nodes)
	draining := e.nodes[:nodes]
	// Before drainer starts, so that all of them begin with its first plan.
	for _, node := range draining {
		e.request(node, "together")
	}
	begun := time.Now()
	e.start()
	for _, node := range draining {
		e.awaitDrained(node, "together")
	}
	evictions, cordons := e.awaitEvictions(1), e.cordons(nodes)
	last := cordons[len(cordons)-1].Done
	for i, c := range cordons[1:] {
		// The others wait for 2 s when no node is cordoned.
		if c.Done.Sub(cordons[i].Done) > time.Second {
			last = cordons[i].Done
			break
		}
	}
	early := slices.DeleteFunc(slices.Clone(evictions), func(a cluster.AuditEvent) bool { return a.Received.After(last) })
	if len(early) > 0 {
		t.Errorf("%d evictions came before the last of %d nodes was cordoned", len(early), nodes)
	}
	t.Logf("after the start: first cordon %v, last %v, %d evictions, %d of them early", cordons[0].Done.Sub(begun),
		cordons[len(cordons)-1].Done.Sub(begun), len(evictions), len(early))
}

// cordons are drainer's first writes of a cordon to each of so many nodes, in
// the order of their ends.
func (e *env) cordons(nodes int) []cluster.AuditEvent {
	e.Helper()
	var first []cluster.AuditEvent
	poll(e.T, fmt.Sprintf("the cordons of %d nodes are in the audit log", nodes), func() bool {
		seen := map[string]bool{}
		first = e.audit(func(a *cluster.AuditEvent) bool {
			is := a.Verb == "patch" && a.ObjectRef.Resource == "nodes" && a.ObjectRef.Subresource == "" && !seen[a.ObjectRef.Name]
			seen[a.ObjectRef.Name] = seen[a.ObjectRef.Name] || is
			return is
		})
		return len(first) >= nodes
	})
	slices.SortFunc(first, func(a, b cluster.AuditEvent) int { return a.Done.Compare(b.Done) })
	return first
}
