package e2e

import (
	"strings"
	"testing"

	"drainer.dev/drainer/test/cluster/workload"
)

// TestHandOver: a leader whose own pod is the last on its node hands the lease
// over to another replica, which evicts that pod.
func TestHandOver(t *testing.T) {
	e := setup(t, 3)
	pods := e.drainerPods(2)
	own, node := pods[0], pods[0].Spec.NodeName
	e.create(workload.Deployment(on(e.spec("web", 3), node)))
	e.awaitReady("web", 3)
	leader := e.startIn(own)
	poll(t, "the first one leads", leader.leads)
	standby := e.startIn(pods[1])
	poll(t, "the other stands by", standby.ready)

	e.request(node, "handover")
	e.awaitDrained(node, "handover")
	if leads, other := leader.metric("leader_election_master_status"), standby.metric("leader_election_master_status"); leads != 0 || other != 1 {
		t.Errorf("the first one leads: %v, the other: %v", leads, other)
	}
	for p, want := range map[process]float64{leader: 3, standby: 1} {
		if n := p.metric("drainer_eviction_requests_total", "reason", "admitted"); n != want {
			t.Errorf("%s evicted %v pods, want %v", p.Log, n, want)
		}
	}
	e.checkOnce(4)
	if sent := e.evictions(); sent[len(sent)-1].ObjectRef.Name != own.Name {
		t.Errorf("%s was evicted last, want %s", sent[len(sent)-1].ObjectRef.Name, own.Name)
	}
	poll(t, "the process that handed over is ready to take over again", leader.ready)
	poll(t, "it no longer counts nodes", func() bool { return leader.metric("drainer_nodes", "phase", "Drained") == 0 })
	// It does when the other ends.
	if status, _ := standby.terminate(); status != 0 {
		t.Errorf("the other exited with %d", status)
	}
	poll(t, "the first one leads again", leader.leads)
	e.cancel(node)
	e.awaitReleased(node)
}

// TestOwnPodAlone: without another replica drainer's own pod leaves last, and
// only while a node takes a new one.
func TestOwnPodAlone(t *testing.T) {
	e := setup(t, 2)
	own := e.drainerPods(1)[0]
	node := own.Spec.NodeName
	spare := e.nodes[0]
	if spare == node {
		spare = e.nodes[1]
	}
	e.kubectl("cordon", spare)
	awaitState(t, "the person's cordon", func() bool { return e.cordoned(spare) })
	e.startIn(own, "--allow-last-node")
	e.request(node, "alone")
	awaitState(t, "the node says why its last pod stays", func() bool {
		return strings.Contains(e.message(node), own.Name) && strings.Contains(e.message(node), "no node accepts a new pod")
	})
	if n := len(e.evictions()); n != 0 {
		t.Errorf("%d evictions were sent", n)
	}
	e.kubectl("uncordon", spare)
	e.awaitDrained(node, "alone")
	e.checkOnce(1)
}
