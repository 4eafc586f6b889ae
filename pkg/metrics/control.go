package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"drainer.dev/drainer/pkg/plan"
)

var paused = prometheus.NewDesc("drainer_paused",
	"1 while the ConfigMap drainer-control pauses everything or cannot be watched, 0 otherwise.", nil, nil)

// control exports whether everything is paused.
type control func() (plan.Control, bool)

// RegisterControl exports whether everything is paused. The function returns
// false in a process that does not lead, and so does not know.
func (m *Metrics) RegisterControl(newest func() (plan.Control, bool)) {
	m.Registry.MustRegister(control(newest))
}

// Describe implements prometheus.Collector.
func (control) Describe(ch chan<- *prometheus.Desc) { ch <- paused }

// Collect implements prometheus.Collector.
func (c control) Collect(ch chan<- prometheus.Metric) {
	now, known := c()
	switch {
	case !known:
	case now.Paused != "":
		ch <- gauge(paused, 1)
	default:
		ch <- gauge(paused, 0)
	}
}
