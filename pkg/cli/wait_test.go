package cli

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/bubble"
)

// replace puts another node in the place of the one of its name.
func replace(t *testing.T, client kubernetes.Interface, n *corev1.Node) {
	t.Helper()
	if _, err := client.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// neverAllowed is a node with a pod that its budget never lets go, and maybe a deadline.
func neverAllowed(d *api.Deadline) *corev1.Node {
	s := api.Status{
		Request: "r", Phase: api.Blocked, Deadline: d, Pods: api.PodCounts{Blocked: 1},
		Blockers: []api.Blocker{{Pod: "ns/a", State: api.BlockedState, Reason: "budget_never_allows"}},
	}
	if d == nil || d.ToDelete == 0 {
		s.CannotFinish = []api.Obstacle{{Pod: "ns/a", Pods: 1, Reason: "budget_never_allows"}}
	}
	return nodeWith("drain", "r", "status", s.Format())
}

// TestWait: whoever waits is told how far the nodes are, and how they end.
func TestWait(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		happen func(t *testing.T, client kubernetes.Interface, interrupt func())
		status int
		says   []string
	}{
		"drained": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			replace(t, client, named("na", in(api.Draining)))
			bubble.Sleep(time.Second)
			replace(t, client, named("na", in(api.Drained, "drained", "r")))
		}, 0, []string{"node/na Requested: no answer from drainer yet", "node/na Draining", "node/na drained: r"}},
		"cannot finish, until somebody fixes it": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			replace(t, client, named("na", in(api.InvalidRequest)))
		}, ExitCannotFinish, []string{"node na: the request is invalid"}},
		"timed out": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			replace(t, client, named("na", in(api.TimedOut)))
		}, ExitTimedOut, []string{"node na: "}},
		"blocked forever": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			replace(t, client, named("na", neverAllowed(nil)))
		}, ExitCannotFinish, []string{"node na cannot be drained by waiting"}},
		"blocked until it disappears": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			replace(t, client, named("na", neverAllowed(&api.Deadline{At: noon, ToDelete: 1})))
			bubble.Sleep(time.Second)
			replace(t, client, named("na", in(api.Drained, "drained", "r")))
		}, 0, []string{"node/na drained: r"}},
		"blocked, and lost": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			replace(t, client, named("na", neverAllowed(&api.Deadline{At: noon, AtRisk: 1})))
		}, ExitCannotFinish, []string{"node na cannot be drained by waiting"}},
		"cancelled": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			replace(t, client, named("na", nodeWith()))
		}, ExitEnded, []string{"the request r of node na was removed"}},
		"deleted": {nil, func(t *testing.T, client kubernetes.Interface, _ func()) {
			_ = client.CoreV1().Nodes().Delete(t.Context(), "na", metav1.DeleteOptions{})
		}, ExitEnded, []string{"node na was deleted"}},
		"no drainer": {
			[]string{"--timeout=1m"},
			func(*testing.T, kubernetes.Interface, func()) {},
			ExitWaited,
			[]string{"drainer has not answered for 1 of 1 nodes", "the drain continues", "kubectl drainer cancel na"},
		},
		"interrupted": {
			nil, func(_ *testing.T, _ kubernetes.Interface, interrupt func()) { interrupt() },
			ExitInterrupted,
			[]string{"interrupted, and the drain continues", "kubectl drainer cancel na"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := fake.NewClientset(fleet(1)...)
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				ended := make(chan terminal)
				go func() {
					ended <- runIn(ctx, client, append([]string{"drain", "na", "--id=r", "--wait"}, test.args...)...)
				}()
				bubble.Sleep(2 * time.Second)
				test.happen(t, client, interrupt)
				got := <-ended
				for _, want := range test.says {
					if got.status != test.status || !strings.Contains(got.out+got.err, want) {
						t.Errorf("exit status %d\n%s%s\nwant %d and %q", got.status, got.out, got.err, test.status, want)
					}
				}
				if test.status != ExitEnded && annotation(t, client, "na", api.DrainAnnotation) != "r" {
					t.Error("the request is gone")
				}
			})
		})
	}
}

// TestWaitTellsEach: in a pipe, a node is said to be drained as soon as it is, and not
// only once all are; on all of them only once.
func TestWaitTellsEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(fleet(2)...)
		ended := make(chan terminal)
		go func() { ended <- runIn(t.Context(), client, "drain", "na", "nb", "--id=r", "--wait", "--yes") }()
		bubble.Sleep(2 * time.Second)
		replace(t, client, named("na", in(api.Drained, "drained", "r")))
		bubble.Sleep(2 * time.Second)
		replace(t, client, named("nb", in(api.Draining)))
		bubble.Sleep(2 * time.Second)
		replace(t, client, named("nb", in(api.Drained, "drained", "r")))
		got := <-ended
		first, later, found := strings.Cut(got.out, "node/nb Draining")
		if got.status != 0 || !found || strings.Count(first, "node/na drained: r\n") != 1 || strings.Contains(later, "node/na") || strings.Count(later, "node/nb drained: r\n") != 1 {
			t.Errorf("it ended with %d and said\n%s%s", got.status, got.out, got.err)
		}
	})
}

