// Package metrics exports what drainer does to Prometheus. Counters and
// histograms are written where things happen; gauges are computed from the
// newest plan when they are read, so they cannot drift from it.
package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"drainer.dev/drainer/pkg/plan"
)

// Metrics observes drains. It implements drain.Observer.
type Metrics struct {
	// Registry holds everything of this package and nothing else.
	Registry *prometheus.Registry

	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	blocked     *prometheus.HistogramVec
	termination prometheus.Histogram
	deletions   *prometheus.CounterVec
	drains      *prometheus.CounterVec
	drain       *prometheus.HistogramVec
	planning    prometheus.Histogram
	leader      *prometheus.GaugeVec
}

// From tenths of a second, for a budget that recovers quickly, to a whole
// night.
var waitBuckets = []float64{.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600}

// New makes the metrics with their labels at 0 and registers them.
func New(version, commit string) *Metrics {
	m := &Metrics{Registry: prometheus.NewRegistry()}
	m.makeEvictions()
	m.makeDrains()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "drainer_build_info", Help: "Always 1; the labels say what is running.",
	}, []string{"version", "commit", "goversion"})
	build.WithLabelValues(version, commit, runtime.Version()).Set(1)
	m.initialise()
	m.Registry.MustRegister(m.requests, m.duration, m.blocked, m.termination, m.deletions, m.drains, m.drain, m.planning, m.leader, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) makeEvictions() {
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "drainer_eviction_requests_total",
		Help: "Requests to pods/eviction by HTTP status code and the reason for it.",
	}, []string{"code", "reason"})
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "drainer_eviction_request_duration_seconds",
		Help: "How long the API server took to answer a request to pods/eviction, by HTTP status code.",
		// An eviction may wait for 34 s inside the API server.
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40},
	}, []string{"code"})
	m.blocked = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "drainer_pod_blocked_duration_seconds",
		Help:    "How long pods that were blocked had been targets when their eviction was admitted, by what blocked them last.",
		Buckets: waitBuckets,
	}, []string{"reason"})
	m.termination = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "drainer_pod_termination_duration_seconds",
		Help:    "How long pods took from the admission of their eviction until they were gone.",
		Buckets: waitBuckets,
	})
}

func (m *Metrics) makeDrains() {
	m.deletions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "drainer_forced_deletions_total",
		Help: "Pods deleted past their budgets because a drain has timed out, a rule says deleteAfter or the node disappears, by what held them.",
	}, []string{"reason"})
	m.drains = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "drainer_drains_total",
		Help: "Drains by how they ended; a request is counted once.",
	}, []string{"result"})
	m.drain = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "drainer_drain_duration_seconds",
		Help:    "How long drains took by how they ended, without the time that they were queued or paused.",
		Buckets: []float64{5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400},
	}, []string{"result"})
	m.planning = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "drainer_plan_duration_seconds",
		Help:    "How long it took to plan over all nodes with a request.",
		Buckets: prometheus.ExponentialBuckets(.0001, 2, 14),
	})
	m.leader = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "leader_election_master_status",
		Help: "1 in the process that holds the lease, 0 in the others.",
	}, []string{"name"})
}

// initialise sets every series whose labels are known in advance to 0, so that
// the first event is an increase and not a new series.
func (m *Metrics) initialise() {
	for _, a := range plan.KnownAnswers() {
		m.requests.WithLabelValues(a.Code, string(a.Reason))
	}
	for _, r := range plan.BlockedReasons() {
		m.blocked.WithLabelValues(string(r))
	}
	for _, r := range plan.ForcibleReasons() {
		m.deletions.WithLabelValues(string(r))
	}
	for _, e := range plan.Results() {
		m.drains.WithLabelValues(string(e))
		m.drain.WithLabelValues(string(e))
	}
}

// Leader says whether this process holds the lease of the name.
func (m *Metrics) Leader(name string, leads bool) {
	value := 0.
	if leads {
		value = 1
	}
	m.leader.WithLabelValues(name).Set(value)
}

// Answered implements drain.Observer.
func (m *Metrics) Answered(o plan.Outcome, took time.Duration) {
	m.requests.WithLabelValues(o.Code, string(o.Reason)).Inc()
	m.duration.WithLabelValues(o.Code).Observe(took.Seconds())
}

// Answers is drainer_eviction_requests_total by code, without those at 0.
func (m *Metrics) Answers() map[string]int {
	series := make(chan prometheus.Metric)
	go func() {
		defer close(series)
		m.requests.Collect(series)
	}()
	answers := map[string]int{}
	for s := range series {
		var written dto.Metric
		if err := s.Write(&written); err != nil || written.GetCounter().GetValue() == 0 {
			continue
		}
		for _, l := range written.GetLabel() {
			if l.GetName() == "code" {
				answers[l.GetValue()] += int(written.GetCounter().GetValue())
			}
		}
	}
	return answers
}

// PodAdmitted implements drain.Observer.
func (m *Metrics) PodAdmitted(reason plan.Reason, waited time.Duration) {
	m.blocked.WithLabelValues(string(reason)).Observe(waited.Seconds())
}

// PodDeleted implements drain.Observer.
func (m *Metrics) PodDeleted(reason plan.Reason) { m.deletions.WithLabelValues(string(reason)).Inc() }

// PodGone implements drain.Observer.
func (m *Metrics) PodGone(terminating time.Duration) { m.termination.Observe(terminating.Seconds()) }

// Planned implements drain.Observer.
func (m *Metrics) Planned(took time.Duration) { m.planning.Observe(took.Seconds()) }

// DrainEnded implements drain.Observer.
func (m *Metrics) DrainEnded(how plan.Result, took time.Duration) {
	m.drains.WithLabelValues(string(how)).Inc()
	m.drain.WithLabelValues(string(how)).Observe(took.Seconds())
}
