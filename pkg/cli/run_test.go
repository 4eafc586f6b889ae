package cli

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"drainer.dev/drainer/pkg/api"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

// clock shows noon when a run begins.
func clock() func() time.Time {
	begun := time.Now()
	return func() time.Time { return noon.Add(time.Since(begun).Truncate(time.Second)) }
}

// terminal is what a run wrote, and its exit status.
type terminal struct {
	out, err string
	status   int
}

// run runs the plugin on a cluster of the objects.
func run(t *testing.T, client kubernetes.Interface, args ...string) terminal {
	t.Helper()
	return runIn(t.Context(), client, args...)
}

func runIn(ctx context.Context, client kubernetes.Interface, args ...string) terminal {
	var out, errOut bytes.Buffer
	status := Run(ctx, Options{
		In: strings.NewReader(""), Out: &out, ErrOut: &errOut, Version: "v1.2.3", Commit: "abc",
		Now: clock(), User: func() string { return `CORP\jane doe` },
		Connect: func() (kubernetes.Interface, error) { return client, nil },
		Daemon:  newDaemon,
		Judge:   func(context.Context, *rest.Config) (JudgeFunc, error) { return answers, nil },
	}, args)
	return terminal{out.String(), errOut.String(), status}
}

// named is a node of the name with annotations.
func named(name string, n *corev1.Node) *corev1.Node {
	n.Name, n.UID = name, ""
	return n
}

