package dashboards

// Pods of nodes that are being drained, once whatever replica exports them:
// only the leader does, and for a moment after a hand-over two.
const (
	podsToGo    = `max by (cluster, namespace, job, node, state) (drainer_node_pods{$target, state=~"eligible|blocked|terminating"})`
	podsLeaving = `max by (cluster, namespace, job, node, state) (drainer_node_pods{$target, state!="ignored"})`
	podsGone    = `max by (cluster, namespace, job, node, state) (drainer_node_pods{$target, state="gone"})`
	stuckPods   = `max by (cluster, namespace, job, node, reason) (drainer_stuck_pods{$target})`
	phases      = `sum by (phase) (max by (cluster, namespace, job, phase) (drainer_nodes{$target}))`
	// The leader, and no other replica, exports how many nodes there are: 0 of
	// something is known only if there is one.
	zero    = `0 * sum(drainer_nodes{$target})`
	inDrain = `max by (cluster, node) (time() - drainer_node_drain_start_timestamp_seconds{$target})`
	// Progress is that of the pods, and all of it once the node is drained: its pods
	// are no longer counted.
	progress = `sum by (cluster, node) (` + podsGone + `) / (sum by (cluster, node) (` + podsLeaving + `) > 0) or max by (cluster, node) (drainer_node_phase{$target, phase="Drained"})`
	// A node's time to go, if its pods keep leaving at the present pace; not of
	// one with stuck pods, for which it is unknown.
	timeToGo = `(sum by (cluster, node) (` + podsToGo + `) * ` + inDrain + ` / (sum by (cluster, node) (` + podsGone + `) > 0)) unless on (cluster, node) (sum by (cluster, node) (` + stuckPods + `) > 0)`
)

func drains() Dashboard {
	return board("drainer-drains", "drainer / Drains", "Which nodes are being drained, how far they are, and what holds them up.",
		row("Now", drainsNow()...),
		row("Nodes being drained", drainsNodes()...),
		row("What holds them up", drainsBlockers()...),
		row("How drains ended", drainsEnded()...),
	)
}

func drainsNow() []Panel {
	return []Panel{
		stat("Nodes by phase", "Nodes with a drain request. Drained nodes count until their request is removed.", "short",
			now(phases, "{{phase}}")).size(9, 4).phases(),
		stat("Pods to go", "Pods that have to leave and have not: eligible, blocked and terminating ones, of all nodes being drained.", "short",
			now(`sum(`+podsToGo+`) or `+zero, "pods")).size(3, 4),
		stat("Stuck pods", "Pods that have been blocked, or overdue in terminating, for longer than --stuck-after.", "short",
			now(`sum(`+stuckPods+`) or `+zero, "stuck")).size(3, 4).steps("green", 1., "red").runbooks("DrainerDrainStuck"),
		stat("Progress", "The mean of all nodes with a drain request: the share of its pods that are gone, all of it for a drained node, nothing for a queued one.", "percentunit",
			now(`avg(`+progress+`) or (`+zero+` - 1)`, "done")).size(3, 4).idle("no drain"),
		stat("Longest drain", "How long ago the oldest drain began that is not done.", "s",
			now(`max(`+inDrain+`) or (`+zero+` - 1)`, "longest")).size(3, 4).idle("no drain"),
		stat("Time to go", "When the slowest node will be done, if its pods keep leaving at the present pace. Nodes that no pod has left yet, and nodes with stuck pods, do not count: their time is unknown.", "s",
			now(`max(`+timeToGo+`) or (`+zero+` - 1)`, "to go")).size(3, 4).idle("unknown"),
	}
}

