package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"drainer.dev/drainer/pkg/api"
)

// TestMessage: what a person reads names the worst first, with numbers.
func TestMessage(t *testing.T) {
	s := newScene()
	n := s.draining("n")
	m := s.Memory.Nodes[n.UID]
	m.Gone, m.IdleSince = 38, noon.Add(-time.Minute)
	s.Memory.Nodes[n.UID] = m
	for i := range 3 {
		pod := s.pod("n", fmt.Sprintf("web-%d", i))
		s.remember(pod, PodMemory{FirstSeen: noon, BlockedSince: noon.Add(-6 * time.Minute), BlockedBy: BudgetExhausted})
	}
	s.pod("n", "bare-0", func(p *Pod) { p.Controller = Owner{} })
	for i := range 3 {
		s.pod("n", fmt.Sprintf("gone-%d", i), func(p *Pod) { p.Deadline, p.Grace = noon.Add(20*time.Second), 30*time.Second })
	}
	s.budget("web", "web", 0, 10, 10, 12)
	got := planOf(t, Make(s.Snapshot), "n").Report()
	want := "38 of 45 pods gone, 3 terminating, 4 blocked; " +
		"ns/web-0 (and 2 more, for 6m) by PDB ns/web (needs 10 healthy, has 10); " +
		"cannot finish: ns/bare-0 because no controller would create it again; to fix: delete the pod yourself, or use --bare-pods=Evict"
	if got.Message != want {
		t.Errorf("the message is\n%s\nwant\n%s", got.Message, want)
	}
	if got.Status.Reason != "budget_exhausted" || len(got.Status.Blockers) != 4 || got.Status.Blockers[0].Budget != "ns/web" {
		t.Errorf("reason %s, blockers %+v", got.Status.Reason, got.Status.Blockers)
	}
}

// TestMessageBounds: whatever there is to say, it fits.
func TestMessageBounds(t *testing.T) {
	s := newScene()
	s.draining("n")
	for i := range 200 {
		app := fmt.Sprintf("app%d", i)
		s.pod("n", app+"-"+strings.Repeat("ü", 100))
		s.budget(strings.Repeat("b", 200)+app, app, 0, 2, 2, 3)
	}
	got := planOf(t, Make(s.Snapshot), "n").Report()
	if len(got.Message) > mostMessage || !utf8.ValidString(got.Message) {
		t.Errorf("the message has %d bytes", len(got.Message))
	}
	text := got.Status.Format()
	if len(text) > api.MaxStatusBytes {
		t.Errorf("the status has %d bytes", len(text))
	}
	if parsed, err := api.ParseStatus(text); err != nil || parsed.Pods.Blocked != 200 {
		t.Errorf("the status reads as %+v, %v", parsed, err)
	}
}

// TestProgressMessage: what a node says while it is drained, and no more than
// there is to say.
func TestProgressMessage(t *testing.T) {
	overdue := func(finalizers string) func(*Pod) {
		return func(p *Pod) {
			p.Deadline, p.Grace = noon.Add(-time.Minute), 30*time.Second
			p.Finalizers, p.Stopped = finalizers, finalizers != ""
		}
	}
	uncordoned := func(times int) func(scene, *Node) {
		return func(s scene, n *Node) {
			n.Unschedulable = false
			m := s.Memory.Nodes[n.UID]
			m.CordonSeen, m.Uncordons = time.Time{}, times
			s.Memory.Nodes[n.UID] = m
			s.pod("n", "web-1")
		}
	}
	for name, test := range map[string]struct {
		prepare func(scene, *Node)
		want    string
	}{
		"one pod to send":    {func(s scene, _ *Node) { s.pod("n", "web-1") }, "0 of 1 pods gone"},
		"not cordoned yet":   {uncordoned(0), "cordoning; 0 of 1 pods gone"},
		"uncordoned":         {uncordoned(1), "somebody uncordoned the node: no pod is evicted until it is cordoned again; 0 of 1 pods gone"},
		"pods not read":      {func(s scene, _ *Node) { delete(s.Pods, "n") }, "reading the node's pods (if this takes long, see the log)"},
		"empty":              {func(scene, *Node) {}, "0 of 0 pods gone, checking that no other pod arrives"},
		"within its grace":   {func(s scene, _ *Node) { s.pod("n", "web-1", func(p *Pod) { p.Deadline = noon.Add(time.Second) }) }, "0 of 1 pods gone, 1 terminating"},
		"not ended":          {func(s scene, _ *Node) { s.pod("n", "web-1", overdue("")) }, "0 of 1 pods gone, 1 terminating; ns/web-1 (for 1m) terminating, overdue: the kubelet has not stopped it"},
		"held by finalizers": {func(s scene, _ *Node) { s.pod("n", "web-1", overdue("a/b, c/d")) }, "0 of 1 pods gone, 1 terminating; ns/web-1 (for 1m) terminating, overdue: finalizers a/b, c/d"},
		"drained": {func(s scene, n *Node) {
			m := s.Memory.Nodes[n.UID]
			m.FinishedAt, m.Gone = noon, 3
			s.Memory.Nodes[n.UID] = m
			s.pod("n", "static-1", func(p *Pod) { p.Static = true })
		}, "all 3 pods gone, 1 ignored"},
	} {
		s := newScene()
		n := s.draining("n")
		test.prepare(s, n)
		if got := planOf(t, Make(s.Snapshot), "n").Report().Message; got != test.want {
			t.Errorf("%s: the node says %q, want %q", name, got, test.want)
		}
	}
}

