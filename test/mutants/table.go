package main

// mutant is one change of the code that some test has to notice.
type mutant struct {
	name string
	// file is where old occurs once; new replaces it.
	file, old, new string
}

// mutants are deletions of guards and memories that general mutation testing
// does not make: each was once found to have no test, or would be an outage.
func mutants() []mutant {
	const (
		admit, conclude, fact    = "pkg/plan/admit.go", "pkg/plan/conclude.go", "pkg/plan/fact.go"
		keep, memory, nodeMemory = "pkg/plan/keep.go", "pkg/plan/memory.go", "pkg/plan/nodememory.go"
		node, plan, probe        = "pkg/plan/node.go", "pkg/plan/plan.go", "pkg/plan/probe.go"
		outbox, load, lookup     = "pkg/plan/outbox.go", "pkg/plan/load.go", "pkg/drain/lookup.go"
		nodeTasks, tasks         = "pkg/drain/node.go", "pkg/drain/tasks.go"
		dryRun, volume           = "pkg/plan/dryrun.go", "pkg/plan/volume.go"
		pacing                   = "pkg/plan/pacing.go"
	)
	return []mutant{
		{"a waiting node counts pods that its budget can lack", "pkg/plan/foresee.go", "s.stranded > s.budgets[0].spare()", "true"},
		{"a node that nobody drains counts as one that waits", "pkg/plan/together.go", "if !p.waits(n) {", "if false {"},
		{"a dry run counts as a drain that waits", "pkg/plan/together.go", " && n.memory.DryRun == nil", ""},
		{"a waiting node warns of pods that its budget can lack", "pkg/plan/foresee.go", "shared[s.budgets[0].Budget] > s.budgets[0].spare()", "true"},
		{"a waiting node warns of pods that will be deleted", "pkg/plan/together.go", " || p.willDelete(n, s) && p.protects(s) == \"\"", ""},
		{"a drain that can finish later cannot finish", "pkg/plan/foresee.go", "if s.nowhere != nil && len(s.nowhere.queued) > 0 {", "if false {"},
		{"a node admits its own pods although it waits to be drained", "pkg/plan/foresee.go", "p.nowhereFor(s, n.node.Name)", "p.nowhereFor(s, \"\")"},
		{"a pod is sent although everything has been paused since", "pkg/drain/evictor.go", " || e.paused() {", " {"},
		{"a node is cordoned while everything is paused", conclude, "plan.Cordon = n.halted == \"\" && ", "plan.Cordon = "},
		{"a dry run continues while everything is paused", conclude, "n.awaitsVerdicts() && p.Control.Paused == \"\"", "n.awaitsVerdicts()"},
		{"careful mode ends with any late answer", outbox, "if a.Outcome.Code != NoAnswer && !a.At.Add(-a.Took).Before(o.throttled) {", "if true {"},
		{"careful mode sends more than one", outbox, "o.careful && o.answersDue() {", "false {"},
		{"a slow request holds up careful mode", outbox, "		r.Slow = true\n", ""},
		{"a pod with an unknown answer is sent again", outbox, "return sent || answered[g.Pod.UID]", "return sent"},
		{"one controller takes all workers", load, " || l.held[d] >= max(1, l.workers/2)", ""},
		{"one controller takes all requests", load, " || l.underWay[d] >= MostInFlight/2", ""},
		{"unconfirmed budgets are never read", probe, "&& !slices.Contains(polls, u.Budget)", "&& slices.Contains(polls, u.Budget)"},
		{"unconfirmed budgets are never confirmed", lookup, "c.Ledger.Confirm(key, asked.Add(-plan.UnconfirmedFor))", "_ = asked"},
		{"a budget is probed all the time", fact, "	b.ProbedAt = at\n", ""},
		{"a probe is sent beside a grant", probe, "		if !b.asking {\n", "		if true {\n"},
		{"the check before Drained is repeated at once", conclude, "if at.Before(m.RetryConfirmAt) {", "if false {"},
		{"a stale plan is carried out", nodeTasks, "return n, planned && c.planned <= c.after[node]", "return n, planned && false"},
		{"Drained applies to another request", fact, "if n.Request == f.Request {", "if true {"},
		{"the cordon does not name the UID", "pkg/drain/writes.go", "want := applycorev1.Node(n.Name).WithUID(n.UID).\n		WithSpec", "want := applycorev1.Node(n.Name).\n		WithSpec"},
		{"tasks run without the lease", tasks, "ctx, cancel := c.Fence.within(ctx, plan.TaskTimeout)", "ctx, cancel := context.WithTimeout(ctx, plan.TaskTimeout)"},
		{"a pod that was looked up is never sent again", "pkg/plan/lookedup.go", "p.Uncertain, p.LookupAt, p.AdmittedAt = false, time.Time{}, time.Time{}", "p.LookupAt, p.AdmittedAt = time.Time{}, time.Time{}"},
		{"an admitted pod that stays is never looked up", fact, "p.LookupAt, p.LookupsLeft = at.Add(deletionGrace), 1", "p.LookupsLeft = 1"},
		{"a pod's own Retry-After is ignored", "pkg/plan/outcome.go", "return max(d, o.RetryAfter)", "return d"},
		{"a webhook that asks to wait refuses", "pkg/plan/outcome.go", "	if code == http.StatusTooManyRequests {\n		return Evacuating\n	}\n	return Webhook", "	return Webhook"},
		{"a webhook that refuses only asks to wait", "pkg/plan/outcome.go", "	if code == http.StatusTooManyRequests {\n		return Evacuating\n	}\n	return Webhook", "	return Evacuating"},
		{"a pod that a webhook moves is deleted", "pkg/plan/delete.go", "return r == BudgetExhausted || r == BudgetNeverAllows || r == MultipleBudgets", "return r == BudgetExhausted || r == BudgetNeverAllows || r == MultipleBudgets || r == Evacuating"},
		{"a webhook that refuses a deletion moves the pod", fact, "f.Grant.Deletion != nil && f.Outcome.Reason == Evacuating {", "false {"},
		{"a webhook's cause hides which webhook it is", "pkg/plan/outcome.go", "status.Details != nil && !strings.HasPrefix(status.Message, webhookDeniedText)", "status.Details != nil"},
		{"a pod that a webhook moves is sent again as one that it refuses", "pkg/plan/outcome.go", "d = doubled(evacuationBackoff, again, evacuationMost)", "d = doubled(errorBackoff, again, errorBackoffMost)"},
		{"a Retry-After is kept however long", "pkg/plan/outcome.go", "RetryAfter: min(asked, RetryAfterMost)", "RetryAfter: asked"},
		{"a refused pod is sent again at once", fact, "	p.RetryAt = f.At.Add(f.Outcome.wait(p.Refusals))\n	return p\n", "	return p\n"},
		{"throttling is not planned for", admit, "if p.Now.Before(p.Throttled) {", "if false {"},
		{"a drained node times out", "pkg/plan/queue.go", " || !n.memory.FinishedAt.IsZero() || n.node.saysDrained(n.request.ID) {\n", " || n.node.saysDrained(n.request.ID) {\n"},
		{"a node that says that it is drained times out", "pkg/plan/queue.go", " || n.node.saysDrained(n.request.ID) {\n", " {\n"},
		{"a node counts itself as one that admits its pods no more", "pkg/plan/nowhere.go", "known.sole != \"\" && known.sole != other", "false"},
		{"a drain that the Node says is done continues for another request", "pkg/plan/nodememory.go", " || node.saysDrained(memory.Request)\n", "\n"},
		{"a pod under way is forgotten", memory, "if _, sent := o.InFlight[uid]; !sent {", "if true {"},
		{"the end is counted at every plan", conclude, "plan.ended = result != n.memory.Result", `plan.ended = result != ""`},
		{"a pod stays blocked forever", keep, `case s.leaves() || p.Outcome.Reason == "":`, "case false:"},
		{"a task that fails is queued at every plan", tasks, "if c.tasks.NumRequeues(t) == 0 {", "if true {"},
		{"a failing cordon hides the report", conclude, "	if !plan.Acts() && !plan.Write {\n		plan.Memory.Trouble = \"\"", "	if true {\n		plan.Memory.Trouble = \"\""},
		{"the cordon comes before the status", conclude, " && announced(plan)", ""},
		{"unready pods are free under no demand", admit, "b.CurrentHealthy >= b.DesiredHealthy && b.DesiredHealthy > 0", "b.CurrentHealthy >= b.DesiredHealthy"},
		{"a returning pod is not counted", fact, `if controller == "" || !e.Memory.Late {`, "if true {"},
		{"pods of the first list are late", memory, "Late: listed && !node.CordonSeen.IsZero()", "Late: !node.CordonSeen.IsZero()"},
		{"the status of another request is restored", nodeMemory, "		case status.Request == id:\n", "		case true:\n"},
		{"a new request loses its place", nodeMemory, "next.RequestedAt = cmp.Or(m.RequestedAt, now)", "next.RequestedAt = cmp.Or(now, m.RequestedAt)"},
		{"nodes that begin together do not wait", node, "		n.gathering = true\n", "		n.gathering = false\n"},
		{"the next plan comes too late", plan, "(p.wake.IsZero() || t.Before(p.wake))", "(p.wake.IsZero() || p.wake.Before(t))"},
		{"a dry run is started", "pkg/plan/queue.go", " || n.memory.DryRun != nil:\n			continue", ":\n			continue"},
		{"a dry run becomes a drain without its annotation", dryRun, "case !n.request.DryRun || n.memory.DryRun != nil:", "case !n.request.DryRun:\n		n.memory.DryRun = nil\n	case n.memory.DryRun != nil:"},
		{"a dry run is forgotten in a restart", nodeMemory, "if status.Verdicts != nil {", "if false {"},
		{"a drain under way becomes a dry run", dryRun, "		n.invalid = errDryRunOfDrain\n", "		n.memory.DryRun = &DryRun{}\n"},
		{"verdicts of another request of a dry run count", dryRun, "if n.Request == f.Request && n.DryRun != nil {", "if n.DryRun != nil {"},
		{"a request after a dry run takes its place", nodeMemory, " || m.DryRun != nil || m.released() {", " || m.released() {"},
		{"a dry run is asked about before it is announced", conclude, "plan.Judge = !plan.Write && n.awaitsVerdicts()", "plan.Judge = n.awaitsVerdicts()"},
		{"a dry run evicts", "pkg/drain/eviction.go", "		if dryRun {\n", "		if false {\n"},
		{"all dry runs are under way at once", "pkg/drain/judge.go", "	if !c.judging.TryLock() {\n		return later, nil\n	}\n	defer c.judging.Unlock()\n", ""},
		{"pods without a budget all leave at once", "pkg/plan/share.go", "case s.send == freely && p.outOfTurn(n, s):", "case false:"},
		{"a node that disappears waits for replacements", pacing, "if !s.paced || n.urgent() {", "if !s.paced {"},
		{"a pod is sent beside another one of its controller", outbox, " || g.paced && o.unseen(destinationOf(g.Pod))", ""},
		{"a pod is sent before the answer for another one of its controller is known", outbox, "return slices.ContainsFunc(o.answers, func(a Answered) bool { return destinationOf(a.Grant.Pod) == d })", "return false"},
		{"the next pod leaves while another one is being sent", pacing, "	case s.send == underway:\n		w.holder = s.Pod\n", ""},
		{"the next pod leaves before the last is gone", pacing, "return w.Gone && !still && slices", "return !still && slices"},
		{"the next pod leaves once the last is gone", pacing, "return w.Gone && !still && slices.ContainsFunc(w.Listed, w.replaces)", "return w.Gone && !still"},
		{"the next pod leaves while the last is on a node that is not watched", pacing, "return w.Gone && !still && slices", "return (w.Gone || still) && slices"},
		{"a replacement that is not Ready counts", pacing, "return s.Ready && !s.Leaving && !known && created", "return !s.Leaving && !known && created"},
		{"a replacement that leaves counts", pacing, "return s.Ready && !s.Leaving && !known && created", "return s.Ready && !known && created"},
		{"a replacement counts twice", pacing, "return s.Ready && !s.Leaving && !known && created", "return s.Ready && !s.Leaving && created && (known || true)"},
		{"a pod from before replaces the last", pacing, "return s.Ready && !s.Leaving && !known && created", "return s.Ready && !s.Leaving && !known && (created || true)"},
		{"a list from before the last pod was evicted counts", pacing, "(memory.LeftAt.IsZero() || f.Began.Before(memory.LeftAt))", "memory.LeftAt.IsZero()"},
		{"a pod that is not replaced holds the others forever", pacing, "	case !p.Now.Before(until):\n		return true\n", ""},
		{"a process that has begun does not look at what the one before has evicted", pacing, "		return p.Began.Add(paceFor)\n", "		return p.Began\n"},
		{"pods are listed at every plan", pacing, "if at := w.AskedAt.Add(interval); p.Now.Before(at) {", "if at := w.AskedAt.Add(interval); false {"},
		{"pods that are not Ready wait for each other", pacing, "return pod.Ready && len(s.budgets) == 0", "return len(s.budgets) == 0"},
		{"a pod that has not left after all waits for itself", pacing, "			w.LeftAt = time.Time{}\n", "			_ = w\n"},
		{"pods that somebody else deletes hold nobody", pacing, "	case w.other != nil:\n", "	case false:\n"},
		{"pods under a budget wait for each other", pacing, "return pod.Ready && len(s.budgets) == 0", "return pod.Ready"},
		{"what was Ready is forgotten once it leaves", keep, "p.Target, p.Paced = true, s.paced", "p.Target = true"},
		{"a pod that nobody saw leave holds nobody", pacing, "			w.LeftAt = p.Now\n", ""},
		{"a node is drained with its volumes", volume, "!v.Since.IsZero() && c.ignoresUnreachable(node, now)", "!v.Since.IsZero()"},
		{"a list of volumes from before counts", volume, "	case f.Began.Before(v.GoneAt):\n		return n\n", ""},
		{"volumes found detached stay so", fact, "n.RetryConfirmAt, n.Volumes = f.At.Add(confirmInterval), Volumes{}", "n.RetryConfirmAt = f.At.Add(confirmInterval)"},
		{"volumes of pods that stay are waited for", "pkg/drain/volumes.go", "if !c.Config.IsTarget(pod, around) {", "if false {"},
		{"volumes are listed at every plan", volume, "return now.Add(min(max(now.Sub(v.Since)/4,", "return now.Add(0*min(max(now.Sub(v.Since)/4,"},
		{"lists of volumes do not rest", volume, "	p.wakeAt(at)\n	return !p.Now.Before(at)\n}\n\n// volumesStall", "	p.wakeAt(at)\n	return true\n}\n\n// volumesStall"},
		{"since when volumes are waited for is forgotten in a restart", nodeMemory, "	if v := status.Volumes; v != nil {", "	if v := status.Volumes; false {"},
		{"a drain that waits for volumes never stalls", conclude, " || p.volumesStall(n)\n", "\n"},
		{"a suspended leader acts", "pkg/leader/lease.go", " && now.Round(0).Before(until.Round(0))", ""},
	}
}
