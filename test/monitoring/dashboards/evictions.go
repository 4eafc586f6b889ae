package dashboards

const (
	requests  = `drainer_eviction_requests_total`
	few       = "too few"
	byBudgets = `budget_exhausted|budget_never_allows|multiple_budgets|budget_unsynced|budget_sync_failed`
)

// shareOf is the share of the answers that match. Of fewer than 10 there is
// none: an occasional probe of a stuck budget would make it 100 %.
func shareOf(matcher, interval string) string {
	count := func(matcher string) string {
		return `sum(increase(` + requests + `{$target` + matcher + `}[` + interval + `]))`
	}
	return count(", "+matcher) + ` / (` + count("") + ` >= 10)`
}

func evictions() Dashboard {
	return board("drainer-evictions", "drainer / Evictions", "What the API server answers to evictions, and what they wait for.",
		row("In this time", evictionsNow()...),
		row("Answers", evictionsAnswers()...),
		row("Budgets", evictionsBudgets()...),
		row("Queues and throttling", evictionsQueues()...),
	)
}

func evictionsNow() []Panel {
	share := func(matcher string) string {
		return shareOf(matcher, "$__range") + ` or (0 * sum(increase(` + requests + `{$target}[$__range])) - 1)`
	}
	return []Panel{
		stat("Evictions admitted", "Pods whose eviction the API server admitted in the time shown.", "short",
			now(`sum(increase(`+requests+`{$target, reason="admitted"}[$__range]))`, "admitted")).decimals(0),
		stat("Refused with 429", "Share of the answers in the time shown. Drainer waits for budgets instead of asking, so this stays low.", "percentunit",
			now(share(`code="429"`), "429")).steps("green", .2, "orange").idle(few),
		stat("Answered 5xx", "Share of the answers in the time shown: more than one budget, a webhook, or an error in the server.", "percentunit",
			now(share(`code=~"5.."`), "5xx")).steps("green", .1, "red").idle(few).runbooks("DrainerEvictionsFailing"),
		stat("Not answered", "Share of the evictions in the time shown that got no answer. Drainer looks up their pods.", "percentunit",
			now(share(`code="error"`), "no answer")).steps("green", .05, "red").idle(few).runbooks("DrainerEvictionsFailing"),
		stat("Throttled", "Share of the answers in the time shown by which the API server asked to slow down.", "percentunit",
			now(share(`reason="throttled"`), "throttled")).steps("green", .1, "orange").idle(few).runbooks("DrainerEvictionsThrottled"),
		stat("Answered within", "p95 of the time until evictions in the selected time range were answered.", "s",
			now(`histogram_quantile(0.95, sum by (le) (increase(drainer_eviction_request_duration_seconds_bucket{$target}[$__range]))) >= 0 or (0 * sum(increase(`+requests+`{$target}[$__range])) - 1)`, "p95")).idle("no eviction"),
	}
}

func evictionsAnswers() []Panel {
	return []Panel{
		graph("Answers by code and reason", "Every HTTP answer to an eviction; code error if there was none.", "reqps",
			query(`sum by (code, reason) (rate(`+requests+`{$target}[$__rate_interval])) > 0`, "{{code}} {{reason}}")).stacked().
			overrideLike("^20.*", colour("green")).overrideLike("^429 budget.*", colour("yellow")).overrideLike("^429 throttled", colour("orange")).
			overrideLike("^5.*", colour("red")).overrideLike("^error.*", colour("dark-red")).
			runbooks("DrainerEvictionsFailing", "DrainerEvictionsThrottled"),
		graph("Share of 429 and of 5xx", "Of all answers at each moment in which there are 10 or more.", "percentunit",
			query(shareOf(`code="429"`, "$__rate_interval"), "429"), query(shareOf(`code=~"5.."`, "$__rate_interval"), "5xx")).
			override("429", colour("yellow")).override("5xx", colour("red")).whole(),
		graph("How long answers took", "From the request to the API server's answer. An eviction may wait for 34 s inside the server.", "s",
			quantiles(`drainer_eviction_request_duration_seconds_bucket{$target}`)...),
		heat("How long answers took, over time", "Evictions answered, by how long the answer took.", "s",
			`sum by (le) (increase(drainer_eviction_request_duration_seconds_bucket{$target}[$__interval]))`),
	}
}

// whole is for shares: the axis ends at 1.
func (p Panel) whole() Panel {
	p.FieldConfig.Defaults.Max = one()
	return p
}

