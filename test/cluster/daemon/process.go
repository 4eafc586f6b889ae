package daemon

import (
	"bufio"
	"context"
	"encoding/json"
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

	"drainer.dev/drainer/test/program"
)

// Process is a running drainer.
type Process struct {
	*program.Program
	// Credential is the ID of its token in the API server's audit log; empty if
	// it does not run as a ServiceAccount.
	Credential string
	// Token is the token itself; empty if it does not run as a ServiceAccount.
	Token string
	// metrics, health and pprof are the addresses that it serves on; pprof is
	// empty without its flag.
	metrics, health, pprof string
}

// Start runs the program with the flags, and with free ports and a log in JSON.
// It returns once the ports are known. The process keeps running when the
// context ends.
func Start(ctx context.Context, path, log string, environment []string, flags ...string) (*Process, error) {
	command := exec.Command(path, append([]string{
		"--metrics-bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0", "--logging-format=json",
	}, flags...)...)
	command.Env = append(os.Environ(), environment...)
	// Ctrl-C in a terminal is for the program that started it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &Process{}
	profiled := slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "--pprof-bind-address=") })
	var err error
	p.Program, err = program.Start(ctx, command, log, func(line []byte) bool {
		p.see(line)
		return p.metrics != "" && p.health != "" && (p.pprof != "" || !profiled)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// see looks for a line that says where something is served.
func (p *Process) see(line []byte) {
	var e struct{ Msg, Endpoint, Address string }
	if json.Unmarshal(line, &e) != nil || e.Msg != "Serving" {
		return
	}
	switch e.Endpoint {
	case "metrics":
		p.metrics = e.Address
	case "health":
		p.health = e.Address
	case "pprof":
		p.pprof = e.Address
	}
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

// CPUProfile writes a profile of what the process does during the time. It must
// have been started with --pprof-bind-address.
func (p *Process) CPUProfile(ctx context.Context, d time.Duration, to io.Writer) error {
	return p.profile(ctx, fmt.Sprintf("profile?seconds=%d", int(d.Seconds())), to)
}

// HeapProfile writes a profile of the memory in use after a collection. It must
// have been started with --pprof-bind-address.
func (p *Process) HeapProfile(ctx context.Context, to io.Writer) error {
	return p.profile(ctx, "heap?gc=1", to)
}

func (p *Process) profile(ctx context.Context, name string, to io.Writer) error {
	response, err := get(ctx, "http://"+p.pprof+"/debug/pprof/"+name)
	if err != nil {
		return fmt.Errorf("reading drainer's profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("reading drainer's profile: %s", response.Status)
	}
	if _, err := io.Copy(to, response.Body); err != nil {
		return fmt.Errorf("reading drainer's profile: %w", err)
	}
	return nil
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
