package daemon

import (
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// Metrics is what /metrics said, by name.
type Metrics map[string]*dto.MetricFamily

// Sum adds up the counters and gauges of the name that have all the labels,
// given as alternating names and values. A histogram counts its observations.
func (m Metrics) Sum(name string, labels ...string) float64 {
	sum := 0.
	for _, metric := range m[name].GetMetric() {
		if hasLabels(metric, labels) {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// Histogram adds up the histograms of the name: how many observations there
// are, their mean, and the upper bound of the bucket with the quantile.
func (m Metrics) Histogram(name string, quantile float64) (count, mean, upper float64) {
	sum := 0.
	buckets := map[float64]float64{}
	for _, metric := range m[name].GetMetric() {
		h := metric.GetHistogram()
		count += float64(h.GetSampleCount())
		sum += h.GetSampleSum()
		for _, b := range h.GetBucket() {
			buckets[b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
	}
	if count == 0 {
		return 0, 0, 0
	}
	for _, bound := range slices.Sorted(maps.Keys(buckets)) {
		if buckets[bound] >= quantile*count {
			return count, sum / count, bound
		}
	}
	return count, sum / count, math.Inf(1)
}

func hasLabels(metric *dto.Metric, wanted []string) bool {
	has := map[string]string{}
	for _, l := range metric.GetLabel() {
		has[l.GetName()] = l.GetValue()
	}
	for i := 0; i < len(wanted); i += 2 {
		if has[wanted[i]] != wanted[i+1] {
			return false
		}
	}
	return true
}
