package cli

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/api"
)

// nodeWith is a node with annotations, given as alternating keys, without the
// prefix, and values.
func nodeWith(pairs ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "u1", ResourceVersion: "7", Annotations: map[string]string{}}}
	for i := 0; i < len(pairs); i += 2 {
		n.Annotations[api.Prefix+pairs[i]] = pairs[i+1]
	}
	return n
}

// in is a node whose request r is in the phase.
func in(phase api.Phase, pairs ...string) *corev1.Node {
	return nodeWith(append([]string{"drain", "r", "status", api.Status{Request: "r", Phase: phase}.Format()}, pairs...)...)
}

// until is a node whose request r is Blocked, and that disappears.
func until(d api.Deadline) *corev1.Node {
	return nodeWith("drain", "r", "deadline", "2030-01-31T12:02:00Z", "status", api.Status{Request: "r", Phase: api.Blocked, Deadline: &d}.Format())
}

// shown writes a change as text: key=value, and key- for what is removed.
func shown(c change) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(c.annotations)) {
		name := strings.TrimPrefix(key, api.Prefix)
		if v := c.annotations[key]; v != nil {
			parts = append(parts, name+"="+*v)
		} else {
			parts = append(parts, name+"-")
		}
	}
	return strings.Join(parts, " ")
}

func TestAsk(t *testing.T) {
	want := func(pairs ...string) map[string]string { return nodeWith(pairs...).Annotations }
	for name, test := range map[string]struct {
		node      *corev1.Node
		want      map[string]string
		overwrite bool
		changes   string
		says      string // Of the error, if changes is "error".
	}{
		"a new request":                         {nodeWith("status", "{}"), want("drain", "r", "timeout", "1h"), false, "drain=r timeout=1h", "drain requested: r"},
		"a value that says no is no request":    {nodeWith("drain", "false"), want("drain", "r"), false, "drain=r", "drain requested: r"},
		"another request":                       {in(api.Draining), want("drain", "x"), false, "error", `has the request "r" already (Draining)`},
		"another request is replaced":           {in(api.Draining, "paused", "true", "priority", "3"), want("drain", "x", "priority", "4"), true, "drain=x paused- priority=4", "drain requested: x, instead of r"},
		"another request that is drained":       {in(api.Drained, "drained", "r"), want("drain", "x"), false, "error", `is drained for the request "r": release it first, or replace the request with --overwrite`},
		"settings that would hold for this one": {nodeWith("dry-run", "true"), want("drain", "r"), false, "error", "drainer.dev/dry-run=true"},
		"such settings are removed":             {nodeWith("dry-run", "true"), want("drain", "r"), true, "drain=r dry-run-", "drain requested: r"},
		"the same request":                      {in(api.Blocked, "paused", "true"), want("drain", "r"), false, "", "has this request already: Blocked"},
		"the same request changes":              {in(api.Blocked, "paused", "true", "timeout", "1h"), want("drain", "r", "timeout", "2h"), false, "timeout=2h", "request changed: r"},
		"an annotation of somebody else":        {nodeWith("status", "x"), want("drain", "r"), true, "drain=r", "drain requested"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ask(test.node, &wanted{annotations: test.want, overwrite: test.overwrite})
			checkChange(t, c, err, test.changes, test.says)
		})
	}
}

// TestAskAgain: a command that is repeated does not move the times that it gave from now
// on, nor who asked. Only a deadline may come earlier.
func TestAskAgain(t *testing.T) {
	const early, late = "2030-01-31T12:02:00Z", "2030-01-31T12:04:00Z"
	for name, test := range map[string]struct {
		key, has, want string
		overwrite      bool
		changes, says  string
	}{
		"a later deadline":      {"deadline", early, late, false, "", "has this request already: no answer from drainer yet; it keeps deadline=" + early},
		"an earlier deadline":   {"deadline", late, early, false, "deadline=" + early, "request changed"},
		"no deadline yet":       {"deadline", "", late, false, "deadline=" + late, "request changed"},
		"an invalid deadline":   {"deadline", "soon", late, false, "deadline=" + late, "request changed"},
		"a later deadline wins": {"deadline", early, late, true, "deadline=" + late, "request changed"},
		"a later start":         {"not-before", early, late, false, "", "it keeps not-before=" + early},
		"an earlier start":      {"not-before", late, early, false, "not-before=" + early, "request changed"},
		"somebody else":         {"requested-by", "alice", "bob", false, "", "has this request already"},
		"nobody has said":       {"requested-by", "", "bob", false, "", "has this request already"},
	} {
		t.Run(name, func(t *testing.T) {
			node := nodeWith("drain", "r")
			if test.has != "" {
				node.Annotations[api.Prefix+test.key] = test.has
			}
			c, err := ask(node, &wanted{
				annotations: nodeWith("drain", "r", test.key, test.want).Annotations,
				initial:     map[string]bool{api.Prefix + test.key: true}, overwrite: test.overwrite,
			})
			checkChange(t, c, err, test.changes, test.says)
		})
	}
	c, err := ask(nodeWith(), &wanted{annotations: nodeWith("drain", "r", "requested-by", "bob").Annotations, initial: map[string]bool{api.RequestedByAnnotation: true}})
	checkChange(t, c, err, "drain=r requested-by=bob", "drain requested: r")
}

