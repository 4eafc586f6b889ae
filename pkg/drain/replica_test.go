package drain_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"drainer.dev/drainer/pkg/sim/apiserver"
)

// restartDelay is how long a kubelet takes to start a container again that has
// ended by itself.
const restartDelay = time.Second

// replica is a pod of the daemon: one process after the other.
type replica struct {
	s         *story
	name      string
	transport *apiserver.Transport
	stop      context.CancelFunc
	ended     chan struct{}

	mu      sync.Mutex
	process *process
}

// start starts a replica.
func (s *story) start() *replica {
	s.replicas++
	name := fmt.Sprintf("drainer-%d", s.replicas)
	ctx, stop := context.WithCancel(s.ctx)
	r := &replica{s: s, name: name, transport: s.server.Transport(name), stop: stop, ended: make(chan struct{})}
	r.process = newProcess(name, r.transport, s.flags)
	s.running.Go(func() {
		defer close(r.ended)
		r.run(ctx)
	})
	return r
}

// run runs a process and, if it ends by itself, the next one.
func (r *replica) run(ctx context.Context) {
	for number := 2; ; number++ {
		r.mu.Lock()
		p := r.process
		r.mu.Unlock()
		if err := p.run(ctx); ctx.Err() != nil || err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartDelay):
		}
		r.mu.Lock()
		r.process = newProcess(fmt.Sprintf("%s-%d", r.name, number), r.transport, p.flags)
		r.mu.Unlock()
	}
}

// terminate ends the replica as SIGTERM does, and waits for its end.
func (r *replica) terminate() {
	r.stop()
	<-r.ended
}

// kill ends the replica as SIGKILL does: the lease is not released, and
// requests under way get no answer.
func (r *replica) kill() {
	r.transport.Cut()
	r.terminate()
}

// metric is the value of a metric of the newest process: of a counter or gauge,
// or the sum of a histogram, over all series with the labels, given as
// alternating names and values.
func (r *replica) metric(name string, labels ...string) float64 {
	sum := 0.
	r.series(name, labels, func(m *dto.Metric) {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
	})
	return sum
}

// count is the number of observations of a histogram.
func (r *replica) count(name string, labels ...string) int {
	sum := uint64(0)
	r.series(name, labels, func(m *dto.Metric) { sum += m.GetHistogram().GetSampleCount() })
	return int(sum)
}

// series calls f for the series of a metric that have the labels.
func (r *replica) series(name string, labels []string, f func(*dto.Metric)) {
	r.each(name, func(has map[string]string, m *dto.Metric) {
		for i := 0; i < len(labels); i += 2 {
			if has[labels[i]] != labels[i+1] {
				return
			}
		}
		f(m)
	})
}

// each calls f for every series of a metric of the newest process, with its
// labels.
func (r *replica) each(name string, f func(labels map[string]string, m *dto.Metric)) {
	families, err := r.newest().metrics.Registry.Gather()
	if err != nil {
		r.s.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			f(labels, m)
		}
	}
}

// newest is the process that runs now.
func (r *replica) newest() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process
}
