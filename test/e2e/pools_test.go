package e2e

import "testing"

// TestPoolLabel: what is told of a node names its pool by the label of the Node that
// the configuration names, also once that has another value.
func TestPoolLabel(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.stuck("web", node)
	drainer := e.start("--config=" + e.configuration("poolLabel: group.example.com/name\n"))
	e.label(node, "group.example.com/name", "workers")
	e.request(node, "r")
	inPool := func(pool string) func() bool {
		return func() bool {
			return e.status(node).Pool == pool && drainer.metric("drainer_node_phase", "node", node, "pool", pool) == 1 &&
				drainer.metric("drainer_node_pods", "node", node, "pool", pool, "state", "blocked") == 1
		}
	}
	awaitState(t, "the node is one of the workers", inPool("workers"))
	e.label(node, "group.example.com/name", "others")
	awaitState(t, "the node is one of the others", inPool("others"))
	e.cancel(node)
	e.awaitReleased(node)
}
