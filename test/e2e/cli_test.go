package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/cli"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// plugin is the path of kubectl-drainer.
func (e *env) plugin() string {
	e.Helper()
	path := filepath.Join(e.TempDir(), "kubectl-drainer")
	if err := os.Symlink(shared.Drainer, path); err != nil {
		e.Fatal(err)
	}
	return path
}

// ran is what a run of the plugin came to.
type ran struct {
	out, err string
	status   int
}

// tryPlugin runs the plugin to its end as an administrator. It may be called from
// any goroutine.
func (e *env) tryPlugin(program string, args ...string) (r ran, err error) {
	var out, errOut bytes.Buffer
	err = suite.While(e, "kubectl drainer "+strings.Join(args, " "), func(ctx context.Context) error {
		c := exec.CommandContext(ctx, program, args...)
		c.Env = append(os.Environ(), "KUBECONFIG="+shared.Cluster.Kubeconfig())
		c.Stdout, c.Stderr = &out, &errOut
		err := c.Run()
		r.status = c.ProcessState.ExitCode()
		return err
	})
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = nil
	}
	r.out, r.err = out.String(), errOut.String()
	return r, err
}

// expect runs the plugin, and fails the test unless it ends with the status and
// says the texts.
func (e *env) expect(status int, says []string, args ...string) ran {
	e.Helper()
	r, err := e.tryPlugin(e.plugin(), args...)
	if err != nil {
		e.Fatal(err)
	}
	for _, want := range append(says, "") {
		if r.status != status || !strings.Contains(r.out+r.err, want) {
			e.Fatalf("kubectl drainer %s ended with %d, want %d and %q:\n%s%s", strings.Join(args, " "), r.status, status, want, r.out, r.err)
		}
	}
	return r
}

// TestPluginDrain: a person drains, pauses, cancels and releases nodes by the
// plugin, which does nothing to a node that is not in the state for it.
func TestPluginDrain(t *testing.T) {
	e := setup(t, 4)
	node, other := e.nodes[0], e.nodes[1]
	e.twoOfTen(node)
	e.start()
	e.expect(0, []string{"node/" + node + " drain requested: r (server dry run)"}, "drain", node, "--id=r", "--dry-run=server")
	if e.node(node).Annotations[api.DrainAnnotation] != "" {
		t.Fatal("a dry run has asked for a drain")
	}
	e.expect(0, []string{"node/" + node + " drain requested: r\n"}, "drain", node, "--id=r", "--reason=kernel update", "--requested-by=team-a",
		"--on-timeout=Stop", "--drain-timeout=3h", "--grace-period=7", "--priority=3", "--ignore-windows=true")
	for key, want := range map[string]string{
		api.ReasonAnnotation: "kernel update", api.RequestedByAnnotation: "team-a", api.OnTimeoutAnnotation: "Stop", api.TimeoutAnnotation: "3h",
		api.GracePeriodAnnotation: "7", api.PriorityAnnotation: "3", api.IgnoreWindowsAnnotation: "true",
	} {
		awaitState(t, fmt.Sprintf("%s is %q", key, want), func() bool { return e.node(node).Annotations[key] == want })
	}
	e.awaitLeaving(node, "web", 10, 2)
	e.expect(0, []string{"node/" + node + " paused: r"}, "pause", node)
	e.awaitPhase(node, api.Paused)
	e.expect(1, []string{`has the request "r" already (Paused)`}, "drain", node, "--id=x")
	e.expect(1, []string{"is not drained (Paused)"}, "release", node)
	e.checkNothingSent(node)
	e.expect(0, []string{"node/" + node + " resumed: r"}, "resume", node)
	awaitState(t, "the drain continues", func() bool { return e.status(node).Phase != api.Paused })
	e.expect(1, []string{`node ` + other + ` is drained`, "kubectl drainer release " + other}, "cancel", other)
	e.expect(0, []string{"released: other"}, "release", other)
	e.awaitReleased(other)
	e.expect(0, []string{"drain cancelled: r"}, "cancel", node, "--id=r")
	e.awaitReleased(node)
	e.awaitSchedulable(node)
	for key := range e.node(node).Annotations {
		if strings.HasPrefix(key, api.Prefix) {
			t.Errorf("the annotation %s stays", key)
		}
	}
	r := e.expect(0, []string{"node/" + node + " drained: "}, "drain", node, "--wait", "--deadline=1h")
	if at, err := time.Parse(time.RFC3339, e.node(node).Annotations[api.DeadlineAnnotation]); err != nil || time.Until(at) > time.Hour || time.Until(at) < 0 {
		t.Errorf("the deadline is %v, error %v, want one within the hour", at, err)
	}
	if id := regexp.MustCompile(`drain requested: (\S+)`).FindStringSubmatch(r.out); id == nil || e.node(node).Annotations[api.DrainedAnnotation] != id[1] {
		t.Errorf("the node is drained for %q, the plugin says\n%s", e.node(node).Annotations[api.DrainedAnnotation], r.out)
	}
}

