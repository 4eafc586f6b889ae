package monitoring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"drainer.dev/drainer/test/monitoring/dashboards"
)

// TestQueries: every expression parses, reads only what drainer exports, of
// the chosen targets.
func TestQueries(t *testing.T) {
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			t.Run(fmt.Sprintf("%s/%s/%s", name, q.Panel, q.Target.RefID), func(t *testing.T) {
				// The choices are put in as they are, to see where they stand.
				expr := dashboards.Choices{Job: "$job", RateInterval: "47s", Range: "48s"}.Fill(q.Target.Expr)
				checkExported(t, expr)
				checkTargets(t, q.Target.Expr)
				checkRanges(t, expr, q.Target.Instant)
				checkCounters(t, expr)
			})
		}
	}
}

// checkTargets: every selector is limited by all choices.
func checkTargets(t *testing.T, expr string) {
	t.Helper()
	for _, s := range selectors(parse(t, dashboards.Choices{Job: "$job", RateInterval: "47s", Range: "48s"}.Fill(expr))) {
		got := map[string]string{}
		for _, m := range s.LabelMatchers {
			got[m.Name] = m.Type.String() + m.Value
		}
		if got["job"] != "=~$job" || got["namespace"] != "=~.*" || got["cluster"] != "=~.*" {
			t.Errorf("%s is not limited to what was chosen", s)
		}
	}
	// What other programs export, too, is joined with what only drainer does.
	for _, s := range selectors(parse(t, dashboards.Choices{Job: "$job", RateInterval: "47s", Range: "48s"}.Fill(expr))) {
		if !strings.HasPrefix(s.Name, "drainer_") && !strings.Contains(expr, "drainer_build_info{") {
			t.Errorf("%s may be another program's", s.Name)
		}
	}
}

// checkRanges: over the interval of the graph or, for one number, over the
// time shown; never over a fixed time.
func checkRanges(t *testing.T, expr string, instant bool) {
	t.Helper()
	want := map[bool]string{true: "48s", false: "47s"}[instant]
	parser.Inspect(parse(t, expr), func(n parser.Node, _ []parser.Node) error {
		if m, ok := n.(*parser.MatrixSelector); ok && m.Range.String() != want {
			t.Errorf("%s has a range that does not go with the time shown", m)
		}
		return nil
	})
}

// checkCounters: counters are only looked at by how they grow, and gauges
// never are.
func checkCounters(t *testing.T, expr string) {
	t.Helper()
	growth := []string{"rate", "irate", "increase"}
	parser.Inspect(parse(t, expr), func(n parser.Node, path []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		counter := slices.ContainsFunc([]string{"_total", "_bucket", "_count", "_sum"}, func(suffix string) bool { return strings.HasSuffix(s.Name, suffix) })
		grows := slices.ContainsFunc(path, func(p parser.Node) bool {
			call, is := p.(*parser.Call)
			return is && slices.Contains(growth, call.Func.Name)
		})
		if counter != grows {
			t.Errorf("%s: a counter is looked at by its growth, and nothing else is", s)
		}
		return nil
	})
}
