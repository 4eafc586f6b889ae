package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Process is a running drainer.
type Process struct {
	// Log is the path of its log.
	Log string

	command *exec.Cmd
	// metrics, health and pprof are the addresses that it serves on; pprof is
	// empty without its flag.
	metrics, health, pprof string
	ended                  chan struct{}
	err                    error
}

// Start runs the program with the flags, and with free ports and a log in
// JSON. It returns once the ports are known. The process goes on when the
// context ends.
func Start(ctx context.Context, program, log string, environment []string, flags ...string) (*Process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("making drainer's log: %w", err)
	}
	p := &Process{Log: log, ended: make(chan struct{})}
	p.command = exec.Command(program, append([]string{
		"--metrics-bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0", "--logging-format=json",
	}, flags...)...)
	p.command.Env = append(os.Environ(), environment...)
	// Ctrl-C in a terminal is for the program that started it.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := p.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting drainer: %w", err)
	}
	served := make(chan endpoint, 4)
	go func() {
		defer close(p.ended)
		defer out.Close()
		copyLog(pipe, out, served)
		p.err = p.command.Wait()
	}()
	profiled := slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--pprof-bind-address=") })
	if err := p.awaitPorts(ctx, served, profiled); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// endpoint is a line of the log that says where something is served.
type endpoint struct{ Msg, Endpoint, Address string }

func copyLog(from io.Reader, to io.Writer, served chan<- endpoint) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		_, _ = to.Write(line)
		var e endpoint
		if json.Unmarshal(line, &e) == nil && e.Msg == "Serving" {
			served <- e
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) awaitPorts(ctx context.Context, served <-chan endpoint, profiled bool) error {
	for p.metrics == "" || p.health == "" || profiled && p.pprof == "" {
		select {
		case e := <-served:
			switch e.Endpoint {
			case "metrics":
				p.metrics = e.Address
			case "health":
				p.health = e.Address
			case "pprof":
				p.pprof = e.Address
			}
		case <-p.ended:
			return fmt.Errorf("drainer ended at once: %w; see %s", p.err, p.Log)
		case <-ctx.Done():
			return fmt.Errorf("waiting until drainer says its ports: %w; see %s", context.Cause(ctx), p.Log)
		}
	}
	return nil
}

// Kill ends the process like a crash. It may be called more than once.
func (p *Process) Kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// Signal sends the process a signal.
func (p *Process) Signal(s os.Signal) error {
	if err := p.command.Process.Signal(s); err != nil {
		return fmt.Errorf("sending %v to drainer: %w", s, err)
	}
	return nil
}

// Wait returns the exit status once the process has ended.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for drainer's end: %w; see %s", context.Cause(ctx), p.Log)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		return 0, fmt.Errorf("waiting for drainer: %w", p.err)
	}
	return p.command.ProcessState.ExitCode(), nil
}

// Terminate asks the process to end, and returns its exit status and how long
// it took.
func (p *Process) Terminate(ctx context.Context) (status int, took time.Duration, err error) {
	begun := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	status, err = p.Wait(ctx)
	return status, time.Since(begun), err
}

// Health is the address of /livez and /readyz.
func (p *Process) Health() string { return p.health }

// Ready is true if /readyz says so.
func (p *Process) Ready(ctx context.Context) bool {
	response, err := get(ctx, "http://"+p.health+"/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// HeapBytes collects garbage and returns what is left on the heap. The process
// must have been started with --pprof-bind-address.
func (p *Process) HeapBytes(ctx context.Context) (uint64, error) {
	response, err := get(ctx, "http://"+p.pprof+"/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, fmt.Errorf("reading drainer's heap profile: %w", err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), "# HeapAlloc = "); found {
			return strconv.ParseUint(text, 10, 64)
		}
	}
	return 0, fmt.Errorf("drainer's heap profile has no HeapAlloc: %w", lines.Err())
}

// MetricsAddress is where /metrics is served, as host and port.
func (p *Process) MetricsAddress() string { return p.metrics }

// Metrics reads /metrics.
func (p *Process) Metrics(ctx context.Context) (Metrics, error) {
	response, err := get(ctx, "http://"+p.metrics+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("reading drainer's metrics: %w", err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading drainer's metrics: %w", err)
	}
	return families, nil
}

func get(ctx context.Context, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(request)
}

// Leads is true if the process says that it holds the lease.
func (p *Process) Leads(ctx context.Context) bool {
	m, err := p.Metrics(ctx)
	return err == nil && m.Sum("leader_election_master_status") == 1
}
