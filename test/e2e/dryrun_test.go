package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestDryRunRequest: a dry run gives each pod the API server's own verdict, or
// drainer's, and by the audit log changes nothing.
func TestDryRunRequest(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.create(
		workload.Deployment(on(e.spec("web", 2), node)), workload.MaxUnavailable(e.namespace, "web", "web", "1"),
		workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"),
	)
	e.awaitReady("web", 2)
	e.awaitReady("db", 1)
	drainer := e.start("--max-draining=1")
	e.annotate(node, api.DrainAnnotation, "look", api.DryRunAnnotation, "true")
	awaitState(t, "the dry run has its verdicts", func() bool {
		v := e.status(node).Verdicts
		return v != nil && v.At != nil
	})
	status := e.status(node)
	if v := status.Verdicts; status.Phase != api.DryRun || v.Admitted != 2 || v.Refused != 1 || v.Held+v.Unanswered > 0 {
		t.Errorf("the status is %+v with the verdicts %+v", status, v)
	}
	if len(status.Blockers) != 1 || !strings.Contains(status.Blockers[0].Message, "refused: The disruption budget db needs 1 healthy pods and has 1 currently") {
		t.Errorf("the blockers are %+v", status.Blockers)
	}
	for _, kind := range []corev1.NodeConditionType{corev1.NodeDrainInProgress, corev1.NodeDrained} {
		if c := e.condition(node, kind); c.Status != corev1.ConditionFalse || c.Reason != string(api.DryRun) || !strings.Contains(c.Message, "2 of 3 pods could be evicted now") {
			t.Errorf("%s is %+v", kind, c)
		}
	}
	e.awaitEvent("default", node, string(api.DryRun))
	dry := e.audit(func(a *cluster.AuditEvent) bool { return a.DryRun() })
	if len(dry) != 3 || len(e.evictions()) > 0 || e.cordoned(node) || len(e.podsOn(node, "web")) != 2 || len(e.podsOn(node, "db")) != 1 {
		t.Errorf("%d dry runs and %d evictions were sent, the node is cordoned: %v", len(dry), len(e.evictions()), e.cordoned(node))
	}
	if n := drainer.metric("drainer_evictions_total"); n != 0 {
		t.Errorf("%v evictions are counted", n)
	}
	if n := drainer.metric("drainer_node_phase", "node", node, "phase", string(api.DryRun)); n != 1 {
		t.Errorf("drainer_node_phase of the dry run is %v", n)
	}

	// Without its annotation it is still a dry run; another ID drains.
	e.annotate(node, api.DryRunAnnotation, "")
	e.deleteBudget("db")
	e.deleteBudget("web")
	e.request(node, "real")
	e.awaitDrained(node, "real")
}
