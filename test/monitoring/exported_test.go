package monitoring

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/metrics"
	"drainer.dev/drainer/pkg/plan"
)

// exported are the names of the series that drainer exports, each with its
// labels.
var exported = sync.OnceValue(func() map[string][]string {
	m := metrics.New("v", "c")
	// client-go keeps what is registered in a global: once in a process.
	m.RegisterClient()
	m.NewQueues()
	m.RegisterPlans(nil, 0, false)
	m.RegisterControl(nil)
	m.RegisterMarks(nil)
	m.RegisterWatches(nil)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		m.Registry.Describe(descriptions)
		close(descriptions)
	}()
	// A Desc shows itself only in its text.
	parts := regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)
	all := map[string][]string{}
	for d := range descriptions {
		match := parts.FindStringSubmatch(d.String())
		if match == nil {
			continue
		}
		own := strings.FieldsFunc(match[2], func(r rune) bool { return r == ',' })
		all[match[1]] = own
		if strings.HasSuffix(match[1], "_seconds") {
			all[match[1]+"_bucket"] = append(slices.Clone(own), "le")
			all[match[1]+"_sum"], all[match[1]+"_count"] = own, own
		}
	}
	// Prometheus makes this one of every target.
	all["up"] = nil
	return all
})

// targetLabels are put on every series by who scrapes it.
var targetLabels = []string{"cluster", "namespace", "job", "instance", "pod"}

// words are the values of labels that can be named beforehand.
var words = map[string][]string{
	"reason": reasons(), "phase": texts(api.Phases()), "result": texts(plan.Results()),
	"state": {"eligible", "blocked", "terminating", "gone", "ignored", "unconfirmed", "marked", "requested", "silent"}, "name": {"evictions", "tasks"},
}

func reasons() []string {
	all := slices.Concat(texts(plan.BlockedReasons()), texts(plan.TerminatingReasons()), texts(plan.Queueings()))
	for _, a := range plan.KnownAnswers() {
		all = append(all, string(a.Reason))
	}
	return all
}

func texts[T ~string](values []T) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

func parse(t *testing.T, expr string) parser.Expr {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s\n%v", expr, err)
	}
	return parsed
}

// selectors are the series that an expression reads.
func selectors(expr parser.Expr) []*parser.VectorSelector {
	var all []*parser.VectorSelector
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			all = append(all, s)
		}
		return nil
	})
	return all
}

// checkExported: an expression names only metrics, labels and values that
// drainer exports.
func checkExported(t *testing.T, expr string) {
	t.Helper()
	parsed := parse(t, expr)
	known := slices.Clone(targetLabels)
	for _, s := range selectors(parsed) {
		own, exists := exported()[s.Name]
		if !exists {
			t.Errorf("drainer exports no metric %s", s.Name)
		}
		known = append(known, own...)
		for _, m := range s.LabelMatchers {
			if m.Name != model.MetricNameLabel {
				checkMatcher(t, s.Name, slices.Concat(own, targetLabels), m)
			}
		}
	}
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		var used []string
		switch x := n.(type) {
		case *parser.AggregateExpr:
			used = x.Grouping
		case *parser.BinaryExpr:
			if x.VectorMatching != nil {
				used = slices.Concat(x.VectorMatching.MatchingLabels, x.VectorMatching.Include)
			}
		}
		for _, l := range used {
			if !slices.Contains(known, l) {
				t.Errorf("no metric of this expression has the label %s:\n%s", l, expr)
			}
		}
		return nil
	})
}

func checkMatcher(t *testing.T, metric string, known []string, m *labels.Matcher) {
	t.Helper()
	if !slices.Contains(known, m.Name) {
		t.Errorf("%s has no label %s", metric, m.Name)
	}
	values, limited := words[m.Name]
	if !limited {
		return
	}
	for _, value := range strings.Split(m.Value, "|") {
		if !slices.Contains(values, value) {
			t.Errorf("the label %s of %s is never %q", m.Name, metric, value)
		}
	}
}
