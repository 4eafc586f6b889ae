package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"drainer.dev/drainer/test/cluster/daemon"
)

// process is a running drainer whose troubles fail the test.
type process struct {
	*daemon.Process
	t *testing.T
}

var processes atomic.Int32

// start runs drainer as deploy's ServiceAccount, on the test's nodes only.
// Later flags win.
func (e *env) start(flags ...string) process {
	e.Helper()
	base := filepath.Join(suite.cluster.Dir, "logs", fmt.Sprintf("drainer-%03d-%s", processes.Add(1), e.namespace))
	if err := suite.cluster.ServiceAccountKubeconfig(e.Context(), e.namespace, "drainer", base+".kubeconfig"); err != nil {
		e.Fatal(err)
	}
	p, err := daemon.Start(suite.drainer, base+".log", e.environment, append([]string{
		"--kubeconfig=" + base + ".kubeconfig", "--node-selector=" + poolLabel + "=" + e.pool,
		"--leader-elect-resource-namespace=" + e.namespace,
		"--max-draining=100%", "--settle=1s", "--v=2",
	}, flags...)...)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() {
		p.Kill()
		if e.Failed() {
			e.Logf("the end of %s:\n%s", p.Log, tail(p.Log, 40))
		}
	})
	return process{p, e.T}
}

// terminate asks the process to end.
func (p process) terminate() (int, time.Duration) {
	p.t.Helper()
	status, took, err := p.Terminate()
	if err != nil {
		p.t.Fatal(err)
	}
	return status, took
}

// metric is the sum over the series of the name that have the labels, given as
// names and values in turn.
func (p process) metric(name string, labels ...string) float64 {
	p.t.Helper()
	m, err := p.Metrics()
	if err != nil {
		p.t.Fatal(err)
	}
	return m.Sum(name, labels...)
}

// runToEnd runs drainer and returns what it wrote and its exit status.
func (e *env) runToEnd(args ...string) (string, int) {
	e.Helper()
	command := exec.CommandContext(e.Context(), suite.drainer, args...)
	out, err := command.CombinedOutput()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		e.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