// progressByNode is a table of the nodes that are not queued.
func progressByNode() Panel {
	const begun = `max by (cluster, node, phase) (drainer_node_phase{$target, phase!="Queued"}) == 1`
	byNode := func(state string) string {
		return `max by (cluster, node) (drainer_node_pods{$target, state="` + state + `"})`
	}
	return table("Progress by node", "Every node whose drain has begun, the slowest first, and those that are done. Time to go is estimated from its pace so far; a node with stuck pods has none.", "short", "Since",
		[]named{
			{"cluster", "Cluster"},
			{"node", "Node"},
			{"phase", "Phase"},
			{"Value #Phase", ""},
			{"Value #Since", "Since"},
			{"Value #Progress", "Progress"},
			{"Value #Eligible", "Eligible"},
			{"Value #Blocked", "Blocked"},
			{"Value #Terminating", "Terminating"},
			{"Value #Gone", "Gone"},
			{"Value #Stuck", "Stuck"},
			{"Value #ToGo", "Time to go"},
		},
		column("Phase", begun),
		column("Since", inDrain),
		column("Progress", `(`+progress+`) and on (cluster, node) `+begun),
		column("Eligible", byNode("eligible")), column("Blocked", byNode("blocked")),
		column("Terminating", byNode("terminating")), column("Gone", byNode("gone")),
		column("Stuck", `sum by (cluster, node) (`+stuckPods+`)`),
		column("ToGo", timeToGo),
	).
		override("Since", unit("s")).
		override("Time to go", unit("s")).
		override("Progress", unit("percentunit"), Property{"min", 0}, Property{"max", 1},
			Property{"custom.cellOptions", map[string]any{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}}).
		override("Stuck", Property{"custom.cellOptions", map[string]any{"type": "color-text"}},
			Property{"thresholds", Thresholds{Mode: "absolute", Steps: []Step{{nil, "text"}, {one(), "red"}}}}).
		runbooks("DrainerDrainStuck", "DrainerDrainTimedOut")
}

func drainsNodes() []Panel {
	return []Panel{
		progressByNode(),
		graph("Pods by state", "Pods of all nodes being drained. A node's pods are counted until its drain is done.", "short",
			query(`sum by (state) (`+podsLeaving+`)`, "{{state}}")).stacked().states(),
		graph("Phases over time", "Nodes with a drain request, by phase.", "short", query(phases, "{{phase}}")).stacked().phases().runbooks("DrainerQueueStalled"),
		graph("Pods to go by node", "The 15 nodes with the most pods left to evict in the selected time range. A flat line is a drain that makes no progress.", "short",
			query(`sum by (cluster, node) (`+podsToGo+`) and on (cluster, node) topk(15, `+
				`sum by (cluster, node) (max by (cluster, namespace, job, node, state) (max_over_time(drainer_node_pods{$target, state=~"eligible|blocked|terminating"}[$__range] @ end()))))`, "{{cluster}} {{node}}")),
		graph("Time in drain by node", "The 15 nodes of the time shown whose drains began first.", "s",
			query(inDrain+` and on (cluster, node) bottomk(15, `+
				`min by (cluster, node) (min_over_time(drainer_node_drain_start_timestamp_seconds{$target}[$__range] @ end())))`, "{{cluster}} {{node}}")).runbooks("DrainerDrainTimedOut"),
		graph("Queued nodes", "Nodes that are queued, by reason: their time, a slot of --max-draining, their group, or other nodes; and drains that the end of a window or a freeze interrupts.", "short",
			query(`sum by (reason) (max by (cluster, namespace, job, reason) (drainer_queued_nodes{$target}))`, "{{reason}}"),
			query(`sum by (reason) (max by (cluster, namespace, job, reason) (drainer_interrupted_drains{$target}))`, "interrupted: {{reason}}")).stacked().size(16, 6).runbooks("DrainerQueueStalled", "DrainerNodesUnavailable", "DrainerLastNode", "DrainerDrainInterrupted"),
		table("Rules for marked nodes", "The nodes that each rule of the configuration finds marked, holds a request of, and leaves alone because somebody removed its request; and whether it is latched. Empty without rules.", "short", "Marked",
			[]named{{"rule", "Rule"}, {"Value #Marked", "Marked"}, {"Value #Requested", "Requested"}, {"Value #Silent", "Silent"}, {"Value #Latched", "Latched"}},
			column("Marked", byRule("marked")), column("Requested", byRule("requested")), column("Silent", byRule("silent")),
			column("Latched", `max by (rule) (drainer_mark_rule_latched{$target})`)).size(8, 6).runbooks("DrainerMarkRuleLatched"),
	}
}

// byRule are the nodes of each rule for marked nodes that are in a state.
func byRule(state string) string {
	return `sum by (rule) (max by (cluster, namespace, job, rule) (drainer_mark_rule_nodes{$target, state="` + state + `"}))`
}

func one() *float64 {
	v := 1.
	return &v
}

