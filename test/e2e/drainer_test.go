package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one running drainer.
type process struct {
	*testing.T
	command *exec.Cmd
	log     string
	// metrics and health are the addresses that it serves on.
	metrics, health string
	ended           chan struct{}
	err             error
}

var processes struct {
	sync.Mutex
	n int
}

// start runs drainer as deploy's ServiceAccount, on the test's nodes only.
// Later flags win.
func (e *env) start(flags ...string) *process {
	e.Helper()
	processes.Lock()
	processes.n++
	base := filepath.Join(suite.cluster.Dir, "logs", fmt.Sprintf("drainer-%03d-%s", processes.n, e.namespace))
	processes.Unlock()
	if err := suite.cluster.ServiceAccountKubeconfig(e.Context(), e.namespace, "drainer", base+".kubeconfig"); err != nil {
		e.Fatal(err)
	}
	return e.run(base, append([]string{
		"--kubeconfig=" + base + ".kubeconfig", "--node-selector=" + poolLabel + "=" + e.pool,
		"--leader-elect-resource-namespace=" + e.namespace,
		"--max-draining=100%", "--settle=1s",
	}, flags...))
}

func (e *env) run(base string, flags []string) *process {
	e.Helper()
	log, err := os.Create(base + ".log")
	if err != nil {
		e.Fatal(err)
	}
	defer log.Close()
	p := &process{T: e.T, log: log.Name(), ended: make(chan struct{})}
	p.command = exec.Command(suite.drainer, append([]string{
		"--metrics-bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0", "--logging-format=json", "--v=2",
	}, flags...)...)
	p.command.Env = append(os.Environ(), e.environment...)
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := p.command.StderrPipe()
	if err != nil {
		e.Fatal(err)
	}
	out, err := os.OpenFile(log.Name(), os.O_WRONLY, 0o600)
	if err != nil {
		e.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		e.Fatal(err)
	}
	addresses := make(chan [2]string, 4)
	go func() {
		defer close(p.ended)
		defer out.Close()
		p.read(pipe, out, addresses)
		p.err = p.command.Wait()
	}()
	e.Cleanup(func() {
		p.kill()
		if e.Failed() {
			e.Logf("the end of %s:\n%s", p.log, tail(p.log, 40))
		}
	})
	p.awaitAddresses(addresses)
	return p
}

// read copies the log and finds out where the process serves.
func (p *process) read(from io.Reader, to io.Writer, addresses chan<- [2]string) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		_, _ = to.Write(line)
		var entry struct{ Msg, Endpoint, Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "Serving" {
			addresses <- [2]string{entry.Endpoint, entry.Address}
		}
		if err != nil {
			return
		}
	}
}

func (p *process) awaitAddresses(addresses <-chan [2]string) {
	p.Helper()
	for p.metrics == "" || p.health == "" {
		select {
		case a := <-addresses:
			switch a[0] {
			case "metrics":
				p.metrics = a[1]
			case "health":
				p.health = a[1]
			}
		case <-p.ended:
			p.Fatalf("drainer ended at once (%v):\n%s", p.err, tail(p.log, 20))
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

// kill ends the process like a crash.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// terminate asks the process to end and returns its exit status and how long
// it took.
func (p *process) terminate() (int, time.Duration) {
	p.Helper()
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	return p.wait(), time.Since(begun)
}

// wait returns the exit status.
func (p *process) wait() int {
	p.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.Fatal("drainer did not end")
	}
	var status *exec.ExitError
	if errors.As(p.err, &status) {
		return status.ExitCode()
	}
	return 0
}

// readyz is the answer of /readyz.
func (p *process) readyz() int {
	response, err := http.Get("http://" + p.health + "/readyz")
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// metric is the sum over the series of the name that have all the labels,
// such as code="429".
func (p *process) metric(name string, labels ...string) float64 {
	p.Helper()
	response, err := http.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	sum := 0.
	for line := range strings.Lines(string(text)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || series != name && !strings.HasPrefix(series, name+"{") || !containsAll(series, labels) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			p.Fatal(err)
		}
		sum += v
	}
	return sum
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

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