func fleet(n int) []runtime.Object {
	var nodes []runtime.Object
	for i := range n {
		nodes = append(nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n" + string(rune('a'+i)), Labels: map[string]string{"pool": "x"}}})
	}
	return nodes
}

func annotation(t *testing.T, client kubernetes.Interface, node, key string) string {
	t.Helper()
	n, err := client.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n.Annotations[key]
}

// TestDrainUsage: what is wrong with a command line is named with the value and
// what was expected, and nothing is asked for.
func TestDrainUsage(t *testing.T) {
	for line, want := range map[string]string{
		"drain":              "no node is given",
		"drain na -l pool=x": "nodes are named and selected",
		"drain -l ,":         `--selector=",": expected a label selector`,
		"drain pod/na":       `"pod/na" is not the name of a node`,
		"drain na --id=no":   `--id="no" means that there is no request`,
		"drain na --id=" + strings.Repeat("x", 129): "--id is 129 bytes long, at most 128",
		"drain na --drain-timeout=soon":             `--drain-timeout="soon" is not a duration above 0 such as 90m`,
		"drain na --on-timeout=wait":                `--on-timeout="wait" is not Wait, Stop, Release or Delete`,
		"drain na --grace-period=0":                 `--grace-period="0" is not a whole number of seconds`,
		"drain na --not-before=tomorrow":            `--not-before="tomorrow" is not an RFC 3339 time`,
		"drain na --deadline=soon":                  `--deadline="soon" is not an RFC 3339 time`,
		"drain -l pool=x --deadline=2m":             "because of --deadline it would drain all of them at once",
		"drain na --priority=high":                  `--priority="high" is not an integer`,
		"drain na --ignore-windows=1":               `--ignore-windows="1" is not "true" or "false"`,
		"drain na --dry-run=yes":                    `--dry-run="yes": expected none, client or server`,
		"drain na --wait --dry-run=client":          "--wait and --dry-run=client",
		"drain na --wait -o json":                   "--wait and --output=json",
		"drain na -o wide":                          `--output="wide": expected json, yaml or name`,
		"release na -o wide":                        `--output="wide": expected json, yaml or name`,
		"resume --all -o name":                      "use it without names, --selector, --id and --output",
		"drain na --speed=9":                        "unknown flag: --speed",
		"drain na nb nc":                            "you ask for the drain of 3 nodes, but drainer drains 1 of 3 at once (maxDraining: 10%)",
		"cancel na --dry-run=yes":                   "expected none, client or server",
		"pause --all":                               "--all needs --reason=TEXT",
		"pause --all --reason=off":                  `--reason="off" is not a reason`,
		"pause na --all --reason=x":                 "use it without names",
		"pause na --reason=x":                       "--reason and --overwrite are for --all",
		"resume na --all":                           "use it without names",
		"cancel -l pool=x --id=":                    "--id is empty",
		"release na --id=":                          "--id is empty",
		"drain na --not-before=":                    "--not-before is empty",
		"drain na --timeout=1h":                     "--timeout=1h0m0s: expected how long --wait waits",
		"drain na --wait --timeout=-1s":             "--timeout=-1s",
		"frobnicate":                                `unknown command "frobnicate" for "kubectl drainer"`,
	} {
		client := fake.NewClientset(fleet(3)...)
		got := run(t, client, strings.Fields(line)...)
		if got.status != ExitUsage || !strings.Contains(got.err, want) || !strings.Contains(got.err, "--help'.") || got.out != "" {
			t.Errorf("%s: exit status %d\n%s%s\nwant %q", line, got.status, got.out, got.err, want)
		}
		for _, a := range client.Actions() {
			if a.GetVerb() != "get" && a.GetVerb() != "list" {
				t.Errorf("%s: it sends %s %s", line, a.GetVerb(), a.GetResource().Resource)
			}
		}
	}
}

// TestDrain: the flags become annotations.
func TestDrain(t *testing.T) {
	client := fake.NewClientset(fleet(3)...)
	got := run(t, client, "drain", "node/na", "nb", "--id=CHG-1", "--yes", "--drain-timeout=90m", "--on-timeout=Release", "--grace-period=30",
		"--not-before=2h", "--deadline=3h", "--priority=-3", "--ignore-windows=true", "--reason=kernel upgrade", "--requested-by=alice")
	if got.status != 0 || got.out != "node/na drain requested: CHG-1\nnode/nb drain requested: CHG-1\n" || got.err != "" {
		t.Fatalf("it says %+v", got)
	}
	for key, want := range map[string]string{
		api.DrainAnnotation: "CHG-1", api.TimeoutAnnotation: "90m", api.OnTimeoutAnnotation: "Release", api.GracePeriodAnnotation: "30",
		api.NotBeforeAnnotation: "2030-01-31T14:00:00Z", api.DeadlineAnnotation: "2030-01-31T15:00:00Z", api.PriorityAnnotation: "-3", api.IgnoreWindowsAnnotation: "true",
		api.ReasonAnnotation: "kernel upgrade", api.RequestedByAnnotation: "alice",
	} {
		for _, node := range []string{"na", "nb"} {
			if value := annotation(t, client, node, key); value != want {
				t.Errorf("%s of %s is %q, want %q", key, node, value, want)
			}
		}
	}
	if value := annotation(t, client, "nc", api.DrainAnnotation); value != "" {
		t.Errorf("nc has the request %q", value)
	}
}

// TestDrainID: without --id the request says who asked and when, and all nodes
// have the same.
func TestDrainID(t *testing.T) {
	client := fake.NewClientset(fleet(2)...)
	if got := run(t, client, "drain", "-l", "pool=x", "--yes"); got.status != 0 {
		t.Fatalf("it says %+v", got)
	}
	id := annotation(t, client, "na", api.DrainAnnotation)
	if !regexp.MustCompile(`^CORP-jane-doe-20300131-120000-[0-9a-f]{4}$`).MatchString(id) || annotation(t, client, "nb", api.DrainAnnotation) != id {
		t.Errorf("the IDs are %q and %q", id, annotation(t, client, "nb", api.DrainAnnotation))
	}
}

// TestDrainDryRun: nothing is written, and the lines say so.
func TestDrainDryRun(t *testing.T) {
	client := fake.NewClientset(fleet(1)...)
	if got := run(t, client, "drain", "na", "--id=r", "--dry-run"); got.out != "node/na drain requested: r (dry run)\n" || annotation(t, client, "na", api.DrainAnnotation) != "" {
		t.Errorf("it says %+v", got)
	}
}

// TestDrainNone: if one node is not to be asked for, none is.
func TestDrainNone(t *testing.T) {
	for name, test := range map[string]struct {
		node *corev1.Node
		says string
	}{
		"another request": {in(api.Draining), `node nx has the request "r" already`},
		"old settings":    {nodeWith("dry-run", "true"), "node nx has settings without a request"},
	} {
		client := fake.NewClientset(append(fleet(3), named("nx", test.node))...)
		got := run(t, client, "drain", "na", "nx", "--id=x", "--yes", "--wait")
		if got.status != ExitFailure || got.out != "" || !strings.Contains(got.err, test.says) || !strings.HasSuffix(got.err, "\nno drain was requested\n") {
			t.Errorf("%s: it says %+v", name, got)
		}
		if id := annotation(t, client, "na", api.DrainAnnotation); id != "" {
			t.Errorf("%s: na has the request %q", name, id)
		}
	}
}

// TestDrainSome: if the API server refuses one of the writes, the error says which nodes
// have the request, and how to request the others under the same ID.
func TestDrainSome(t *testing.T) {
	client := fake.NewClientset(fleet(3)...)
	client.PrependReactor("patch", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.(clienttesting.PatchAction).GetName() != "nb" {
			return false, nil, nil
		}
		return true, nil, apierrors.NewForbidden(corev1.Resource("nodes"), "nb", nil)
	})
	got := run(t, client, "drain", "na", "nb", "nc", "--id=x", "--yes", "--wait")
	if got.status != ExitFailure || got.out != "node/na drain requested: x\nnode/nc drain requested: x\n" ||
		!strings.Contains(got.err, "writing to node nb: ") || !strings.Contains(got.err, "drain requested: na, nc; not confirmed: nb. Repeat the command with --id=x to request the rest") {
		t.Errorf("it says %+v", got)
	}
}

