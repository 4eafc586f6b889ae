package monitoring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"drainer.dev/drainer/test/monitoring/dashboards"
)

// probe are choices by which is seen where they stand.
var probe = dashboards.Choices{Job: "$job", RateInterval: "47s", Range: "48s", Interval: "49s"}

// TestQueries: every expression parses, reads only what drainer exports, of
// the chosen targets.
func TestQueries(t *testing.T) {
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			t.Run(fmt.Sprintf("%s/%s/%s", name, q.Panel, q.Target.RefID), func(t *testing.T) {
				expr := probe.Fill(q.Target.Expr)
				checkExported(t, expr)
				checkTargets(t, q.Target.Expr)
				checkRanges(t, expr, q)
				checkCounters(t, expr)
			})
		}
	}
}

// checkTargets: every selector is limited by all choices.
func checkTargets(t *testing.T, expr string) {
	t.Helper()
	for _, s := range selectors(parse(t, probe.Fill(expr))) {
		got := map[string]string{}
		for _, m := range s.LabelMatchers {
			got[m.Name] = m.Type.String() + m.Value
		}
		if got["job"] != "=~$job" || got["namespace"] != "=~.*" || got["cluster"] != "=~.*" {
			t.Errorf("%s is not limited to what was chosen", s)
		}
	}
	// What other programs export, too, is joined with what only drainer does.
	for _, s := range selectors(parse(t, probe.Fill(expr))) {
		if !strings.HasPrefix(s.Name, "drainer_") && !strings.Contains(expr, "drainer_build_info{") {
			t.Errorf("%s may be another program's", s.Name)
		}
	}
}

// checkRanges: over the rate's interval, which is never too short; what is
// counted in each interval over just that, which then has to be long enough;
// one number over the time shown; and never over a fixed time.
func checkRanges(t *testing.T, expr string, q dashboards.Query) {
	t.Helper()
	want := "47s"
	switch {
	case q.Target.Instant:
		want = "48s"
	case q.Interval == "2m":
		want = "49s"
	}
	parser.Inspect(parse(t, expr), func(n parser.Node, path []parser.Node) error {
		m, ok := n.(*parser.MatrixSelector)
		if !ok {
			return nil
		}
		call, _ := path[len(path)-1].(*parser.Call)
		if m.Range.String() != want || want == "49s" && call.Func.Name != "increase" {
			t.Errorf("%s in %s has a range that does not go with the time shown", m, call)
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