func checkChange(t *testing.T, c change, err error, changes, says string) {
	t.Helper()
	text := c.says + c.note
	if err != nil {
		text = err.Error()
	}
	if (err != nil) != (changes == "error") || err == nil && shown(c) != changes || !strings.Contains(text, says) {
		t.Errorf("it changes %q and says %q, error %v; want %q and %q", shown(c), text, err, changes, says)
	}
	if err != nil && len(c.annotations) > 0 {
		t.Errorf("with an error it changes %q", shown(c))
	}
}

// TestDecisions: cancel, release, pause and resume do what they say, only to a node
// that is in the state for it, and only for the request that is meant.
func TestDecisions(t *testing.T) {
	drained := in(api.Drained, "drained", "r", "timeout", "1h")
	for _, test := range []struct {
		name, id      string
		decide        func(*corev1.Node, string) (change, error)
		node          *corev1.Node
		changes, says string
	}{
		{"cancel a drain", "", cancel, in(api.Draining, "timeout", "1h", "paused", "true"), "drain- paused- timeout-", "drain cancelled: r"},
		{"cancel what is not answered", "", cancel, nodeWith("drain", "r"), "drain-", "drain cancelled: r"},
		{"cancel what timed out", "", cancel, in(api.TimedOut), "drain-", "drain cancelled: r"},
		{"cancel a drained node", "", cancel, drained, "error", "kubectl drainer release n1"},
		{"cancel after an earlier request was drained", "", cancel, nodeWith("drain", "x", "drained", "r"), "drain-", "cancelled: x"},
		{"cancel nothing", "", cancel, nodeWith(), "", "has no request"},
		{"cancel settings", "", cancel, nodeWith("paused", "true"), "paused-", "settings removed"},
		{"cancel the right one", "r", cancel, in(api.Draining), "drain-", "cancelled"},
		{"cancel another one", "x", cancel, in(api.Draining), "error", `has the request "r", expected "x"`},
		{"cancel one that is gone", "x", cancel, nodeWith(), "error", `has no request, expected "x"`},
		{"release", "", release, drained, "drain- timeout-", "released: r"},
		{"release too early", "", release, in(api.Blocked), "error", "is not drained (Blocked): wait for it, or use kubectl drainer cancel n1"},
		{"release too early, no answer", "", release, nodeWith("drain", "r"), "error", "no answer from drainer yet"},
		{"release nothing", "", release, nodeWith(), "", "has no request"},
		{"release another one", "x", release, drained, "error", `expected "x"`},
		{"pause", "", pause, in(api.Draining), "paused=true", "paused: r"},
		{"pause twice", "", pause, in(api.Paused, "paused", "true"), "", "is paused already"},
		{"pause nothing", "", pause, nodeWith(), "error", "has no request"},
		{"pause a drained node", "", pause, drained, "", "is drained already"},
		{"pause what disappears", "", pause, until(api.Deadline{At: noon}), "error", "disappears at 2030-01-31T12:02:00Z, so its drain does not pause: if that is wrong, remove the annotation drainer.dev/deadline"},
		{"pause after an old deadline", "", pause, in(api.Blocked, "deadline", "2030-01-31T11:00:00Z"), "paused=true", "paused: r"},
		{"pause another one", "x", pause, in(api.Draining), "error", `expected "x"`},
		{"resume", "", resume, in(api.Paused, "paused", "true"), "paused-", "resumed: r"},
		{"resume what says false", "", resume, in(api.Draining, "paused", "false"), "paused-", "resumed: r"},
		{"resume nothing", "", resume, in(api.Draining), "", "is not paused"},
		{"resume another one", "x", resume, in(api.Paused, "paused", "true"), "error", `expected "x"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := test.decide(test.node, test.id)
			checkChange(t, c, err, test.changes, test.says)
		})
	}
}

// TestWithdrawAll: whatever setting there is, it ends with the request, and what
// drainer writes stays.
func TestWithdrawAll(t *testing.T) {
	n := nodeWith("drained", "r", "status", "{}")
	for _, key := range api.UserAnnotations() {
		n.Annotations[key] = "x"
	}
	if c := withdraw(n); len(c.annotations) != len(api.UserAnnotations()) || len(c.annotations) < 9 {
		t.Errorf("it changes %q", shown(c))
	}
}

// TestPatchOf: a patch can be applied to the node alone that it was decided on.
func TestPatchOf(t *testing.T) {
	text, value := "", "r"
	c := change{annotations: map[string]*string{api.DrainAnnotation: &value, api.PausedAnnotation: nil}}
	if patch, err := patchOf(nodeWith(), c); err != nil {
		t.Fatal(err)
	} else {
		text = string(patch)
	}
	if want := `{"metadata":{"annotations":{"drainer.dev/drain":"r","drainer.dev/paused":null},"resourceVersion":"7","uid":"u1"}}`; text != want {
		t.Errorf("the patch is %s, want %s", text, want)
	}
}

// TestEndingOf: a wait ends when there is nothing left to wait for.
func TestEndingOf(t *testing.T) {
	blocked := func(counts api.PodCounts, reasons ...string) *corev1.Node {
		s := api.Status{Request: "r", Phase: api.Blocked, Pods: counts}
		for _, r := range reasons {
			s.CannotFinish = append(s.CannotFinish, api.Obstacle{Pod: "shop/web", Pods: 1, Reason: r})
		}
		return nodeWith("drain", "r", "status", s.Format())
	}
	const going = -1
	for name, test := range map[string]struct {
		node   *corev1.Node
		status int
	}{
		"no answer":                     {nodeWith("drain", "r"), going},
		"the answer to another request": {nodeWith("drain", "r", "drained", "q", "status", api.Status{Request: "q", Phase: api.InvalidRequest}.Format()), going},
		"queued":                        {in(api.Queued), going},
		"draining":                      {in(api.Draining), going},
		"paused":                        {in(api.Paused), going},
		"drained":                       {in(api.Drained, "drained", "r"), 0},
		"no longer drained":             {in(api.Draining), going},
		"invalid":                       {in(api.InvalidRequest), ExitCannotFinish},
		"timed out":                     {in(api.TimedOut), ExitTimedOut},
		"timed out, deleting":           {in(api.TimedOut, "on-timeout", "Delete"), going},
		"removed":                       {nodeWith(), ExitEnded},
		"switched off":                  {nodeWith("drain", "off"), ExitEnded},
		"replaced":                      {nodeWith("drain", "x"), ExitEnded},
		"deleted":                       {nil, ExitEnded},
		"a budget that never allows":    {blocked(api.PodCounts{Blocked: 2}, "budget_never_allows", "bare_pod"), ExitCannotFinish},
		"one of them may yet leave":     {blocked(api.PodCounts{Blocked: 2}, "budget_never_allows"), going},
		"more causes than are listed":   {blocked(api.PodCounts{Blocked: 9}, "budget_never_allows", "bare_pod", "policy"), ExitCannotFinish},
		"not blocked yet":               {nodeWith("drain", "r", "status", api.Status{Request: "r", Phase: api.Draining, Pods: api.PodCounts{Blocked: 1}, CannotFinish: []api.Obstacle{{Pod: "shop/web", Pods: 1}}}.Format()), going},
		"a dry run":                     {in(api.DryRun, "dry-run", "true"), ExitFailure},
		"one of them is terminating":    {blocked(api.PodCounts{Blocked: 1, Terminating: 1}, "budget_never_allows"), going},
		"one of them is being sent":     {blocked(api.PodCounts{Blocked: 1, Eligible: 1}, "budget_never_allows"), going},
		"blocked, and may yet leave":    {blocked(api.PodCounts{Blocked: 1}), going},
	} {
		e, ended := endingOf("n1", test.node, "r")
		if got := e.status; ended != (test.status != going) || ended && (got != test.status || !strings.Contains(e.says, "n1")) {
			t.Errorf("%s: ended %v with %d: %s; want %d", name, ended, got, e.says, test.status)
		}
	}
}
