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
	// What is chosen by all of the time shown is so at its end: chosen at each
	// moment, it would be something else at each.
	const ranked = "48s"
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
		if s, _ := m.VectorSelector.(*parser.VectorSelector); s.StartOrEnd == parser.END && m.Range.String() == ranked {
			return nil
		}
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

// TestNoData: nothing makes up a value where there is none.
func TestNoData(t *testing.T) {
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			parser.Inspect(parse(t, probe.Fill(q.Target.Expr)), func(n parser.Node, _ []parser.Node) error {
				if call, ok := n.(*parser.Call); ok && slices.Contains([]string{"vector", "absent"}, call.Func.Name) {
					t.Errorf("%s/%s has a value while drainer is down: %s", name, q.Panel, call)
				}
				return nil
			})
		}
	}
}

// TestTopk: over time, what is the most is chosen once and not at each moment:
// there would be more lines than are asked for.
func TestTopk(t *testing.T) {
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			if q.Target.Instant {
				continue
			}
			parser.Inspect(parse(t, probe.Fill(q.Target.Expr)), func(n parser.Node, _ []parser.Node) error {
				a, ok := n.(*parser.AggregateExpr)
				if !ok || a.Op != parser.TOPK && a.Op != parser.BOTTOMK {
					return nil
				}
				for _, s := range selectors(a.Expr) {
					if s.StartOrEnd != parser.END {
						t.Errorf("%s/%s chooses again at each moment: %s", name, q.Panel, a)
					}
				}
				return nil
			})
		}
	}
}

// TestNamesAreUnique: what several clusters may have of the same name is told
// apart by the cluster, in the query and in the legend.
func TestNamesAreUnique(t *testing.T) {
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			where := name + "/" + q.Panel
			by := groupedBy(parse(t, probe.Fill(q.Target.Expr)))
			if slices.ContainsFunc([]string{"node", "pod", "instance", "pod_namespace", "budget"}, func(l string) bool { return slices.Contains(by, l) }) &&
				!slices.Contains(by, "cluster") {
				t.Errorf("%s takes those of several clusters for one: by %v", where, by)
			}
			if q.Kind == "table" || q.Kind == "heatmap" {
				continue
			}
			for _, l := range by {
				if l != "le" && !strings.Contains(q.Target.LegendFormat, "{{"+l+"}}") {
					t.Errorf("%s has the legend %q for lines by %v", where, q.Target.LegendFormat, by)
				}
			}
		}
	}
}

// groupedBy are the labels of what an expression gives.
func groupedBy(e parser.Expr) []string {
	switch x := e.(type) {
	case *parser.AggregateExpr:
		if x.Op == parser.TOPK || x.Op == parser.BOTTOMK {
			return groupedBy(x.Expr)
		}
		return x.Grouping
	case *parser.BinaryExpr:
		if _, number := x.LHS.(*parser.NumberLiteral); number {
			return groupedBy(x.RHS)
		}
		return groupedBy(x.LHS)
	case *parser.ParenExpr:
		return groupedBy(x.Expr)
	case *parser.Call:
		return groupedBy(x.Args[len(x.Args)-1])
	default:
		return nil
	}
}
