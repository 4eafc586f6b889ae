package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// planted is a bug that the random tests have to find by an invariant, within
// as many clusters as CI tries.
type planted struct {
	mutant
	// Where two invariants forbid it, either may be violated first.
	invariant string
	// suite finds it.
	suite suite
}

// suite is a random test.
type suite struct {
	// dir is the folder of its module, pkg its package in there.
	dir, pkg string
	args     []string
}

// random runs clusters on the discrete-event loop. What is found is not
// simplified, nor kept.
var random = suite{dir: "test/random", pkg: ".", args: []string{
	"-run=TestRandom", "-clusters=10000", "-rapid.shrinktime=1ns", "-rapid.nofailfile",
}}

// plantedBugs are bugs that a change of the rules could bring in.
func plantedBugs() []planted {
	const (
		answer               = "pkg/plan/answer.go"
		rule, fact           = "pkg/plan/rule.go", "pkg/plan/fact.go"
		window               = "pkg/plan/window.go"
		node, queue, outcome = "pkg/plan/node.go", "pkg/plan/queue.go", "pkg/plan/outcome.go"
		limit, deadline      = "pkg/plan/limit.go", "pkg/plan/deadline.go"
		marked, unreachable  = "pkg/plan/marked.go", "pkg/plan/unreachable.go"
	)
	return []planted{
		{mutant{"bare pods are evicted", rule, "pod.Controller.Kind == \"\" && c.BarePods != EvictBarePods", "false"}, "I1", random},
		{mutant{"a rule does not block", rule, "	case BlockPod:\n		message", "	case \"\":\n		message"}, "I1", random},
		{mutant{"a rule does not wait", rule, "if !now.Before(until) {", "if true {"}, "I1", random},
		{mutant{"pods do not wait for their order", rule, "case n.lowest.order < s.order:", "case false:"}, "I1", random},
		{mutant{"what a rule ignores is evicted", rule, "if s.rule.Action == IgnorePod {", "if false {"}, "I1 I6", random},
		{mutant{"a pause does not stop evictions", node, "n.invalid == nil && !n.paused() &&", "n.invalid == nil &&"}, "I2", random},
		{mutant{"a pause of everything does not stop evictions", node, " && n.halted == \"\"", ""}, "I2", random},
		{mutant{"a drain continues when its window has closed", window, "	return !pauses\n", "	return true\n"}, "I2", random},
		{mutant{"a freeze does not stop drains that have begun", window, "n.urgent() || !n.memory.started() {", "n.urgent() || !n.memory.started() || len(n.node.Windows) == 0 {"}, "I2", random},
		{mutant{"a pod whose answer was lost is sent again", answer, "case reason == Gone || reason.Uncertain():", "case reason == Gone:"}, "I4 I3", random},
		{mutant{"finished pods need not leave", rule, "return p.Static || ", "return p.Static || p.Finished() || "}, "I5", random},
		{
			mutant{
				"a pod that was looked up is never sent again", "pkg/plan/lookedup.go",
				"tries.Uncertain, tries.LookupAt, tries.AdmittedAt = false, time.Time{}, time.Time{}", "tries.LookupAt, tries.AdmittedAt = time.Time{}, time.Time{}",
			}, "I6", random,
		},
		{
			mutant{
				"a request that ends while no daemon runs is not released", queue,
				"if node.OwnCordon || node.OwnStatus || node.QueuedTaint {", "if _, known := p.Memory.Nodes[node.UID]; known && (node.OwnCordon || node.OwnStatus) {",
			}, "I7", random,
		},
		{mutant{"an error's code is not counted", outcome, "		code = int(status.Code)\n", ""}, "I8", random},
		{mutant{"a drain under way holds no slot after a restart", queue, "p.absence(node, n), n.holdsSlot(p.onTimeout(n)))", "p.absence(node, n), known && n.holdsSlot(p.onTimeout(n)))"}, "I9", random},
		{mutant{"a drained node counts as available", limit, "		return notReleased\n", "		return present\n"}, "I9", random},
		{mutant{"nodes without the label are in no group", limit, "limit.MaxGroups == 0 || group.draining > 0", "limit.MaxGroups == 0 || value == \"\" || group.draining > 0"}, "I9", random},
		{mutant{"a node that is being removed begins", queue, "case n.node.RemovalTaint != \"\":", "case false:"}, "I9", random},
		{mutant{"a drain gives its slot away at once", queue, "at := since.Add(p.Config.YieldAfter)", "at := since"}, "I9", random},
		{mutant{"a drain begins although everything is paused", queue, "case n.halted != \"\":", "case false:"}, "I9", random},
		{mutant{"a drain begins although its windows are closed", window, "func(w window, _ *Window) bool { return w.starts }", "func(window, *Window) bool { return true }"}, "I9", random},
		{mutant{"a deletion does not wait for its budget", "pkg/plan/delete.go", "free = free && unspent && p.recovered(h, b)", "free = free && unspent"}, "I3", random},
		{mutant{"a managed budget is bypassed", "pkg/plan/delete.go", "case b.Controller != \"\":", "case false:"}, "I3", random},
		{mutant{"pods are deleted before the timeout", "pkg/plan/delete.go", "return n.timedOut && p.onTimeout(n) == api.Delete", "return p.onTimeout(n) == api.Delete"}, "I1", random},
		{mutant{"pods are deleted long before their node disappears", deadline, "	p.wakeAt(at)\n	return !p.Now.Before(at)", "	p.wakeAt(at)\n	return true"}, "I1 I3", random},
		{mutant{"a deadline goes past a pause of everything", "pkg/plan/control.go", "	if n.halted = p.Control.text(); n.halted == \"\" {", "	if n.halted = p.Control.text(); n.halted == \"\" || n.urgent() {"}, "I2 I9", random},
		{mutant{"a deadline counts forever", deadline, "if n.expired = !p.Now.Before(over); !n.expired {", "if n.expired = false; !n.expired {"}, "I2 I1 I9", random},
		{mutant{"a drain with a deadline holds no slot", queue, "!n.stopped(onTimeout) && !n.yields", "!n.stopped(onTimeout) && !n.yields && !n.urgent()"}, "I9", random},
		{mutant{"a rule deletes pods at once", "pkg/plan/delete.go", "return !p.Now.Before(at)", "return true"}, "I1", random},
		{mutant{"a namespace that was not seen yet has no labels", "pkg/plan/namespace.go", "	return known && selector.Matches(set), known\n", "	return selector.Matches(set), true\n"}, "I1", random},
		{mutant{"a rule requests drains although too many nodes are marked", marked, " || s.Latched || s.waits || ", " || s.Latched || "}, "I9", random},
		{mutant{"a rule is latched only while too many nodes are marked", marked, "s.Latched = s.Latched || slices.Contains(n.latched, s.Rule)", "_ = n.latched"}, "I9", random},
		{mutant{"a latched rule does not say so", "pkg/plan/latch.go", "missing := s.MaxNodes + 1", "missing := 0"}, "I9", random},
		{mutant{"a rule requests what somebody has removed", marked, "known && record.ClearedAt == nil || p.Now.Before", "known && false || p.Now.Before"}, "I9", random},
		{mutant{"a rule overwrites a request", marked, "	case n.taken:\n		return\n", "	case false:\n"}, "I9", random},
		{mutant{"a rule acts although everything is paused", marked, " || p.Control.Paused != \"\" {", " {"}, "I9", random},
		{mutant{"a rule does not wait for how long a node is marked", marked, "!p.marksEnough(n, rule) || ", ""}, "I9", random},
		{mutant{"a request is removed although its mark is back", marked, "!wanted || p.marked(n)", "!wanted"}, "I9", random},
		{mutant{"pods count as unconfirmed before their grace period is over", unreachable, "latest(node.ReadySince.Add(c.IgnoreUnreachableAfter), pod.Deadline)", "node.ReadySince.Add(c.IgnoreUnreachableAfter)"}, "I5", random},
		{mutant{"unconfirmed pods are not counted", unreachable, "			unconfirmed++\n", ""}, "I5", random},
		{mutant{"unconfirmed pods are waited for", unreachable, "		case c.Unconfirmed(pod, node, now):", "		case false:"}, "I6", random},
		{mutant{"what is foreseen is not judged again", "pkg/plan/foresee.go", "	for _, s := range p.couldNotLeave(n, n.memory.Foreseen) {", "	for _, e := range n.memory.Foreseen {\n		s := PodState{Pod: e.Pod, entry: e, State: Blocked, Since: e.Memory.FirstSeen, Reason: MultipleBudgets}"}, "I6", random},
		{mutant{"the pods of queued nodes are not listed", "pkg/plan/foresee.go", "	if at.IsZero() {\n		return true\n	}", "	if at.IsZero() {\n		return false\n	}"}, "I6", random},
		{mutant{"a rule for few replicas matches more", "pkg/plan/scale.go", "scale.Replicas == m.Replicas, true", "scale.Replicas >= m.Replicas, true"}, "I1 I5 I6", random},
		{mutant{"pods leave before their replicas are known", "pkg/plan/decide.go", "		if matches && !known {\n			return unknownScale(pod, r), obeyed\n		}\n", ""}, "I1", random},
		{mutant{"the last node is cordoned", queue, "p.schedulable <= 1 &&", "p.schedulable <= 0 &&"}, "I9", random},
	}
}