func drainsBlockers() []Panel {
	return []Panel{
		graph("Stuck pods by reason", "Why pods have been blocked, or overdue in terminating, for longer than --stuck-after. docs/reference/metrics.md lists the reasons.", "short",
			query(`sum by (reason) (`+stuckPods+`) > 0`, "{{reason}}")).stacked().size(10, 9).
			runbooks("DrainerDrainStuck", "DrainerPodNeverEvictable", "DrainerTerminatingOverdue"),
		table("Oldest blockers", "The 20 pods that have been stuck for longest. kubectl describe node names their budgets.", "short", "Stuck for",
			[]named{{"Value", "Stuck for"}, {"cluster", "Cluster"}, {"node", "Node"}, {"pod_namespace", "Namespace"}, {"pod_name", "Pod"}, {"reason", "Reason"}},
			column("A", `topk(20, max by (cluster, node, pod_namespace, pod_name, reason) (drainer_stuck_pod_seconds{$target}))`),
		).override("Stuck for", unit("s")).size(14, 9).runbooks("DrainerPodNeverEvictable", "DrainerTerminatingOverdue"),
		graph("Blockers by namespace", "Pods that are blocked, or overdue in terminating, of the 15 namespaces that have had the most in the time shown.", "short",
			query(`max by (cluster, pod_namespace) (drainer_namespace_blockers{$target}) and on (cluster, pod_namespace) topk(15, `+
				`max by (cluster, pod_namespace) (max_over_time(drainer_namespace_blockers{$target}[$__range] @ end())))`, "{{cluster}} {{pod_namespace}}")).size(12, 8),
		graph("Drains that cannot finish", "Drains, queued ones too, that cannot finish however long they wait. The message of each node says why and how to fix it.", "short",
			query(`max by (cluster) (drainer_unfinishable_drains{$target})`, "{{cluster}}")).size(24, 6).runbooks("DrainerDrainUnfinishable"),
		graph("Pods that come back", "How often pods of the same controller have come back to a node and been evicted again, of the 15 nodes with the most in the time shown.", "short",
			query(`max by (cluster, node) (drainer_node_pod_returns{$target}) > 0 and on (cluster, node) topk(15, `+
				`max by (cluster, node) (max_over_time(drainer_node_pod_returns{$target}[$__range] @ end())))`, "{{cluster}} {{node}}")).size(12, 8).runbooks("DrainerPodReturning"),
		graph("Attached volumes", "Volumes that are still attached to nodes whose pods are gone, and that the drain waits for (waitForVolumeDetach), of the 15 nodes with the most in the time shown.", "short",
			query(`max by (cluster, node) (drainer_node_attached_volumes{$target}) > 0 and on (cluster, node) topk(15, `+
				`max by (cluster, node) (max_over_time(drainer_node_attached_volumes{$target}[$__range] @ end())))`, "{{cluster}} {{node}}")).size(12, 8).runbooks("DrainerNodeBlocked"),
	}
}

func drainsEnded() []Panel {
	const took = `drainer_drain_duration_seconds_bucket{$target, result="drained"}`
	over := func(q, legend string) Target {
		return now(`histogram_quantile(`+q+`, sum by (le) (increase(`+took+`[$__range]))) >= 0 or (0 * sum(increase(drainer_drains_total{$target}[$__range])) - 1)`, legend)
	}
	return []Panel{
		stat("Ended in this time", "How many drains ended in the time shown, and how. One that timed out and continued counts for both.", "short",
			now(`sum by (result) (increase(drainer_drains_total{$target}[$__range]))`, "{{result}}")).decimals(0).size(14, 4),
		stat("How long drains took", "Of the drains done in the time shown, without the time queued or paused. From the histogram's buckets, so not exact.", "s",
			over("0.5", "p50"), over("0.95", "p95")).size(10, 4).idle("no drain"),
		graph("Drains that ended", "How many drains ended in each interval, and how.", "short",
			query(`sum by (result) (increase(drainer_drains_total{$target}[$__interval]))`, "{{result}}")).bars().
			override("drained", colour("green")).override("timed_out", colour("dark-red")).override("cancelled", colour("purple")).
			override("superseded", colour("yellow")).override("node_deleted", colour("orange")).runbooks("DrainerDrainTimedOut"),
		heat("How long drains took, over time", "Drains done, by how long they took, without the time queued or paused.", "s",
			`sum by (le) (increase(`+took+`[$__interval]))`),
	}
}

// decimals fixes how exactly values are shown.
func (p Panel) decimals(n int) Panel {
	p.FieldConfig.Defaults.Decimals = &n
	return p
}
