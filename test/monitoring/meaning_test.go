package monitoring

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"drainer.dev/drainer/test/monitoring/dashboards"
)

// meanings are what panels show of some series, as promtool evaluates them after
// an hour, and rounded.
var meanings = []struct {
	name, panel string
	// series begin high, so that increase does not guess where they began.
	series map[string]string
	labels string
	want   float64
}{
	{
		"a lone probe is no share of 100 %", "evictions/Refused with 429",
		map[string]string{`drainer_eviction_requests_total{job="j", code="429"}`: "1000x30 1001x40"},
		"{}", -1,
	},
	{
		"a quarter was refused", "evictions/Refused with 429",
		map[string]string{
			`drainer_eviction_requests_total{job="j", code="429"}`: "1000x30 1010x40",
			`drainer_eviction_requests_total{job="j", code="201"}`: "1000x30 1030x40",
		},
		"{}", .25,
	},
	{
		"nodes that are drained count", "drains/Progress",
		map[string]string{
			`drainer_nodes{job="j", phase="Drained"}`:                    "1x70",
			`drainer_node_phase{job="j", node="done", phase="Drained"}`:  "1x70",
			`drainer_node_phase{job="j", node="half", phase="Draining"}`: "1x70",
			`drainer_node_phase{job="j", node="half", phase="Drained"}`:  "0x70",
			`drainer_node_pods{job="j", node="half", state="gone"}`:      "2x70",
			`drainer_node_pods{job="j", node="half", state="eligible"}`:  "2x70",
		},
		"{}", .75,
	},
	{
		"a wait far below the lowest bucket", "health/Wait for --kube-api-qps",
		map[string]string{
			`drainer_build_info{job="j", instance="a"}`:                                                       "1x70",
			`rest_client_rate_limiter_duration_seconds_sum{job="j", instance="a", verb="GET"}`:                "1+0x70",
			`rest_client_rate_limiter_duration_seconds_count{job="j", instance="a", verb="GET"}`:              "1000+10x70",
			`rest_client_rate_limiter_duration_seconds_bucket{job="j", instance="a", verb="GET", le="0.005"}`: "1000+10x70",
			`rest_client_rate_limiter_duration_seconds_bucket{job="j", instance="a", verb="GET", le="+Inf"}`:  "1000+10x70",
		},
		`{verb="GET"}`, 0,
	},
}

// TestMeanings: what panels show is what their titles say, also where figures
// are few or drains are done.
func TestMeanings(t *testing.T) {
	choices := dashboards.Choices{Job: "j", RateInterval: "5m", Interval: "1m", Range: "1h"}
	queries := map[string]dashboards.Query{}
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			if _, more := queries[name+"/"+q.Panel]; !more {
				queries[name+"/"+q.Panel] = q
			}
		}
	}
	var tests []any
	for _, m := range meanings {
		q, found := queries[m.panel]
		if !found {
			t.Fatalf("there is no panel %s", m.panel)
		}
		var series []any
		for name, values := range m.series {
			series = append(series, map[string]string{"series": name, "values": values})
		}
		tests = append(tests, map[string]any{
			"name": m.name, "interval": "1m", "input_series": series,
			"promql_expr_test": []any{map[string]any{
				"expr": "round(" + choices.Fill(q.Target.Expr) + ", 0.001)", "eval_time": "1h",
				"exp_samples": []any{map[string]any{"labels": m.labels, "value": m.want}},
			}},
		})
	}
	text, err := json.Marshal(map[string]any{"evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "meanings.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)
}
