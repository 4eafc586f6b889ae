package cli

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"drainer.dev/drainer/pkg/api"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s\nIf that is meant: go test ./pkg/cli -update", path, text, want)
	}
}

func before(d time.Duration) *time.Time {
	t := noon.Add(-d)
	return &t
}

// asks is a node with a request and what drainer says about it.
func asks(name, id, message string, s *api.Status) *corev1.Node {
	n := named(name, nodeWith("drain", id, "timeout", "2h"))
	if s != nil {
		s.Request = id
		n.Annotations[api.StatusAnnotation] = s.Format()
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeDrainInProgress, Message: message}}
	}
	return n
}

// gallery are nodes in all kinds of states.
func gallery() []runtime.Object {
	byBudget := func(pod string, since time.Duration) api.Blocker {
		return api.Blocker{
			Pod: pod, State: api.BlockedState, Reason: "budget_exhausted", Budget: "shop/web",
			Message: "by PDB shop/web (needs 10 healthy, has 10)", Since: *before(since),
		}
	}
	drained := asks("gpu-2", "CHG-1234", "all 12 pods gone, 5 ignored", &api.Status{
		Phase: api.Drained, Pool: "gpu", RequestedAt: before(26 * time.Hour), StartedAt: before(25 * time.Hour), FinishedAt: before(20 * time.Minute),
		Pods: api.PodCounts{Gone: 12, Ignored: 5},
	})
	drained.Annotations[api.DrainedAnnotation] = "CHG-1234"
	return []runtime.Object{
		asks("n1", "CHG-1234", "2 of 10 pods gone, 1 terminating, 5 blocked; shop/web-1 (and 2 more, for 6m) by PDB shop/web (needs 10 healthy, has 10)", &api.Status{
			Phase: api.Blocked, Reason: "budget_exhausted", RequestedBy: "alice", RequestReason: "kernel upgrade", RequestedAt: before(12 * time.Minute), StartedAt: before(11 * time.Minute), IdleSince: before(time.Minute),
			Pods: api.PodCounts{Gone: 2, Terminating: 1, Eligible: 2, Blocked: 5, Ignored: 4},
			Blockers: []api.Blocker{
				byBudget("shop/web-1", 6*time.Minute), byBudget("shop/web-2", 5*time.Minute),
				{Pod: "shop/bare", State: api.BlockedState, Reason: "bare_pod", Message: "by bare pod: no controller would create it again", Since: *before(4 * time.Minute)},
				{Pod: "ci/job-1", State: "terminating", Reason: "finalizer", Message: "terminating, overdue: finalizers example.com/wait", Since: *before(3 * time.Minute)},
			},
			MoreBlockers: []api.MoreBlockers{{Reason: "budget_exhausted", Count: 2, Since: *before(time.Minute)}},
			Warnings:     []string{"ignored the annotation drainer.dev/pod-action of pod shop/web-1: annotations of pods do not count in namespaces that are not declared trusted"},
		}),
		drained,
		asks("n3", "alice-20300131-115500-3f2a", "waits for a slot: 3 of 3 nodes are being drained; 2 are before it", &api.Status{Phase: api.Queued, RequestedAt: before(5 * time.Minute)}),
		asks("n4", "CHG-1235", "", nil),
		asks("n7", "CHG-1236", "5 of 20 pods gone, 1 terminating", &api.Status{
			Phase: api.Draining, RequestedAt: before(3 * time.Minute), StartedAt: before(2 * time.Minute),
			Pods: api.PodCounts{Gone: 5, Terminating: 1, Eligible: 14, Ignored: 3},
		}),
		asks("n8", "spot", "the node disappears at 2030-01-31T12:01:30Z, in 1m; 3 pods will be deleted when only the grace period is left, unless the budgets allow an eviction before that; 1 pod will be lost with it unless gone by then; 5 of 9 pods gone, 4 blocked", &api.Status{
			Phase: api.Blocked, Reason: "budget_exhausted", RequestedAt: before(30 * time.Second), StartedAt: before(30 * time.Second),
			Deadline: &api.Deadline{At: *before(-90 * time.Second), AtRisk: 1, ToDelete: 3},
			Pods:     api.PodCounts{Gone: 5, Blocked: 4, Ignored: 3},
			Blockers: []api.Blocker{
				byBudget("shop/web-1", 20*time.Second),
				{Pod: "shop/bare", State: api.BlockedState, Reason: "bare_pod", Message: "by bare pod: no controller would create it again", AtRisk: true, Since: *before(10 * time.Second)},
			},
		}),
		named("n5", nodeWith()),
		named("n6", nodeWith("status", "{}")),
	}
}

