package metrics

import "github.com/prometheus/client_golang/prometheus"

var failingWatches = prometheus.NewDesc("drainer_failing_watches",
	"Watches of the API server that have failed for at least 30 s, by resource: drainer acts on what it saw before.", []string{"resource"}, nil)

// watches exports which watches fail.
type watches func() map[string]int

// RegisterWatches exports how many watches fail, by resource, 0 for a resource of which
// none does. The function returns nil in a process that does not lead, and so watches
// nothing.
func (m *Metrics) RegisterWatches(failing func() map[string]int) {
	m.Registry.MustRegister(watches(failing))
}

// Describe implements prometheus.Collector.
func (watches) Describe(ch chan<- *prometheus.Desc) { ch <- failingWatches }

// Collect implements prometheus.Collector.
func (w watches) Collect(ch chan<- prometheus.Metric) {
	for resource, n := range w() {
		ch <- gauge(failingWatches, float64(n), resource)
	}
}