// TestWorst: of several nodes the one counts that somebody has to fix.
func TestWorst(t *testing.T) {
	w := &waiter{shared: &shared{}, names: []string{"a", "b", "c"}, ended: map[string]ending{
		"a": {ExitEnded, "gone"}, "b": {ExitCannotFinish, "stuck"}, "c": {ExitTimedOut, "late"},
	}}
	err := w.result()
	if statusOf(t.Context(), err) != ExitCannotFinish || err.Error() != "gone\nstuck\nlate" {
		t.Errorf("the error is %v with %d", err, statusOf(t.Context(), err))
	}
}

// TestWaitForOthers: a node that was drained counts as such, although it is deleted, or its
// request is removed, while others are still being drained; one that drains again does not.
func TestWaitForOthers(t *testing.T) {
	w := &waiter{shared: &shared{}, drained: map[string]bool{}}
	drained, gone := ending{0, "drained"}, ending{ExitEnded, "deleted"}
	if e := w.remembered("b", gone); e.status != ExitEnded {
		t.Errorf("a node that was never drained ends with %d", e.status)
	}
	w.remembered("a", drained)
	if e := w.remembered("a", gone); e.status != 0 {
		t.Errorf("a node that was drained ends with %d", e.status)
	}
	if e := w.remembered("a", ending{ExitTimedOut, "late"}); e.status != ExitTimedOut {
		t.Errorf("a node that timed out after all ends with %d", e.status)
	}
}

// TestVisible: what Nodes say cannot control the terminal of those who look.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ümlaut …":   "plain, ümlaut …",
		"\x1b[2J\x07gone\n": `\x1b[2J\agone\n`,
	} {
		if got := visible(text); got != want || fit(text, 0) != want {
			t.Errorf("%q is shown as %q and %q, want %q", text, got, fit(text, 0), want)
		}
	}
	if got := wrap("a \x1b[2J b", "", 80); len(got) != 1 || got[0] != `a \x1b[2J b` {
		t.Errorf("it is wrapped as %q", got)
	}
}

// TestHeldRow: a node whose request was removed and that others hold says so.
func TestHeldRow(t *testing.T) {
	node := nodeWith("status", api.Status{Request: "r", Phase: api.Held}.Format())
	node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeDrainInProgress, Message: "held by backup"})
	r, known := rowOf(node)
	if !known || r.phase() != "Held" || r.message() != "held by backup" || r.Status == nil || r.Request != "" {
		t.Errorf("the row is %+v, phase %s, message %q", r, r.phase(), r.message())
	}
}

// TestWaitAfterChange: what drainer said before the request was changed does not end the
// wait, unless drainer does not say anything else.
func TestWaitAfterChange(t *testing.T) {
	invalid := func() *corev1.Node { return named("na", in(api.InvalidRequest, "on-timeout", "stop")) }
	for name, test := range map[string]struct {
		flag   string
		happen func(t *testing.T, client kubernetes.Interface)
		status int
		after  time.Duration
	}{
		"drainer accepts it": {"--on-timeout=Stop", func(t *testing.T, client kubernetes.Interface) {
			replace(t, client, named("na", in(api.Draining)))
			bubble.Sleep(time.Second)
			replace(t, client, named("na", in(api.Drained, "drained", "r")))
		}, 0, 0},
		"drainer says nothing else": {"--on-timeout=Stop", func(*testing.T, kubernetes.Interface) {}, ExitCannotFinish, silence},
		"nothing was changed":       {"--yes", func(*testing.T, kubernetes.Interface) {}, ExitCannotFinish, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := fake.NewClientset(invalid())
				begun := time.Now()
				ended := make(chan terminal)
				go func() { ended <- runIn(t.Context(), client, "drain", "na", "--id=r", "--wait", test.flag) }()
				bubble.Sleep(2 * time.Second)
				select {
				case got := <-ended:
					if got.status != test.status || test.after > 0 {
						t.Errorf("it ended within 2 s with %+v, want %d", got, test.status)
					}
					return
				default:
				}
				test.happen(t, client)
				if got := <-ended; got.status != test.status || time.Since(begun) < test.after {
					t.Errorf("after %v it ended with %+v, want %d", time.Since(begun), got, test.status)
				}
			})
		})
	}
}