// TestStatusGolden: what people see, with and without room.
func TestStatusGolden(t *testing.T) {
	client := fake.NewClientset(gallery()...)
	for name, args := range map[string]string{
		"status": "status", "status-wide": "status -o wide", "status-n1": "status n1", "status-gpu-2": "status gpu-2", "status-n4": "status n4", "status-n7": "status n7", "status-n7-json": "status n7 -o json", "status-n8": "status n8",
		"status-name": "status -o name", "status-json": "status n3 -o json", "status-yaml": "status n3 n4 -o yaml", "status-none": "status n5",
	} {
		got := run(t, client, strings.Fields(args)...)
		if got.status != 0 || got.err != "" {
			t.Errorf("%s: %+v", args, got)
		}
		golden(t, name, got.out)
	}
	if got := run(t, fake.NewClientset(), "status"); got.out != "No node has a request. Ask for one with: kubectl drainer drain NODE\n" {
		t.Errorf("without requests it says %+v", got)
	}
}

// TestNarrow: on a narrow terminal columns are left out and texts wrapped, so that
// no line is longer than it.
func TestNarrow(t *testing.T) {
	var nodes []*corev1.Node
	for _, o := range gallery() {
		nodes = append(nodes, o.(*corev1.Node))
	}
	s := &shared{Options: Options{Now: func() time.Time { return noon }}}
	for _, width := range []int{100, 60, 40, 20} {
		for _, o := range []*statusFlags{{output: Output{Format: "wide"}}, {target: target{names: []string{"n1"}}}} {
			shown := nodes
			if len(o.names) > 0 {
				shown = nodes[:1]
			}
			lines := s.statusLines(shown, o, width)
			for _, l := range lines {
				if n := len([]rune(l)); n > width && width >= 40 || n > 24 && width == 20 {
					t.Errorf("at %d columns a line has %d: %s", width, n, l)
				}
			}
			if width == 60 && len(o.names) == 0 {
				golden(t, "status-narrow", strings.Join(lines, "\n")+"\n")
			}
			if width == 60 && len(o.names) == 1 {
				golden(t, "status-n1-narrow", strings.Join(lines, "\n")+"\n")
			}
		}
	}
}

// TestHelpGolden: the help of each command.
func TestHelpGolden(t *testing.T) {
	for _, c := range command(Options{Daemon: newDaemon}).Commands() {
		if !c.Hidden && c.Name() != "completion" {
			got := run(t, fake.NewClientset(), c.Name(), "--help")
			golden(t, "help-"+c.Name(), got.out)
		}
	}
	golden(t, "help", run(t, fake.NewClientset()).out)
}

// TestStatusUsage: mistakes are named.
func TestStatusUsage(t *testing.T) {
	for args, want := range map[string]string{
		"status -o table":   `--output="table": expected json, yaml, name or wide`,
		"status -w -o json": "--watch and --output=json",
		"status n1 -l a=b":  "either names or --selector",
	} {
		if got := run(t, fake.NewClientset(), strings.Fields(args)...); got.status != ExitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

// TestDocument compares docs/kubectl-drainer.md with the commands: the part after
// its heading of the exit statuses is made from them.
func TestDocument(t *testing.T) {
	const path, heading = "../../docs/kubectl-drainer.md", "\n## Exit statuses\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written, after, found := strings.Cut(string(text), heading)
	if !found {
		t.Fatalf("%s has no heading %q", path, heading)
	}
	var b strings.Builder
	b.WriteString("\nScripts can rely on them.\n\n| status | |\n| --- | --- |\n")
	for _, e := range exitStatuses {
		fmt.Fprintf(&b, "| %d | %s |\n", e.status, e.meaning)
	}
	b.WriteString("\n## Commands\n\nEach command also accepts kubectl's flags that select the cluster, such as `--context`.\n")
	for _, c := range command(Options{Daemon: newDaemon}).Commands() {
		if c.Hidden || c.Name() == "completion" || c.Name() == "help" {
			continue
		}
		help, _, _ := strings.Cut(run(t, fake.NewClientset(), c.Name(), "--help").out, "\nGlobal Flags:")
		fmt.Fprintf(&b, "\n### kubectl drainer %s\n\n```text\n%s\n```\n", c.Name(), strings.TrimSpace(help))
	}
	b.WriteString("\n`plan` and `why` also accept those flags of [simulate](simulate.md) and of the daemon that affect drains.\n" +
		"`kubectl drainer simulate` and `kubectl drainer config` are the same commands as [`drainer simulate`](simulate.md) and `drainer config`.\n")
	if *update {
		if err := os.WriteFile(path, []byte(written+heading+b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if after != b.String() {
		t.Errorf("%s differs from the commands: go test ./pkg/cli -update", path)
	}
}
