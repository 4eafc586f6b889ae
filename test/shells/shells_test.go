package shells

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCommand: commands are run one after the other, and the status is that of
// the last.
func TestCommand(t *testing.T) {
	t.Parallel()
	Each(t, func(t *testing.T, shell string) {
		out, err := Command(t.Context(), shell, "false\necho \\\n  said\n").Output()
		if err != nil || string(out) != "said\n" {
			t.Errorf("said is %q, the end is %v", out, err)
		}
		if err := Command(t.Context(), shell, "true\nfalse\n").Run(); err == nil {
			t.Error("the last command fails, and the shell does not")
		}
	})
}

// TestMissing: without a shell the tests with it are skipped, which is said,
// and fail where CI is true. It runs TestCommand in a process that finds none.
func TestMissing(t *testing.T) {
	t.Parallel()
	for ci, want := range map[string]string{"": "--- SKIP: TestCommand/zsh", "true": "--- FAIL: TestCommand/zsh"} {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCommand$", "-test.v")
		command.Env = append(os.Environ(), "PATH="+t.TempDir(), "CI="+ci)
		out, err := command.CombinedOutput()
		if !strings.Contains(string(out), want) || (err != nil) != (ci == "true") {
			t.Errorf("with CI=%q the end is %v, want %q in\n%s", ci, err, want, out)
		}
		if said := strings.Count(string(out), "\nNOT TESTED with "); said < len(Names())-1 {
			t.Errorf("only %d shells are said to be missing in\n%s", said, out)
		}
	}
}