// find runs the random tests with each planted bug.
func find(ctx context.Context, only string) error {
	var missed []string
	for _, p := range slices.Concat(plantedBugs(), controllerBugs()) {
		if !strings.Contains(p.name, only) {
			continue
		}
		begun := time.Now()
		found, after, err := p.find(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if !slices.Contains(strings.Fields(p.invariant), found) {
			missed = append(missed, p.name)
			fmt.Printf("MISSED %s: want %s, found %q\n", p.name, p.invariant, found)
			continue
		}
		fmt.Printf("found  %s, by %s %s, in %s\n", p.name, found, after, time.Since(begun).Round(time.Second))
	}
	if len(missed) > 0 {
		return fmt.Errorf("not found: %s", strings.Join(missed, "; "))
	}
	return nil
}

var (
	violation = regexp.MustCompile(`(I[1-9]) violated at`)
	tried     = regexp.MustCompile(`failed (after \d+ \w+)`)
)

// find returns the invariant that the planted bug violated first, and after how
// many clusters; empty if none.
func (p planted) find(ctx context.Context) (invariant, after string, err error) {
	dir, err := os.MkdirTemp("", "planted")
	if err != nil {
		return "", "", fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	overlay, err := p.overlay(dir)
	if err != nil {
		return "", "", err
	}
	text, err := test(ctx, p.suite.dir, append([]string{"-overlay", overlay, p.suite.pkg}, p.suite.args...)...)
	if err != nil || text == "" {
		return "", "", err
	}
	match := violation.FindStringSubmatch(text)
	if match == nil {
		return "", "", fmt.Errorf("the test fails by no invariant:\n%s", text)
	}
	if found := tried.FindStringSubmatch(text); found != nil {
		after = found[1]
	}
	return match[1], after, nil
}
