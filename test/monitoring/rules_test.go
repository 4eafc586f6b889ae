package monitoring

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"drainer.dev/drainer/test/cluster"
	"drainer.dev/drainer/test/monitoring/dashboards"
)

// alert is an alerting rule.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
}

func readAlerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string  `json:"name"`
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	readYAML(t, rulesFile, &file)
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestAlerts: every alert is complete, and reads only what drainer exports.
func TestAlerts(t *testing.T) {
	want := []string{
		"DrainerDrainStuck", "DrainerDrainTimedOut", "DrainerPodNeverEvictable", "DrainerTerminatingOverdue",
		"DrainerEvictionsFailing", "DrainerEvictionsThrottled", "DrainerQueueStalled", "DrainerNoLeader", "DrainerAbsent",
	}
	var names []string
	for _, a := range readAlerts(t) {
		names = append(names, a.Alert)
		t.Run(a.Alert, func(t *testing.T) {
			checkExported(t, a.Expr)
			if wait, err := time.ParseDuration(a.For); err != nil || wait < time.Minute {
				t.Errorf("for %q (%v): a single scrape may be odd", a.For, err)
			}
			if !slices.Contains([]string{"warning", "critical"}, a.Labels["severity"]) || len(a.Labels) != 1 {
				t.Errorf("labels %v", a.Labels)
			}
			if s := a.Annotations["summary"]; !strings.HasSuffix(s, ".") || strings.Contains(s, "{{") {
				t.Errorf("summary %q: want a sentence that is always the same", s)
			}
			if !strings.HasSuffix(a.Annotations["description"], ".") && !strings.HasSuffix(a.Annotations["description"], "{{ end }}") {
				t.Errorf("description %q: want sentences", a.Annotations["description"])
			}
			if got, want := a.Annotations["runbook_url"], dashboards.Runbooks+a.Alert+".md"; got != want {
				t.Errorf("runbook_url %s, want %s", got, want)
			}
			checkMatchesEnough(t, a)
		})
	}
	if !slices.Equal(names, want) {
		t.Errorf("alerts %v, want %v", names, want)
	}
}

// checkMatchesEnough: what other programs export, too, is joined with what
// only drainer does, so that no name of a job has to be known.
func checkMatchesEnough(t *testing.T, a alert) {
	t.Helper()
	for _, s := range selectors(parse(t, a.Expr)) {
		if !strings.HasPrefix(s.Name, "drainer_") && !strings.Contains(a.Expr, "drainer_build_info") {
			t.Errorf("%s may be another program's", s.Name)
		}
	}
}

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

// TestRuleTests: the tests for promtool show of every alert that it does not
// fire just before its time, that it fires, and that it ends.
func TestRuleTests(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range ruleTests(t) {
		var tests struct {
			RuleFiles          []string `json:"rule_files"`
			EvaluationInterval string   `json:"evaluation_interval"`
			Tests              []struct {
				Name        string `json:"name"`
				Interval    string `json:"interval"`
				InputSeries []any  `json:"input_series"`
				Alerts      []struct {
					EvalTime  string `json:"eval_time"`
					AlertName string `json:"alertname"`
					Expected  []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			} `json:"tests"`
		}
		readYAML(t, file, &tests)
		for _, test := range tests.Tests {
			fires := map[string]map[time.Duration]bool{}
			for _, a := range test.Alerts {
				at, err := time.ParseDuration(a.EvalTime)
				if err != nil {
					t.Fatal(err)
				}
				if fires[a.AlertName] == nil {
					fires[a.AlertName] = map[time.Duration]bool{}
				}
				fires[a.AlertName][at] = len(a.Expected) > 0
			}
			for name, at := range fires {
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

// reasonsOf are the alternatives of the label reason in an alert's expression.
func reasonsOf(t *testing.T, name string) []string {
	t.Helper()
	for _, a := range readAlerts(t) {
		if a.Alert == name {
			match := regexp.MustCompile(`reason=~"([^"]+)"`).FindStringSubmatch(a.Expr)
			return strings.Split(match[1], "|")
		}
	}
	t.Fatalf("there is no alert %s", name)
	return nil
}
