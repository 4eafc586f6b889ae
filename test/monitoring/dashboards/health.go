package dashboards

// replica names a process, also where several clusters or drainers are shown.
const replica = "{{cluster}} {{namespace}} {{pod}} {{instance}}"

func health() Dashboard {
	return board("drainer-health", "drainer / Health", "The health of drainer itself: its replicas, the leader, its requests, queues and memory.",
		row("Now", healthNow()...),
		row("Leader and scrapes", healthReplicas()...),
		row("Requests to the API server", healthRequests()...),
		row("Work", healthWork()...),
		row("Process", healthProcess()...),
	)
}

func healthNow() []Panel {
	return []Panel{
		stat("Replicas", "Processes that are scraped.", "short", now(`count(drainer_build_info{$target})`, "replicas")).
			steps("red", 1., "green").runbooks("DrainerAbsent"),
		stat("Leaders", "Processes that hold the lease: one for each drainer. For a moment after a hand-over Prometheus may show two.", "short",
			now(`sum(leader_election_master_status{$target} $ours) or (0 * count(drainer_build_info{$target}) - 1)`, "leaders")).
			steps("red", 1., "green").idle("no election").runbooks("DrainerNoLeader", "DrainerTwoLeaders"),
		stat("Paused", "Whether the ConfigMap drainer-control pauses everything.", "short",
			now(`max(max by (cluster, namespace, job) (drainer_paused{$target}))`, "paused")).steps("green", 1., "orange").runbooks("DrainerPaused"),
		stat("Failing watches", "Watches of the API server that have failed for at least 30 s: drainer acts on what it saw before.", "short",
			now(`sum(max by (cluster, namespace, job, resource) (drainer_failing_watches{$target}))`, "watches")).steps("green", 1., "red").runbooks("DrainerWatchFailing"),
		stat("Restarts in this time", "How often a process restarted in the same pod. A replaced pod does not count.", "short",
			now(`sum(changes(process_start_time_seconds{$target}[$__range]) $ours)`, "restarts")).steps("green", 1., "orange").runbooks("DrainerCrashLooping"),
		table("Versions", "What runs.", "short", "Instance",
			[]named{{"cluster", "Cluster"}, {"namespace", "Namespace"}, {"pod", "Pod"}, {"instance", "Instance"}, {"version", "Version"}, {"commit", "Commit"}, {"goversion", "Go"}, {"Value", "Replicas"}},
			column("A", `count by (cluster, namespace, pod, instance, version, commit, goversion) (drainer_build_info{$target})`)).size(12, 4),
	}
}

func healthReplicas() []Panel {
	return []Panel{
		timeline("Who leads", "The process that holds the lease acts; the others stand by.",
			map[string]string{"0": "stands by", "1": "leads"}, map[string]string{"0": "blue", "1": "green"},
			query(`max by (cluster, namespace, pod, instance) (leader_election_master_status{$target} $ours)`, replica)).runbooks("DrainerNoLeader"),
		timeline("Scraped", "Whether Prometheus could read the metrics.",
			map[string]string{"0": "down", "1": "up"}, map[string]string{"0": "red", "1": "green"},
			query(`max by (cluster, namespace, pod, instance) (up{$target} and on (cluster, namespace, job) drainer_build_info{$target})`, replica)).runbooks("DrainerAbsent", "DrainerReplicaDown"),
	}
}

func healthRequests() []Panel {
	return []Panel{
		graph("Requests by code", "All requests to the API server, evictions and watches included.", "reqps",
			query(`sum by (code) (rate(rest_client_requests_total{$target}[$__rate_interval]) $ours)`, "{{code}}")).stacked().
			overrideLike("^2.*", colour("green")).overrideLike("^4.*", colour("yellow")).overrideLike("^5.*", colour("red")),
		graph("How long requests took", "p95, by verb.", "s",
			query(`histogram_quantile(0.95, sum by (le, verb) (rate(rest_client_request_duration_seconds_bucket{$target}[$__rate_interval]) $ours))`, "{{verb}}")),
		graph("Requests by method", "All requests to the API server, evictions and watches included.", "reqps",
			query(`sum by (method) (rate(rest_client_requests_total{$target}[$__rate_interval]) $ours)`, "{{method}}")).stacked(),
		graph("Wait for --kube-api-qps", "How long requests were held back in drainer itself, on average, by verb. Quantiles would be guesses: nearly all waits are far below the lowest bucket.", "s",
			query(`sum by (verb) (rate(rest_client_rate_limiter_duration_seconds_sum{$target}[$__rate_interval]) $ours) / (sum by (verb) (rate(rest_client_rate_limiter_duration_seconds_count{$target}[$__rate_interval]) $ours) > 0)`, "{{verb}}")),
	}
}

func healthWork() []Panel {
	return []Panel{
		graph("How long work takes", "p95. An eviction is one request, a task a few.", "s",
			query(`histogram_quantile(0.95, sum by (le, name) (rate(workqueue_work_duration_seconds_bucket{$target, name=~"evictions|tasks"}[$__rate_interval]) $ours))`, "{{name}}")),
		graph("Oldest work under way", "How long the oldest item has been worked on. More than --eviction-timeout means that a worker hangs.", "s",
			query(`max by (name) (workqueue_longest_running_processor_seconds{$target, name=~"evictions|tasks"} $ours)`, "{{name}}")),
		graph("Work under way", "How long all items being worked on have taken together.", "s",
			query(`max by (name) (workqueue_unfinished_work_seconds{$target, name=~"evictions|tasks"} $ours)`, "{{name}}")),
		graph("Queue length", "Items that wait.", "short",
			query(`sum by (name) (workqueue_depth{$target, name=~"evictions|tasks"} $ours)`, "{{name}}")),
	}
}

func healthProcess() []Panel {
	each := func(expr string) Target {
		return query(`max by (cluster, namespace, pod, instance) (`+expr+` $ours)`, replica)
	}
	return []Panel{
		graph("Memory", "Resident memory of each process. It grows with the pods of nodes being drained, not with the cluster.", "bytes",
			each(`process_resident_memory_bytes{$target}`)).size(8, 7),
		graph("Heap in use", "What Go's heap holds.", "bytes", each(`go_memstats_heap_inuse_bytes{$target}`)).size(8, 7),
		graph("Processor", "Processor time used per second.", "percentunit",
			each(`rate(process_cpu_seconds_total{$target}[$__rate_interval])`)).size(8, 7),
		graph("Goroutines", "They grow with the nodes being drained and must fall again afterwards.", "short", each(`go_goroutines{$target}`)).size(8, 7),
		graph("Open files", "Mostly connections to the API server.", "short", each(`process_open_fds{$target}`)).size(8, 7),
		graph("Garbage collection", "Time stopped by it, per second.", "s",
			each(`rate(go_gc_duration_seconds_sum{$target}[$__rate_interval])`)).size(8, 7),
	}
}
