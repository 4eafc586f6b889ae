package main

// controller runs the whole controller in simulated time.
var controller = suite{dir: ".", pkg: "./pkg/drain", args: []string{"-run=TestStoryRandom$", "-story.runs=300"}}

// controllerBugs are bugs that a change of what acts could bring in. What decides
// is as it should be, so the discrete-event loop sees none of them.
func controllerBugs() []planted {
	const (
		node, evictor, eviction = "pkg/drain/node.go", "pkg/drain/evictor.go", "pkg/drain/eviction.go"
		controllerFile, tasks   = "pkg/drain/controller.go", "pkg/drain/tasks.go"
	)
	return []planted{
		{
			mutant{
				"an admission is forgotten", evictor, "	e.outbox.Answered(a)\n	e.change()\n",
				"	if e.outbox.Drop(a.Grant.Pod.UID); a.Outcome.Reason != plan.Admitted {\n		e.outbox.Answered(a)\n	}\n	e.change()\n",
			}, "I4", controller,
		},
		{mutant{"Drained does not wait for the live list", node, "if plan.IsTarget(plan.PodOf(&list.Items[i]), daemonSets, c.Config) {", "if plan.IsTarget(plan.PodOf(&list.Items[i]), daemonSets, c.Config) && false {"}, "I5", controller},
		{mutant{"a failed task is not repeated", tasks, "		c.tasks.AddRateLimited(t)\n	case failures == 0:", "	case failures == 0:"}, "I6", controller},
		{mutant{"the release forgets the cordon", node, "	if n.OwnCordon {\n", "	if false {\n"}, "I7", controller},
		{mutant{"client-go repeats evictions", eviction, "MaxRetries(0)", "MaxRetries(3)"}, "I8", controller},
		{mutant{"an eviction without an answer is not counted", controllerFile, "	c.Observer.Answered(a.Outcome, a.Took)\n", "	if a.Outcome.Code != plan.NoAnswer {\n		c.Observer.Answered(a.Outcome, a.Took)\n	}\n"}, "I8", controller},
	}
}