func evictionsBudgets() []Panel {
	const blockingBudgets = `topk(20, max by (cluster, pod_namespace, budget) (drainer_budget_blocked_pods{$target}))`
	omitted := func(metric, legend string) Target {
		return now(`sum(max by (cluster, namespace, job) (`+metric+`{$target}))`, legend)
	}
	return []Panel{
		graph("Pods stuck behind a budget", "Pods that a PodDisruptionBudget has held for longer than --stuck-after. Those of budget_never_allows, multiple_budgets and budget_sync_failed cannot leave, however long you wait.", "short",
			query(`sum by (reason) (max by (cluster, namespace, job, node, reason) (drainer_stuck_pods{$target, reason=~"`+byBudgets+`"})) > 0`, "{{reason}}")).
			stacked().runbooks("DrainerPodNeverEvictable", "DrainerDrainStuck"),
		table("Oldest pods behind a budget", "The 20 that have been stuck for longest. kubectl describe node names the budgets and their numbers.", "short", "Stuck for",
			[]named{{"Value", "Stuck for"}, {"cluster", "Cluster"}, {"node", "Node"}, {"pod_namespace", "Namespace"}, {"pod_name", "Pod"}, {"reason", "Reason"}},
			column("A", `topk(20, max by (cluster, node, pod_namespace, pod_name, reason) (drainer_stuck_pod_seconds{$target, reason=~"`+byBudgets+`"}))`),
		).override("Stuck for", unit("s")).size(12, 8).runbooks("DrainerPodNeverEvictable"),
		table("Budgets that block", "The 20 that block the most pods. The headroom is the number of healthy pods beyond the minimum of the budget: if it is negative, pods have to become ready before any may leave.", "short", "Blocked pods",
			[]named{{"cluster", "Cluster"}, {"pod_namespace", "Namespace"}, {"budget", "Budget"}, {"Value #Blocked", "Blocked pods"}, {"Value #Headroom", "Headroom"}},
			column("Blocked", blockingBudgets),
			column("Headroom", `max by (cluster, pod_namespace, budget) (drainer_budget_headroom_pods{$target}) and on (cluster, pod_namespace, budget) `+blockingBudgets),
		).size(16, 8).runbooks("DrainerDrainStuck", "DrainerPodNeverEvictable"),
		stat("Without a name", "Only the 50 oldest stuck pods, and the 50 budgets and namespaces that block the most pods, are listed by name. This is how many others there are.", "short",
			omitted("drainer_stuck_pods_omitted", "stuck pods"), omitted("drainer_budgets_omitted", "budgets"), omitted("drainer_namespaces_omitted", "namespaces")).size(8, 8),
		graph("Forced deletions", "Pods deleted past their budgets in each interval because a drain with on-timeout Delete has timed out, a rule says deleteAfter, or the node disappears, by reason.", "short",
			query(`sum by (reason) (increase(drainer_forced_deletions_total{$target}[$__interval]))`, "{{reason}}")).bars().
			runbooks("DrainerForcedDeletions"),
		graph("How long blocked pods had waited", "p95 of the time from becoming a target to the admission of the eviction, of pods that were blocked, by the last reason.", "s",
			query(`histogram_quantile(0.95, sum by (le, reason) (rate(drainer_pod_blocked_duration_seconds_bucket{$target}[$__rate_interval])))`, "{{reason}}")),
		graph("How long pods took to leave", "From the admission of their eviction until they were gone.", "s",
			quantiles(`drainer_pod_termination_duration_seconds_bucket{$target}`)...).runbooks("DrainerTerminatingOverdue"),
	}
}

func evictionsQueues() []Panel {
	return []Panel{
		graph("Queue length", "Evictions that may be sent and wait for a worker or for --eviction-qps, and tasks: writes to nodes, looks, lists.", "short",
			query(`sum by (name) (workqueue_depth{$target, name=~"evictions|tasks"} $ours)`, "{{name}}")),
		graph("Wait in the queue", "p95 of the time that items wait.", "s",
			query(`histogram_quantile(0.95, sum by (le, name) (rate(workqueue_queue_duration_seconds_bucket{$target, name=~"evictions|tasks"}[$__rate_interval]) $ours))`, "{{name}}")),
		graph("Throttled answers", "The API server asked to slow down: all evictions wait, then go one at a time until one is admitted.", "reqps",
			query(`sum by (code) (rate(`+requests+`{$target, reason="throttled"}[$__rate_interval]))`, "{{code}}")).runbooks("DrainerEvictionsThrottled"),
		graph("Queue traffic", "Items added, and items added again after a failure.", "ops",
			query(`sum by (name) (rate(workqueue_adds_total{$target, name=~"evictions|tasks"}[$__rate_interval]) $ours)`, "{{name}} added"),
			query(`sum by (name) (rate(workqueue_retries_total{$target, name=~"evictions|tasks"}[$__rate_interval]) $ours)`, "{{name}} again")),
	}
}