// TestPluginWait: a wait ends with the status that says how the drain ended, and
// the drain does not depend on it.
func TestPluginWait(t *testing.T) {
	e := setup(t, 4)
	never, timed, slow := e.nodes[0], e.nodes[1], e.nodes[2]
	for _, node := range []string{never, timed} {
		e.create(workload.Deployment(on(e.spec("db-"+node, 1), node)), workload.MaxUnavailable(e.namespace, "pdb-"+node, "db-"+node, "0"))
		e.awaitReady("db-"+node, 1)
	}
	e.start()
	e.expect(cli.ExitCannotFinish, []string{"cannot be drained by waiting", e.namespace + "/pdb-" + never}, "drain", never, "--id=w", "--wait")
	e.expect(cli.ExitTimedOut, []string{"node " + timed + ": timed out"}, "drain", timed, "--id=w", "--drain-timeout=1s", "--wait")
	e.expect(cli.ExitWaited, []string{"the drain continues", "kubectl drainer cancel " + slow}, "drain", slow, "--id=w", "--not-before=1h", "--wait", "--timeout=2s")
	// A busy drainer may not have written yet when the plugin's own time is over.
	awaitState(t, "after the wait the drain is queued", func() bool {
		s := e.status(slow)
		return s.Phase == api.Queued && s.Request == "w"
	})
	e.expect(0, []string{"request changed: w", "drained: w"}, "drain", slow, "--id=w", "--not-before=-1h", "--wait")
	// Of the nodes of all tests these are more than a tenth, however many there are.
	e.expect(cli.ExitUsage, []string{"you ask for the drain of ", "--yes"}, "drain", "-l", poolLabel, "--id=x", "--dry-run=client", "-n", e.namespace)
}

// TestPluginOverwrite: of two who replace a request at the same time, one is told
// that somebody else did.
func TestPluginOverwrite(t *testing.T) {
	e := setup(t, 1)
	node := e.nodes[0]
	e.request(node, "first")
	const racers = 4
	ends := make(chan ran, racers)
	program := e.plugin()
	for i := range racers {
		go func() {
			r, err := e.tryPlugin(program, "drain", node, "--overwrite", "--id=racer-"+string(rune('a'+i)))
			if err != nil {
				t.Error(err)
			}
			ends <- r
		}()
	}
	lost := 0
	for range racers {
		switch r := suite.Receive(t, "a racer ends", ends); {
		case r.status == 0:
		case strings.Contains(r.err, "while this command ran: nothing was written"):
			lost++
		default:
			t.Errorf("a racer ended with %+v", r)
		}
	}
	t.Logf("%d of %d racers were told that somebody was faster", lost, racers)
}

// TestPluginPauseAll: everything is paused and resumed, in drainer's namespace.
func TestPluginPauseAll(t *testing.T) {
	e := setup(t, 2)
	node := e.slowWeb(1)
	drainer := e.start()
	poll(t, "it leads", drainer.leads)
	e.expect(1, []string{"NOTHING IS PAUSED"}, "pause", "--all", "--reason=INC-42", "-n", "default", "--dry-run=server")
	e.expect(0, []string{"everything is paused: INC-42"}, "pause", "--all", "--reason=INC-42", "-n", e.namespace)
	e.request(node, "all")
	e.awaitSays(node, "INC-42")
	watchFor(t, 2*time.Second, "nothing is done", func() bool { return !e.cordoned(node) })
	e.expect(0, []string{"everything is resumed"}, "resume", "--all", "-n", e.namespace)
	e.awaitDrained(node, "all")
}

// TestPluginStatus: what drainer says about a node is shown, to people and to
// programs, with what to do about it; in a pipe line by line.
func TestPluginStatus(t *testing.T) {
	e := setup(t, 3)
	node := e.nodes[0]
	e.create(workload.Deployment(on(e.spec("db", 1), node)), workload.MaxUnavailable(e.namespace, "db", "db", "0"))
	e.awaitReady("db", 1)
	e.start()
	e.request(node, "r")
	e.awaitPhase(node, api.Blocked)
	e.expect(0, []string{"PHASE", node, "Blocked", "0/1", "budget_never_allows"}, "status", "-l", poolLabel+"="+e.pool)
	e.expect(0, []string{
		"Held up by:", e.namespace + "/db-", "Why: by PDB " + e.namespace + "/db (needs 1 healthy, has 1)", "Fix: let PDB " + e.namespace + "/db allow",
	}, "status", node)
	r := e.expect(0, nil, "status", node, "-o", "json")
	var one struct {
		Phase  api.Phase
		Status api.Status
	}
	if err := json.Unmarshal([]byte(r.out), &one); err != nil || one.Phase != api.Blocked || one.Status.Pods.Blocked != 1 {
		t.Errorf("error %v, the status is %+v", err, one)
	}
	if r := e.expect(0, nil, "status", node, "-o", "yaml"); yaml.Unmarshal([]byte(r.out), &one) != nil || one.Phase != api.Blocked {
		t.Errorf("the status as YAML is\n%s", r.out)
	}
	e.expect(0, []string{"POOL", "Blocked", "by PDB " + e.namespace + "/db"}, "status", "-l", poolLabel+"="+e.pool, "-o", "wide")
	if r := e.expect(0, nil, "status", "-l", poolLabel+"="+e.pool, "-o", "name"); r.out != "node/"+node+"\n" {
		t.Errorf("the name is %q", r.out)
	}
	lines := e.runPiped("status", "-w", node)
	e.awaitText(lines, "node/"+node+" Blocked: ")
	e.editBudget("db", "1")
	e.awaitText(lines, "node/"+node+" Drained: ")
	e.cancel(node)
	e.awaitText(lines, "node/"+node+" released")
}

// piped is a run of the plugin whose output goes to a file.
type piped string

// runPiped starts the plugin, which ends with the test.
func (e *env) runPiped(args ...string) piped {
	e.Helper()
	path := filepath.Join(e.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		e.Fatal(err)
	}
	c := exec.CommandContext(e.Context(), e.plugin(), append(args, "--kubeconfig="+shared.Cluster.Kubeconfig())...)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		out.Close()
	})
	return piped(path)
}

func (e *env) awaitText(p piped, text string) {
	e.Helper()
	poll(e.T, "it says "+text, func() bool {
		all, err := os.ReadFile(string(p))
		if err != nil {
			e.Fatal(err)
		}
		return strings.Contains(string(all), text)
	})
}
