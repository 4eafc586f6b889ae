package e2e

import (
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// TestFreeze: in a freeze nothing begins although a window is open, and the node says
// why and until when; an emergency goes past that.
func TestFreeze(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(3)
	drainer := e.start("--config=" + e.configuration(`windows: [{schedule: "* * * * *", duration: 1h}]
freezes: [{from: 2001-01-01T00:00:00Z, until: 2101-01-01T00:00:00Z, reason: holidays}]
`))
	e.request(node, "freeze")
	awaitState(t, node+" says until when nothing begins, and why", func() bool {
		m := e.message(node)
		return e.status(node).Phase == api.Queued && strings.Contains(m, "holidays") && strings.Contains(m, "2101-01-01T00:00:00Z")
	})
	poll(t, "the metric says what it waits for", func() bool { return drainer.metric("drainer_queued_nodes", "reason", "freeze") == 1 })
	watchFor(t, 2*time.Second, "nothing is done", func() bool { return !e.cordoned(node) && len(e.evictions()) == 0 })
	e.annotate(node, api.IgnoreWindowsAnnotation, "true")
	e.awaitDrained(node, "freeze")
	e.checkOnce(3)
}
