package shells

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// problemNodes are nodes as kubectl lists them: one with the problem, one with the
// problem and a request, and one without.
const problemNodes = `{"items":[
{"metadata":{"name":"sick"},"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"KernelDeadlock","status":"True"}]}},
{"metadata":{"name":"asked","annotations":{"drainer.dev/drain":"r"}},"status":{"conditions":[{"type":"KernelDeadlock","status":"True"}]}},
{"metadata":{"name":"well","annotations":{}},"status":{"conditions":[{"type":"KernelDeadlock","status":"False"}]}}]}`

// TestProblems: the guide's command prints the nodes with the problem that have no
// request.
func TestProblems(t *testing.T) {
	t.Parallel()
	jq, err := exec.LookPath("jq")
	if err != nil {
		t.Skipf("NOT TESTED without jq: %v", err)
	}
	commands := Documented(t, "../../docs/how-to/node-problems.md", "problems")
	Each(t, func(t *testing.T, shell string) {
		dir := t.TempDir()
		Fake(t, dir, "kubectl", "cat <<'END'\n"+problemNodes+"\nEND\n")
		c := Command(t.Context(), shell, "set -e\n"+commands)
		c.Dir = dir
		c.Env = []string{"PATH=" + dir + ":" + filepath.Dir(jq) + ":/usr/bin:/bin", "HOME=" + dir}
		out, err := c.Output()
		if err != nil || strings.TrimSpace(string(out)) != "sick" {
			t.Errorf("the command prints %q, %v, want sick", out, err)
		}
	})
}
