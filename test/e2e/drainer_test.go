package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/cluster/daemon"
	"drainer.dev/drainer/test/cluster/workload"
	"drainer.dev/drainer/test/suite"
)

// process is a running drainer whose troubles fail the test.
type process struct {
	*daemon.Process
	env *env
}

var processes atomic.Int32

// patientLease are flags for a drainer that nobody starts again: on a busy machine
// the API server may not answer for longer than a lease usually lasts, and who
// loses the lease ends.
var patientLease = []string{"--leader-elect-lease-duration=5m", "--leader-elect-renew-deadline=4m"}

// usualLease are the flags' defaults, for tests that let a lease expire.
var usualLease = []string{"--leader-elect-lease-duration=15s", "--leader-elect-renew-deadline=10s"}

// start runs drainer as deploy's ServiceAccount, on the test's nodes only.
// Later flags win.
func (e *env) start(flags ...string) process {
	e.Helper()
	account := types.NamespacedName{Namespace: e.namespace, Name: "drainer"}
	name := fmt.Sprintf("drainer-%03d-%s", processes.Add(1), e.namespace)
	flags = slices.Concat([]string{"--node-selector=" + poolLabel + "=" + e.pool, "--max-draining=100%", "--max-unavailable=100%", "--settle=1s", "--v=2"},
		patientLease, flags)
	at := (*cluster.Address)(nil)
	if e.through != nil {
		at = &cluster.Address{URL: e.through.URL, CA: e.through.CA, TokenFile: e.tokenFileFor(name)}
	}
	p, err := shared.RunAt(e.Context(), at, account, name, e.environment, flags...)
	if err != nil {
		e.Fatal(err)
	}
	e.watched.add(p, flags, e.through)
	e.Cleanup(func() {
		e.end(p)
		if e.Failed() {
			e.Logf("the end of %s:\n%s", p.Log, tail(p.Log, 40))
		}
	})
	return process{p, e}
}

// end ends the process, if it has not ended: by SIGTERM, so that it says what it
// has counted.
func (e *env) end(p *daemon.Process) {
	defer p.Kill()
	if e.Failed() || p.Signal(syscall.SIGTERM) != nil {
		return
	}
	if _, err := p.Wait(suite.Closing(e)); err != nil {
		e.Error(err)
	}
}

// terminate asks the process to end, and returns its exit status and how long
// it took.
func (p process) terminate() (status int, took time.Duration) {
	p.env.Helper()
	err := suite.While(p.env, "drainer ends after SIGTERM", func(ctx context.Context) (err error) {
		status, took, err = p.Terminate(ctx)
		return err
	})
	if err != nil {
		p.env.Fatal(err)
	}
	return status, took
}

// crash kills the process, and lets its lease run out.
func (p process) crash() {
	p.env.Helper()
	p.Kill()
	if err := shared.ExpireLease(p.env.Context(), p.env.namespace); err != nil {
		p.env.Fatal(err)
	}
}

func (p process) leads() bool { return p.Leads(p.env.Context()) }

// metric is the sum over the series of the name that have the labels, given as
// alternating names and values.
func (p process) metric(name string, labels ...string) float64 {
	p.env.Helper()
	m, err := p.Metrics(p.env.Context())
	if err != nil {
		p.env.Fatal(err)
	}
	return m.Sum(name, labels...)
}

// runToEnd runs drainer and returns what it wrote and its exit status.
func (e *env) runToEnd(args ...string) (string, int) {
	e.Helper()
	command := exec.CommandContext(e.Context(), shared.Drainer, args...)
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

// drainerPods makes pods for processes of drainer to be in, each on a node of
// its own, and a budget as the chart's.
func (e *env) drainerPods(replicas int) []*corev1.Pod {
	e.Helper()
	spec := e.spec("drainer", replicas)
	spec.Pod = func(p *corev1.PodTemplateSpec) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey:   corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{workload.AppLabel: "drainer"}},
			}},
		}}
	}
	e.create(workload.Deployment(spec), workload.MaxUnavailable(e.namespace, "drainer", "drainer", "1"))
	e.awaitReady("drainer", replicas)
	return e.pods("drainer")
}

// startIn runs drainer as if in a pod.
func (e *env) startIn(pod *corev1.Pod, flags ...string) process {
	e.Helper()
	e.environment = []string{"POD_UID=" + string(pod.UID)}
	return e.start(flags...)
}

// slowWeb is a workload of n pods on the first node.
func (e *env) slowWeb(n int) string {
	e.Helper()
	e.create(workload.Deployment(on(e.spec("web", n), e.nodes[0])))
	e.awaitReady("web", n)
	return e.nodes[0]
}
