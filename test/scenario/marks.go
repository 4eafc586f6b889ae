package scenario

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/test/invariant"
)

// What marks nodes.
const (
	brokenCondition = "Broken"
	brokenLabel     = "example.org/broken"
)

// marks draws rules for marked nodes, what marks these, and what people do about it:
// nothing in the simplest case.
func (g *generator) marks() {
	if !g.chance("rules for marked nodes", 30) {
		return
	}
	g.markRule(plan.MarkRule{Kind: plan.ConditionMark, Name: brokenCondition, Value: string(corev1.ConditionTrue)})
	if g.chance("another rule", 40) {
		g.markRule(plan.MarkRule{Kind: plan.LabelMark, Name: brokenLabel})
	}
}

// markRule completes a rule, and lets nodes be marked.
func (g *generator) markRule(r plan.MarkRule) {
	r.For, r.MaxNodes = g.between("for", 2*time.Second, 40*time.Second).Truncate(time.Second), 1+g.IntN("max nodes", 4)
	r.MinInterval = g.between("min interval", 10*time.Second, 3*time.Minute).Truncate(time.Second)
	r.ReleaseWhenCleared, r.StartPaused = g.chance("release when cleared", 40), g.chance("start paused", 15)
	g.ForNodes = append(g.ForNodes, r)
	for range 1 + g.IntN("marked", 5) {
		g.marked(&r, g.node(), g.between("marked", 0, 90*time.Second))
	}
	if g.chance("all are marked", 15) {
		at := g.between("all are marked", 0, 90*time.Second)
		for _, node := range g.Nodes {
			g.set(&r, node, at, corev1.ConditionTrue)
		}
		if g.chance("by mistake", 50) {
			for _, node := range g.Nodes {
				g.set(&r, node, at+r.For+20*time.Second, corev1.ConditionFalse)
			}
		}
	}
	if g.chance("resumed", 40) {
		at := g.between("resumed", 30*time.Second, 3*time.Minute)
		for _, node := range g.Nodes {
			g.unannotate(at, node, api.LatchedAnnotation)
		}
	}
	// Who is marked last is to be drained, too.
	g.rest = max(g.rest, r.For+r.MinInterval+2*time.Minute)
}

// marked marks a node, lets the mark change, and lets people do something about the
// request.
func (g *generator) marked(r *plan.MarkRule, node string, at time.Duration) {
	g.set(r, node, at, corev1.ConditionTrue)
	if g.chance("clears", 50) {
		cleared := at + g.between("clears", time.Second, r.For+90*time.Second)
		g.set(r, node, cleared, pick(g, "clears", corev1.ConditionFalse, corev1.ConditionFalse, corev1.ConditionUnknown))
		if g.chance("marked again", 50) {
			g.set(r, node, cleared+g.between("marked again", 10*time.Millisecond, r.MinInterval+time.Minute), corev1.ConditionTrue)
		}
	}
	switch pick(g, "about the request", "nothing", "nothing", "removed", "replaced", "exempt", "approved") {
	case "removed":
		g.unannotate(at+r.For+g.between("removed", time.Second, time.Minute), node, api.DrainAnnotation)
	case "replaced":
		g.annotate(at+r.For+g.between("replaced", time.Second, time.Minute), node, api.DrainAnnotation, "instead")
	case "exempt":
		g.annotate(at, node, api.DrainAnnotation, "false")
	case "approved":
		g.unannotate(at+r.For+g.between("approved", time.Second, time.Minute), node, api.PausedAnnotation)
	}
}

// set lets the node be marked, or not, or nobody know.
func (g *generator) set(r *plan.MarkRule, node string, at time.Duration, status corev1.ConditionStatus) {
	change := func(n *corev1.Node, now time.Time) { setCondition(n, status, now) }
	if r.Kind == plan.LabelMark {
		change = func(n *corev1.Node, _ time.Time) {
			if status == corev1.ConditionTrue {
				n.Labels[brokenLabel] = "yes"
				return
			}
			delete(n.Labels, brokenLabel)
		}
	}
	g.step(at, func(h Hands) {
		h.Cluster(func(c *sim.Cluster) {
			if c.Node(node) != nil {
				c.UpdateNode(node, func(n *corev1.Node) { change(n, c.Now()) })
			}
		})
	}, "%s has the mark of %s: %s", node, r.Key(), status)
}

// setCondition sets the condition Broken, as node-problem-detector does.
func setCondition(n *corev1.Node, status corev1.ConditionStatus, now time.Time) {
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == brokenCondition {
			if c.Status != status {
				c.Status, c.LastTransitionTime = status, metav1.NewTime(now)
			}
			return
		}
	}
	n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: brokenCondition, Status: status, LastTransitionTime: metav1.NewTime(now)})
}

// markRules are the rules for marked nodes for the checker.
func (c *Config) markRules() []invariant.MarkRule {
	var rules []invariant.MarkRule
	for i := range c.ForNodes {
		r := &c.ForNodes[i]
		rule := invariant.MarkRule{
			Name: fmt.Sprintf("%s/%s", r.Kind, r.Name), Marks: broken, For: r.For, MinInterval: r.MinInterval, MaxNodes: r.MaxNodes,
			WhenCleared: r.ReleaseWhenCleared, Paused: r.StartPaused,
		}
		if r.Kind == plan.LabelMark {
			rule.Marks = labelled
		}
		rules = append(rules, rule)
	}
	return rules
}

func labelled(n *corev1.Node) invariant.Marked {
	if _, has := n.Labels[brokenLabel]; has {
		return invariant.IsMarked
	}
	return invariant.Unmarked
}

func broken(n *corev1.Node) invariant.Marked {
	for i := range n.Status.Conditions {
		if c := &n.Status.Conditions[i]; c.Type == brokenCondition {
			return map[corev1.ConditionStatus]invariant.Marked{corev1.ConditionTrue: invariant.IsMarked, corev1.ConditionUnknown: invariant.MarkUnknown}[c.Status]
		}
	}
	return invariant.Unmarked
}
