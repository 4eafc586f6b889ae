package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/cluster/workload"
)

// TestConfigurationFile: what the file says holds, beside the flags; a file with
// a mistake is refused before anything is done.
func TestConfigurationFile(t *testing.T) {
	e := setup(t, 2)
	node := e.nodes[0]
	e.create(workload.Pod(e.spec("bare", 1), node))
	e.awaitReady("bare", 1)
	file := filepath.Join(t.TempDir(), "drainer.yaml")
	write := func(fields string) {
		t.Helper()
		text := "apiVersion: config.drainer.dev/v1alpha1\nkind: DrainerConfiguration\n" + fields
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("barePods: evict\nsettle: 3s\n")
	out, status := e.runToEnd("--config="+file, "--settle=1s")
	if status != 2 || !strings.Contains(out, file+":4") || !strings.Contains(out, "--settle=1s and settle") {
		t.Errorf("a field and its flag: drainer exits with %d and says %s", status, out)
	}
	out, status = e.runToEnd("--config=" + file)
	if status != 2 || !strings.Contains(out, file+`:3: barePods: "evict": expected Block, Evict or Ignore`) {
		t.Errorf("a mistake: drainer exits with %d and says %s", status, out)
	}
	write("barePods: Evict\n")
	e.start("--config=" + file)
	e.request(node, "r")
	e.awaitDrained(node, "r")
	if phase := e.status(node).Phase; phase != api.Drained {
		t.Errorf("the phase is %s", phase)
	}
}
