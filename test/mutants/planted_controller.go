package main

// controller runs the whole controller in simulated time.
var controller = suite{dir: ".", pkg: "./pkg/drain", args: []string{"-run=TestStoryRandom$", "-story.runs=300"}}

// controllerBugs are bugs that a change of what acts could bring in. What decides
// is as it should be, so the discrete-event loop sees none of them.
func controllerBugs() []planted {
	const (
		node, loop        = "pkg/drain/node.go", "pkg/drain/controller.go"
		evictor, eviction = "pkg/drain/evictor.go", "pkg/drain/eviction.go"
	)
	return []planted{
		{
			mutant{
				"an admission is forgotten", evictor, "	e.outbox.Answered(a)\n	e.change()\n",
				"	if e.outbox.Drop(a.Grant.Pod.UID); a.Outcome.Reason != plan.Admitted {\n		e.outbox.Answered(a)\n	}\n	e.change()\n",
			}, "I4", controller,
		},
		{mutant{"what is attached to a node is forgotten", "pkg/drain/volumes.go", "attached[a.Spec.NodeName] = append(attached[a.Spec.NodeName], plan.AttachmentOf(a))", "attached[a.Spec.NodeName] = nil"}, "I5", controller},
		{mutant{"the release forgets the cordon", node, "	if n.OwnCordon {\n", "	if false {\n"}, "I7", controller},
		{mutant{"client-go repeats evictions", eviction, "Body(body).MaxRetries(0)\n", "Body(body).MaxRetries(3)\n"}, "I2 I8", controller},
		{mutant{"an eviction without an answer is not counted", loop, "	c.Observer.Answered(a.Outcome, a.Took)\n", "	if a.Outcome.Code != plan.NoAnswer {\n		c.Observer.Answered(a.Outcome, a.Took)\n	}\n"}, "I8", controller},
	}
}
