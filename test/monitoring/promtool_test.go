package monitoring

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/test/cluster"
)

// promtool runs the real one.
func promtool(t *testing.T, args ...string) string {
	t.Helper()
	programs, err := cluster.Prometheus(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(programs, "promtool"), args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestRulesByPromtool: promtool finds nothing to say about the rules, and they
// fire when they should.
func TestRulesByPromtool(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rulesFile)
	files := ruleTests(t)
	out := promtool(t, append([]string{"test", "rules"}, files...)...)
	if n := strings.Count(out, "SUCCESS"); n != len(files) {
		t.Errorf("%d of %d files of tests passed:\n%s", n, len(files), out)
	}
}

func ruleTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("rules/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests of rules (%v)", err)
	}
	return files
}

// ruleTest is a test for promtool.
type ruleTest struct {
	Name        string `json:"name"`
	Interval    string `json:"interval"`
	InputSeries []any  `json:"input_series"`
	Alerts      []struct {
		EvalTime  string `json:"eval_time"`
		AlertName string `json:"alertname"`
		Expected  []any  `json:"exp_alerts"`
	} `json:"alert_rule_test"`
	Expressions []struct {
		Expr     string `json:"expr"`
		EvalTime string `json:"eval_time"`
		Expected []any  `json:"exp_samples"`
	} `json:"promql_expr_test"`
}

func readRuleTests(t *testing.T, file string) []ruleTest {
	t.Helper()
	var all struct {
		RuleFiles          []string   `json:"rule_files"`
		EvaluationInterval string     `json:"evaluation_interval"`
		Tests              []ruleTest `json:"tests"`
	}
	readYAML(t, file, &all)
	return all.Tests
}

// TestRuleTests: the tests for promtool show of every alert that it does not
// fire just before its time, that it fires, and that it ends.
func TestRuleTests(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range ruleTests(t) {
		for _, test := range readRuleTests(t, file) {
			for name, at := range test.fires(t) {
				seen[name] = seen[name] || firesInTime(at)
			}
		}
	}
	for _, a := range readAlerts(t) {
		if !seen[a.Alert] {
			t.Errorf("no test shows that %s fires, does not a minute before, and ends", a.Alert)
		}
	}
}

// fires says when alerts are to fire, and when not.
func (r ruleTest) fires(t *testing.T) map[string]map[time.Duration]bool {
	t.Helper()
	fires := map[string]map[time.Duration]bool{}
	for _, a := range r.Alerts {
		at, err := time.ParseDuration(a.EvalTime)
		if err != nil {
			t.Fatal(err)
		}
		if fires[a.AlertName] == nil {
			fires[a.AlertName] = map[time.Duration]bool{}
		}
		fires[a.AlertName][at] = len(a.Expected) > 0
	}
	return fires
}

// TestQuietTests: every test of what must raise no alert asks for all of them,
// over all of its time.
func TestQuietTests(t *testing.T) {
	for _, test := range readRuleTests(t, "rules/quiet.yaml") {
		asked := false
		for _, e := range test.Expressions {
			asked = asked || strings.Contains(e.Expr, `count_over_time(ALERTS{alertstate="firing"}[2h])`) && len(e.Expected) == 0
		}
		if !asked {
			t.Errorf("%s: nothing asks which alerts have fired", test.Name)
		}
	}
}

func firesInTime(at map[time.Duration]bool) bool {
	for when, fires := range at {
		before, asked := at[when-time.Minute]
		if !fires || !asked || before {
			continue
		}
		for later, still := range at {
			if later > when && !still {
				return true
			}
		}
	}
	return false
}
