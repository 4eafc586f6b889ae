package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/shells"
	"drainer.dev/drainer/test/suite"
)

const (
	installGuide = "../../docs/install.md"
	// released is what the commands of the guide say at their end.
	released = "All nodes are released."
)

// narrowed is a kubectl for which all nodes are those of one test: tests run
// side by side.
const narrowed = `
[ "$2" = nodes ] || exec "$KUBECTL" "$@"
verb=$1
shift 2
for arg do
	shift
	[ "$arg" = --all ] || set -- "$@" "$arg"
done
exec "$KUBECTL" "$verb" nodes "--selector=pool=$POOL" "$@"
`

// runDocumented pastes commands of the documentation into a shell and returns
// what it said.
func (e *env) runDocumented(shell, commands string) string {
	e.Helper()
	dir := e.TempDir()
	shells.Fake(e, dir, "kubectl", narrowed)
	out, err := suite.Run(e, func(ctx context.Context) *exec.Cmd {
		c := shells.Command(ctx, shell, commands)
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"),
			"KUBECTL="+shared.Cluster.Kubectl(), "KUBECONFIG="+shared.Cluster.Kubeconfig(), "POOL="+e.pool)
		return c
	})
	if err != nil {
		e.Fatalf("in %s: %v", shell, err)
	}
	return out
}

// TestDocumentedRequest: what the README says first works as it says.
func TestDocumentedRequest(t *testing.T) {
	shells.Each(t, func(t *testing.T, shell string) {
		e := setup(t, 2)
		e.start()
		run := func(block string) {
			commands := shells.Documented(t, "../../README.md", block)
			e.runDocumented(shell, "set -e\n"+regexp.MustCompile(`\bn1\b`).ReplaceAllString(commands, e.nodes[0]))
		}
		run("request")
		e.awaitDrained(e.nodes[0], "CHG-1234")
		run("release")
		e.awaitLeft(e.nodes, "")
	})
}

// TestDocumentedRotation: the guide's loop over a pool comes to its end although
// only one node may be unavailable, and leaves no request behind.
func TestDocumentedRotation(t *testing.T) {
	shells.Each(t, func(t *testing.T, shell string) {
		e := setup(t, 3)
		e.start("--max-unavailable=1")
		commands := shells.Documented(t, "../../docs/how-to/rotate-nodes.md", "rotate")
		if !strings.Contains(commands, "-l pool=workers ") {
			t.Fatalf("the guide does not select pool=workers, but\n%s", commands)
		}
		out := e.runDocumented(shell, "set -e\n"+strings.ReplaceAll(commands, "pool=workers", "pool="+e.pool))
		for _, node := range e.nodes {
			if n := strings.Count(out, "replacing the machine of "+node+"\n"); n != 1 {
				t.Errorf("the machine of %s is replaced %d times, want once:\n%s", node, n, out)
			}
		}
		e.awaitLeft(e.nodes, "")
	})
}

// TestDocumentedScript: what the guide has in place of kubectl drain does its
// work.
func TestDocumentedScript(t *testing.T) {
	shells.Each(t, func(t *testing.T, shell string) {
		e := setup(t, 2)
		e.start()
		commands := shells.Documented(t, "../../docs/migration.md", "script")
		e.runDocumented(shell, "set -e\n"+regexp.MustCompile(`\bn1\b`).ReplaceAllString(commands, e.nodes[0]))
		e.awaitDrained(e.nodes[0], "reboot")
	})
}

// TestDocumentedFailures: whatever command of the guide fails, the nodes are not
// said to be released, and the next does not begin.
func TestDocumentedFailures(t *testing.T) {
	t.Parallel()
	shells.Each(t, func(t *testing.T, shell string) {
		for name, calls := range map[string]int{"before": 1, "after": 6} {
			commands := shells.Documented(t, installGuide, name)
			if _, out, err := pretend(t, shell, commands, 0); err != nil || !strings.Contains(out, released) {
				t.Errorf("the commands %q fail without a failure: %v\n%s", name, err, out)
			}
			for i := 1; i <= calls; i++ {
				n, out, err := pretend(t, shell, commands, i)
				if n != i || err == nil || strings.Contains(out, released) {
					t.Errorf("kubectl fails when it is called for time %d by the commands %q; it is called %d times, the end is %v\n%s", i, name, n, err, out)
				}
			}
		}
	})
}

// TestDocumentedRetry: while kubectl cannot say what is left, something may be.
func TestDocumentedRetry(t *testing.T) {
	t.Parallel()
	shells.Each(t, func(t *testing.T, shell string) {
		n, out, err := pretend(t, shell, shells.Documented(t, installGuide, "before"), 2)
		if n != 3 || err != nil || !strings.Contains(out, released) {
			t.Errorf("kubectl fails to list nodes once and is called %d times; the end is %v\n%s", n, err, out)
		}
	})
}

// pretend pastes commands into a shell with a kubectl that does nothing, and
// fails once, when it is called for that time. It returns how often it was called.
func pretend(t *testing.T, shell, commands string, failure int) (calls int, out string, err error) {
	t.Helper()
	dir := t.TempDir()
	shells.Fake(t, dir, "kubectl", fmt.Sprintf("echo >>calls\n[ $(wc -l <calls) -ne %d ]\n", failure))
	shells.Fake(t, dir, "sleep", "")
	c := shells.Command(suite.Context(t), shell, commands)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	text, err := c.CombinedOutput()
	written, readErr := os.ReadFile(filepath.Join(dir, "calls"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	return strings.Count(string(written), "\n"), string(text), err
}

// TestDocumentedAnnotations: the guide removes every annotation that a
// person may write.
func TestDocumentedAnnotations(t *testing.T) {
	t.Parallel()
	commands := shells.Documented(t, installGuide, "after")
	_, _, err := api.RequestOf(map[string]string{api.DrainAnnotation: "r", api.Prefix + "unknown": ""})
	if err == nil {
		t.Fatal("an unknown annotation is accepted")
	}
	known := regexp.MustCompile(regexp.QuoteMeta(api.Prefix)+"[a-z-]*[a-z]").FindAllString(err.Error(), -1)
	for _, name := range known {
		if name != api.Prefix+"unknown" && !strings.Contains(commands, " "+name+"- ") {
			t.Errorf("%s stays in\n%s", name, commands)
		}
	}
	if len(known) < 7 {
		t.Errorf("drainer knows only %v", known)
	}
}