// TestShellWord: an ID that is printed in a command can be pasted into a shell.
func TestShellWord(t *testing.T) {
	for id, want := range map[string]string{"CHG-1_a.b@c": "CHG-1_a.b@c", "two words": "'two words'", "$(x)": "'$(x)'", "it's": `'it'\''s'`} {
		if got := shellWord(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

// TestInterruptedWrite: Ctrl-C between two nodes ends the command, and the error names
// those that were not written to.
func TestInterruptedWrite(t *testing.T) {
	client := fake.NewClientset(fleet(4)...)
	ctx, interrupt := context.WithCancel(t.Context())
	client.PrependReactor("patch", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.(clienttesting.PatchAction).GetName() != "nb" {
			return false, nil, nil
		}
		interrupt()
		return true, nil, ctx.Err()
	})
	got := runIn(ctx, client, "drain", "na", "nb", "nc", "nd", "--id=x", "--yes")
	if got.status != ExitInterrupted || got.out != "node/na drain requested: x\n" ||
		!strings.Contains(got.err, "interrupted before anything was written to: nc, nd\n") || !strings.Contains(got.err, "not confirmed: nb, nc, nd. ") {
		t.Errorf("it says %+v", got)
	}
	for _, node := range []string{"nc", "nd"} {
		if id := annotation(t, client, node, api.DrainAnnotation); id != "" {
			t.Errorf("%s has the request %q", node, id)
		}
	}
}

// TestSelected: a selected node in another state than the command is for is noted, and
// is an error only if the command applies to none, or if it would be told too little.
func TestSelected(t *testing.T) {
	pool := func(name string, n *corev1.Node) *corev1.Node {
		n = named(name, n)
		n.Labels = map[string]string{"pool": "x"}
		return n
	}
	nodes := func() []runtime.Object {
		return []runtime.Object{
			pool("busy", in(api.Draining)), pool("done", in(api.Drained, "drained", "r")), pool("free", nodeWith()),
			pool("other", nodeWith("drain", "q", "status", api.Status{Request: "q", Phase: api.Queued}.Format())),
		}
	}
	for line, want := range map[string]struct {
		status   int
		out, err string
	}{
		"release -l pool=x":          {0, "node/done released: r\nnode/free has no request\n", "Skipped: node busy is not drained (Draining)"},
		"cancel -l pool=x":           {0, "node/busy drain cancelled: r\nnode/free has no request\nnode/other drain cancelled: q\n", "Skipped: node done is drained"},
		"cancel -l pool=x --id=q":    {0, "node/other drain cancelled: q\n", `Skipped: node busy has the request "r", expected "q"`},
		"cancel -l pool=x --id=typo": {ExitFailure, "", "nothing was done: the command applies to none of the selected nodes"},
		"pause -l pool=x":            {0, "node/busy paused: r\nnode/done is drained already\nnode/other paused: q\n", "Skipped: node free has no request to pause"},
		"release busy done":          {ExitFailure, "node/done released: r\n", "Error: node busy is not drained"},
	} {
		got := run(t, fake.NewClientset(nodes()...), strings.Fields(line)...)
		if got.status != want.status || got.out != want.out || !strings.Contains(got.err, want.err) {
			t.Errorf("%s: it says %+v, want %+v", line, got, want)
		}
	}
	until := until(api.Deadline{At: noon})
	if got := run(t, fake.NewClientset(nodes()...), "status", "-l", "pool=none", "-w"); got.status != ExitFailure || !strings.Contains(got.err, "matches no node") {
		t.Errorf("a watch of a selector that matches no node: %+v", got)
	}
	idle := fake.NewClientset(pool("free", nodeWith()), named("busy", in(api.Draining)))
	if got := run(t, idle, "status", "-l", "pool=x"); got.status != 0 || got.out != "No node with the labels pool=x has a request.\n" {
		t.Errorf("a pool without requests: %+v", got)
	}
	if got := run(t, fake.NewClientset(append(nodes(), pool("spot", until))...), "pause", "-l", "pool=x"); got.status != ExitFailure || !strings.Contains(got.err, "its drain does not pause") {
		t.Errorf("a selected node that does not pause: %+v", got)
	}
}

// TestWatchNothing: a name without a node is an error, also of status that follows it.
func TestWatchNothing(t *testing.T) {
	got := run(t, fake.NewClientset(fleet(1)...), "status", "typo", "-w")
	if got.status != ExitFailure || !strings.Contains(got.err, "reading node typo") {
		t.Errorf("it says %+v", got)
	}
}

// TestEndedWatch: whoever follows drains in a pipe is told how one ends.
func TestEndedWatch(t *testing.T) {
	var out bytes.Buffer
	s := &shared{Options: Options{Out: &out, Now: clock()}}
	screen := newScreen(&out)
	a, b := named("na", in(api.Draining)), named("nb", in(api.Draining))
	s.tellStatus(screen, []*corev1.Node{a, b})
	out.Reset()
	s.tellStatus(screen, []*corev1.Node{named("na", nodeWith())})
	if got := out.String(); !strings.Contains(got, "node/na released\n") || !strings.Contains(got, "node/nb deleted, or no longer selected\n") {
		t.Errorf("it says %q", got)
	}
}

// TestControlCharacters: a Node's texts do not control the terminal, in errors and lines of
// a pipe as little as in tables.
func TestControlCharacters(t *testing.T) {
	const evil = "\x1b[2J"
	client := fake.NewClientset(named("na", nodeWith("reason", evil)), named("nb", in(api.InvalidRequest)))
	if got := run(t, client, "drain", "na", "--id=r"); got.status != ExitFailure || strings.Contains(got.err, evil) || !strings.Contains(got.err, `\x1b[2J`) {
		t.Errorf("an error: %+v", got)
	}
	var out bytes.Buffer
	newScreen(&out).tell("na", evil)
	if got := out.String(); got != "\\x1b[2J\n" {
		t.Errorf("a line: %q", got)
	}
}

// TestOtherPods: status of one node shows the pods that have still to leave and that its
// status does not list, and says so if it may not read them.
func TestOtherPods(t *testing.T) {
	status := api.Status{
		Request: "r", Phase: api.Blocked, Pods: api.PodCounts{Blocked: 3, Terminating: 1},
		Blockers:     []api.Blocker{{Pod: "shop/web-1", State: api.BlockedState, Reason: "budget_exhausted", Budget: "shop/web", Since: noon}},
		MoreBlockers: []api.MoreBlockers{{Reason: "budget_exhausted", Count: 2}},
	}
	deleted := metav1.NewTime(noon.Add(20 * time.Second))
	objects := []runtime.Object{
		named("na", nodeWith("drain", "r", "status", status.Format())),
		pod("web-1"), pod("web-2"), pod("agent-1", ofDaemonSet),
		pod("old", func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &deleted, []string{"example.com/wait"} }),
	}
	client := fake.NewClientset(objects...)
	got := run(t, client, "status", "na")
	golden(t, "status-others", got.out)
	if got.status != 0 || got.err != "" {
		t.Errorf("%+v", got)
	}
	status.Pods.Blocked, status.Pods.Terminating, status.MoreBlockers = 1, 0, nil
	if got := run(t, fake.NewClientset(named("na", nodeWith("drain", "r", "status", status.Format())), pod("web-1"), pod("late")), "status", "na"); strings.Contains(got.out, "Other pods") {
		t.Errorf("its status lists all, and it says %s", got.out)
	}
	client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("pods"), "", nil)
	})
	if got := run(t, client, "status", "na"); got.status != 0 || !strings.Contains(got.err, "Warning: the pods of node na cannot be listed") || !strings.Contains(got.out, "shop/web-1") {
		t.Errorf("without permission: %+v", got)
	}
}

