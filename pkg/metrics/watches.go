package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

var failingWatches = prometheus.NewDesc("drainer_failing_watches",
	"Watches of the API server that have failed for at least 30 s, by resource: drainer acts on what it saw before.", []string{"resource"}, nil)

// watches exports which watches fail.
type watches func() map[string]int

// RegisterWatches exports how many watches fail, by resource. The function returns nil
// in a process that does not lead, and so watches nothing.
func (m *Metrics) RegisterWatches(failing func() map[string]int) {
	m.Registry.MustRegister(watches(failing))
}

// Describe implements prometheus.Collector.
func (watches) Describe(ch chan<- *prometheus.Desc) { ch <- failingWatches }

// watchedResources are those that have a series also while nothing fails, so that there
// is one to look at. Rules and limits may add others.
var watchedResources = []string{"configmaps", "daemonsets", "nodes", "poddisruptionbudgets", "pods"}

// Collect implements prometheus.Collector.
func (w watches) Collect(ch chan<- prometheus.Metric) {
	failing := w()
	if failing == nil {
		return
	}
	for _, resource := range watchedResources {
		if _, fails := failing[resource]; !fails {
			ch <- gauge(failingWatches, 0, resource)
		}
	}
	for resource, n := range failing {
		ch <- gauge(failingWatches, float64(n), resource)
	}
}
