package monitoring

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

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
		"DrainerDrainStuck", "DrainerDrainTimedOut", "DrainerForcedDeletions", "DrainerRequestInvalid", "DrainerNodeBlocked", "DrainerPodReturning",
		"DrainerPodNeverEvictable", "DrainerDrainUnfinishable", "DrainerTerminatingOverdue", "DrainerEvictionsFailing", "DrainerEvictionsThrottled",
		"DrainerQueueStalled", "DrainerNodesUnavailable", "DrainerLastNode", "DrainerDrainInterrupted", "DrainerPaused", "DrainerMarkRuleLatched", "DrainerWatchFailing", "DrainerNoLeader", "DrainerTwoLeaders", "DrainerCrashLooping",
		"DrainerReplicaDown", "DrainerAbsent",
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

// TestStuckForHowLong: how long no pod may leave a node is what the text says: the
// time that the expression looks back, and that for which the alert waits.
func TestStuckForHowLong(t *testing.T) {
	for _, a := range readAlerts(t) {
		if a.Alert != "DrainerDrainStuck" {
			continue
		}
		back := regexp.MustCompile(`state="gone"}\[(\w+)\]`).FindStringSubmatch(a.Expr)
		said := regexp.MustCompile(`no pod has left the node for (\d+) minutes`).FindStringSubmatch(a.Annotations["description"])
		if back == nil || said == nil {
			t.Fatalf("it looks back %v, and says %v", back, said)
		}
		var all time.Duration
		for _, text := range []string{back[1], a.For} {
			d, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			all += d
		}
		if all.String() != said[1]+"m0s" {
			t.Errorf("it needs %v, and says %s minutes", all, said[1])
		}
	}
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