// TestLongID: drainer's answer to an ID that is too long is shown.
func TestLongID(t *testing.T) {
	long := strings.Repeat("x", 129)
	client := fake.NewClientset(named("na", nodeWith("drain", long, "status", api.Status{Request: long[:128], Phase: api.InvalidRequest}.Format())))
	if got := run(t, client, "status"); got.status != 0 || !strings.Contains(got.out, string(api.InvalidRequest)) {
		t.Errorf("it says %+v", got)
	}
}

// control is the ConfigMap.
func control(pairs ...string) *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "drainer", Name: api.ControlName}, Data: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		m.Data[pairs[i]] = pairs[i+1]
	}
	return m
}

// TestAll: the pause of everything is written where drainer reads it, belongs to
// whoever made it, and its end is certain.
func TestAll(t *testing.T) {
	renewed := func(at time.Time) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "drainer", Name: "drainer"},
			Spec:       coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: at}},
		}
	}
	lease := renewed(noon.Add(-2 * time.Second))
	for name, test := range map[string]struct {
		objects []runtime.Object
		args    string
		status  int
		says    string
		paused  string // What the ConfigMap says afterwards; "-" if there is none.
	}{
		"pause":                     {[]runtime.Object{lease}, "pause --all --reason=INC-42", 0, "everything is paused: INC-42", "INC-42"},
		"pause with an empty one":   {[]runtime.Object{lease, control()}, "pause --all --reason=INC-42", 0, "everything is paused: INC-42", "INC-42"},
		"pause again":               {[]runtime.Object{lease, control("paused", "INC-42")}, "pause --all --reason=INC-42", 0, "everything is paused: INC-42", "INC-42"},
		"another's pause":           {[]runtime.Object{lease, control("paused", "INC-1")}, "pause --all --reason=INC-42", ExitFailure, `paused already: "INC-1"`, "INC-1"},
		"another's, overwritten":    {[]runtime.Object{lease, control("paused", "INC-1")}, "pause --all --reason=INC-42 --overwrite", 0, "everything is paused: INC-42", "INC-42"},
		"only tried":                {[]runtime.Object{lease}, "pause --all --reason=INC-42 --dry-run=client", 0, "INC-42 (dry run)", "-"},
		"no drainer there":          {nil, "pause --all --reason=INC-42", ExitFailure, "NOTHING IS PAUSED", "INC-42"},
		"an old Lease there":        {[]runtime.Object{renewed(noon.Add(-time.Hour))}, "pause --all --reason=INC-42", ExitFailure, "does not run there (last renewed: 2030-01-31T11:00:00Z): if drainer runs in another namespace, NOTHING IS PAUSED", "INC-42"},
		"a Lease of nobody":         {[]runtime.Object{&coordinationv1.Lease{ObjectMeta: lease.ObjectMeta}}, "pause --all --reason=INC-42", ExitFailure, "(last renewed: never)", "INC-42"},
		"resume":                    {[]runtime.Object{control("paused", "INC-42")}, "resume --all", 0, "everything is resumed", ""},
		"resume nothing":            {[]runtime.Object{lease}, "resume --all", 0, "nothing is paused", "-"},
		"resume, no drainer there":  {nil, "resume --all", ExitFailure, "everything may still be paused there: repeat the command with --namespace", "-"},
		"resume in spite of a typo": {[]runtime.Object{control("paused", "INC-42", "pause", "x")}, "resume --all", ExitFailure, `because of a mistake in the ConfigMap drainer/drainer-control: "pause"`, ""},
		"resume in another, a typo": {[]runtime.Object{control("pause", "x")}, "resume --all", ExitFailure, "because of a mistake", ""},
		"resume in another's place": {[]runtime.Object{control("paused", "INC-42")}, "resume --all -n other", ExitFailure, "nothing is paused in the namespace \"other\", but there is no Lease", "INC-42"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(test.objects...)
			got := run(t, client, strings.Fields(test.args)...)
			if got.status != test.status || !strings.Contains(got.out+got.err, test.says) {
				t.Errorf("exit status %d\n%s%s\nwant %d and %q", got.status, got.out, got.err, test.status, test.says)
			}
			is := "-"
			if m, err := client.CoreV1().ConfigMaps("drainer").Get(t.Context(), api.ControlName, metav1.GetOptions{}); err == nil {
				is = m.Data[api.ControlPaused]
			}
			if is != test.paused {
				t.Errorf("the ConfigMap says %q, want %q", is, test.paused)
			}
		})
	}
}