// TestEvacuatingText: a pod that its webhook moves names the webhook, and what that
// says of it.
func TestEvacuatingText(t *testing.T) {
	for name, test := range map[string]struct{ message, want string }{
		"explained": {
			`admission webhook "vm.example.com" denied the request: Eviction triggered evacuation of VMI "ns/vm"`,
			`because webhook vm.example.com tells drainer to wait (429), usually while it moves the pod itself: Eviction triggered evacuation of VMI "ns/vm"`,
		},
		"without explanation": {
			`admission webhook "vm.example.com" denied the request without explanation`,
			"because webhook vm.example.com tells drainer to wait (429), usually while it moves the pod itself",
		},
		"not known": {"", "because a webhook tells drainer to wait (429), usually while it moves the pod itself"},
	} {
		s := PodState{State: Blocked, Reason: Evacuating, Message: test.message, Pod: &Pod{Namespace: "ns"}}
		if got := s.Explanation(); got != test.want {
			t.Errorf("%s: the pod is blocked %q, want %q", name, got, test.want)
		}
	}
	s := PodState{State: Blocked, Reason: Evacuating, Pod: &Pod{Namespace: "ns"}}
	if fix := s.Fix(); !strings.Contains(fix, "VirtualMachineInstanceMigration") || len(fix) > mostWords {
		t.Errorf("the fix is %q (%d bytes)", fix, len(fix))
	}
}

// TestWarnings: pods whose annotations do not count are named once and counted.
func TestWarnings(t *testing.T) {
	const text = "ignored the annotation drainer.dev/x of pod ns/web-0"
	const because = ": annotations of pods do not count in namespaces that are not declared trusted"
	for pods, want := range map[int]string{1: text + because, 2: text + " (and those of 1 more)" + because, 5: text + " (and those of 4 more)" + because} {
		s := newScene()
		s.draining("n")
		for i := range pods {
			s.pod("n", fmt.Sprintf("web-%d", i), func(p *Pod) { p.Instructions = []string{"drainer.dev/x"} })
		}
		if got := planOf(t, Make(s.Snapshot), "n").Report().Status.Warnings; len(got) != 1 || got[0] != want {
			t.Errorf("%d pods: the warnings are %q, want %q", pods, got, want)
		}
	}
}

// TestCut: what fits stays whole; what does not ends in an ellipsis, and no
// character is torn.
func TestCut(t *testing.T) {
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"", 5, ""},
		{"12345", 5, "12345"},
		{"123456", 5, "12…"},
		{"1ü3456", 5, "1…"},
	} {
		if got := Cut(test.text, test.most); got != test.want {
			t.Errorf("%q in %d bytes is %q, want %q", test.text, test.most, got, test.want)
		}
	}
}

// TestLasting: how long something has lasted is not told before it is worth it.
func TestLasting(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", 10*time.Second - 1: "", 10 * time.Second: "for 10s", time.Hour: "for 1h00m",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%v is told as %q, want %q", d, got, want)
		}
	}
}

// TestAbout: durations in messages are whole tens of seconds, then minutes, then
// tens of minutes.
func TestAbout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Second:                "10s",
		19 * time.Second:                "10s",
		59 * time.Second:                "50s",
		time.Minute:                     "1m",
		119 * time.Second:               "1m",
		59*time.Minute + 59*time.Second: "59m",
		time.Hour:                       "1h00m",
		time.Hour + 19*time.Minute:      "1h10m",
		25*time.Hour + 59*time.Minute:   "25h50m",
	} {
		if got := about(d); got != want {
			t.Errorf("%v is told as %q, want %q", d, got, want)
		}
	}
}

// TestWithFix: an event says once how to fix what it is about, and does not point to
// itself.
func TestWithFix(t *testing.T) {
	for name, test := range map[string]struct {
		pod  PodState
		want string
	}{
		"a fix":              {PodState{State: Blocked, Reason: BarePod, Message: "x", Pod: &Pod{}}, "because x; to fix: delete the pod yourself, or use --bare-pods=Evict"},
		"said already":       {PodState{State: Terminating, Reason: NodeUnreachable, Message: "x; " + Fix(NodeUnreachable, "", ""), Pod: &Pod{}}, "terminating, overdue: x; " + Fix(NodeUnreachable, "", "")},
		"nothing to be done": {PodState{State: Blocked, Reason: Throttled, Pod: &Pod{}}, "because the API server throttles evictions"},
	} {
		if got := test.pod.withFix(); got != test.want {
			t.Errorf("%s: it is %q, want %q", name, got, test.want)
		}
	}
}

// TestLongMessage: a message that is too long is cut, and still ends with what the request
// claims.
func TestLongMessage(t *testing.T) {
	n := NodePlan{Phase: api.InvalidRequest, words: words{fixed: strings.Repeat("x", 2*mostMessage)}}
	for requester, end := range map[string]string{"": "x…", "ops": "x…; requested by ops"} {
		n.Request.RequestedBy = requester
		if got := n.Report().Message; len(got) != mostMessage || !strings.HasSuffix(got, end) {
			t.Errorf("requested by %q: %d bytes, which end with %q", requester, len(got), got[max(0, len(got)-40):])
		}
	}
}
