package drain

import (
	"context"
	"time"

	"drainer.dev/drainer/pkg/plan"
)

// foresee lists the pods of a queued node, and keeps those that would prevent
// its drain from finishing. One list at a time is under way: a drain of many
// nodes must not fill the memory with pods that nobody evicts yet.
func (c *Controller) foresee(ctx context.Context, t task) (progress, error) {
	if !c.foreseeing.TryLock() {
		return later, nil
	}
	defer c.foreseeing.Unlock()
	n, stale := c.newest(t.node)
	switch {
	case stale:
		return later, nil
	case !n.Foresee:
		return nothing, nil
	}
	// The API server's cache is good enough. Without a version, older servers read
	// all pods of the cluster from etcd for each node.
	pods, err := c.listPods(ctx, c.Client, n.Node.Name, "0")
	if err != nil {
		return done, err
	}
	s := &plan.Snapshot{
		Config: c.Config, Nodes: c.View.Nodes(), DaemonSets: c.View.DaemonSets(), Budgets: c.Ledger.View(),
		NamespaceLabels: c.View.NamespaceLabels(), Scales: c.knownScales(),
	}
	c.learnedOf(n.Node.UID, plan.NodeForeseen{Node: n.Node.UID, Request: n.Request.ID, Pods: plan.Foresee(s, n.Node, pods), At: time.Now()})
	return done, nil
}