// TestArguments: the name of the program decides what it is.
func TestArguments(t *testing.T) {
	for invoked, want := range map[string]string{
		"/usr/bin/kubectl-drainer drain n1":        "drain n1",
		"kubectl-drainer.exe status":               "status",
		"./kubectl_complete-drainer drain n":       "__complete drain n",
		"drainer --v=3":                            "-",
		"/kubectl-drainer/drainer kubectl-drainer": "-",
	} {
		args, is := Arguments(strings.Fields(invoked))
		if got := strings.Join(args, " "); is != (want != "-") || is && got != want {
			t.Errorf("%s: %v, %q", invoked, is, got)
		}
	}
}

// TestComplete: names of nodes are completed, those that a command is for.
func TestComplete(t *testing.T) {
	client := fake.NewClientset(append(fleet(2), named("busy", in(api.Draining)), named("done", in(api.Drained, "drained", "r")))...)
	for line, want := range map[string]string{
		"drain na ": "nb",
		"drain ":    "na nb",
		"cancel ":   "busy",
		"pause ":    "busy",
		"release ":  "done",
		"resume ":   "",
	} {
		got := run(t, client, append([]string{"__complete"}, strings.Split(line, " ")...)...)
		lines := strings.Split(strings.TrimSpace(got.out), "\n")
		if names := strings.Join(lines[:len(lines)-1], " "); names != want || got.status != 0 {
			t.Errorf("%s: completed %q, status %d, %s, want %q", line, names, got.status, got.err, want)
		}
	}
}
