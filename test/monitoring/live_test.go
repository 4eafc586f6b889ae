package monitoring

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/test/monitoring/dashboards"
	"drainer.dev/drainer/test/monitoring/stage"
)

// The jobs that scrape. The two first scrape the same replicas.
const (
	plainJob    = "drainer"
	honouredJob = "drainer-honoured"
	crowdJob    = "crowd"
	idleJob     = "idle"
)

// live is a drain under way, watched by Prometheus.
type live struct {
	*testing.T
	stage      *stage.Stage
	prometheus *stage.Prometheus
	begun      time.Time
}

// TestLive shows dashboards, alerts and runbooks on a real drain that a real
// Prometheus scrapes.
func TestLive(t *testing.T) {
	l := setUp(t)
	l.drainAll()
	t.Run("dashboards", l.testDashboards)
	t.Run("many and no nodes", l.testCrowd)
	t.Run("alerts", l.testAlerts)
	t.Run("runbooks", l.testRunbooks)
	// The last: it changes who leads.
	t.Run("hand-over", l.testHandOver)
}

func setUp(t *testing.T) *live {
	t.Helper()
	dir, err := os.MkdirTemp("", "drainer-monitoring-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs are in %s", dir)
		} else {
			_ = os.RemoveAll(dir)
		}
	})
	l := &live{T: t}
	l.stage, err = stage.Start(t.Context(), dir)
	t.Cleanup(func() { l.must(l.stage.Stop()) })
	l.must(err)
	l.must(l.stage.CreateScene(t.Context()))
	flags := []string{
		"--stuck-after=2s", "--settle=1s", "--max-draining=100%",
		"--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=500ms",
	}
	for _, name := range []string{"drainer-0", "drainer-1"} {
		l.must(l.stage.Run(t.Context(), name, flags...))
	}
	crowd := httptest.NewServer(exporter(crowdOf(200)))
	t.Cleanup(crowd.Close)
	idle := httptest.NewServer(exporter(crowdOf(0)))
	t.Cleanup(idle.Close)
	address := func(s *httptest.Server) map[string]string {
		return map[string]string{"drainer-0": strings.TrimPrefix(s.URL, "http://")}
	}
	l.prometheus, err = stage.StartPrometheus(t.Context(), filepath.Join(dir, "prometheus"), time.Second, shortened(t), []stage.Job{
		{Name: plainJob, Targets: l.stage.Targets()},
		{Name: honouredJob, HonorLabels: true, Targets: l.stage.Targets()},
		{Name: crowdJob, Targets: address(crowd)},
		{Name: idleJob, Targets: address(idle)},
	})
	l.must(err)
	t.Cleanup(l.prometheus.Stop)
	l.must(l.stage.AwaitScene(l.patience()))
	return l
}

// shortened are the rules, with one change so that a test need not wait: the
// drain counts as stuck after 5 seconds instead of 10 minutes.
func shortened(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	wait := regexp.MustCompile(`(?s)(alert: DrainerDrainStuck\n.*?for: )10m\n`)
	short := wait.ReplaceAllString(string(text), "${1}5s\n")
	if strings.Count(string(text), "for: 10m\n") != strings.Count(short, "for: 10m\n")+1 {
		t.Fatal("DrainerDrainStuck does not wait 10m")
	}
	return short
}

func (l *live) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// patience is for what must come.
func (l *live) patience() context.Context {
	ctx, cancel := context.WithTimeout(l.Context(), 90*time.Second)
	l.Cleanup(cancel)
	return ctx
}

func (l *live) await(what string, ok func() (bool, error)) {
	l.Helper()
	l.must(stage.Await(l.patience(), what, ok))
}

// awaitSeries waits until an expression gives as many series, and returns
// them.
func (l *live) awaitSeries(expr string, n int) []stage.Series {
	l.Helper()
	var got []stage.Series
	l.await(fmt.Sprintf("there are %d series of %s", n, expr), func() (bool, error) {
		var err error
		got, err = l.prometheus.Now(l.Context(), expr, time.Now())
		return len(got) == n, fmt.Errorf("there are %d, error %v", len(got), err)
	})
	return got
}

// drainAll asks for all drains and waits until they are where they end up.
func (l *live) drainAll() {
	l.Helper()
	l.awaitSeries(`drainer_build_info{job="`+plainJob+`"}`, 2)
	l.begun = time.Now()
	for node, annotations := range stage.Requests(time.Now()) {
		l.must(l.stage.Annotate(l.Context(), node, annotations))
	}
	for node, phase := range map[string]api.Phase{
		stage.Quick: api.Drained, stage.Stuck: api.Blocked, stage.Overdue: api.Draining, stage.Exhausted: api.Blocked,
		stage.Timed: api.TimedOut, stage.Waiting: api.Queued, stage.Paused: api.Paused, stage.Mistaken: api.InvalidRequest,
	} {
		l.await(fmt.Sprintf("node %s is %s", node, phase), func() (bool, error) {
			got, err := l.stage.Phase(l.Context(), node)
			return got == phase, fmt.Errorf("it is %q, error %v", got, err)
		})
	}
	// What is stuck, and what was asked of the API server to prove it.
	for _, expr := range []string{
		`drainer_stuck_pods{reason="budget_never_allows", node="stuck"} > 0`, `drainer_stuck_pods{reason="multiple_budgets"} > 0`,
		`drainer_stuck_pods{reason="bare_pod"} > 0`, `drainer_stuck_pods{reason="kubelet"} > 0`, `drainer_stuck_pods{reason="budget_exhausted"} > 0`,
		`drainer_eviction_requests_total{code="429"} > 0`, `drainer_eviction_requests_total{code="500"} > 0`,
		`drainer_drains_total{result="drained"} > 0`, `drainer_drains_total{result="timed_out"} > 0`,
	} {
		// They scrape at different moments.
		for _, job := range []string{plainJob, honouredJob} {
			l.awaitSeries(`count((`+expr+`) and on (job, instance) up{job="`+job+`"})`, 1)
		}
	}
}

// choices are those that show everything since the drains began.
func (l *live) choices(job string) dashboards.Choices {
	return dashboards.Choices{Job: job, RateInterval: "30s", Interval: "30s", Range: fmt.Sprintf("%ds", int(time.Since(l.begun).Seconds())+10)}
}

// ask evaluates a query like Grafana does.
func (l *live) ask(t *testing.T, q dashboards.Query, c dashboards.Choices) []stage.Series {
	t.Helper()
	expr := c.Fill(q.Target.Expr)
	at := time.Now()
	var got []stage.Series
	var err error
	if q.Target.Instant {
		got, err = l.prometheus.Now(t.Context(), expr, at)
	} else {
		got, err = l.prometheus.Over(t.Context(), expr, l.begun, at, time.Second)
	}
	if err != nil {
		t.Errorf("%s: %v", expr, err)
	}
	return got
}

// emptyOnPurpose are queries that have nothing to show on this stage, by
// dashboard, panel and name, with the reason. With many nodes they must have.
var emptyOnPurpose = map[string]string{
	"drains/Time to go/A":          "every drain that is left has stuck pods",
	"drains/Progress by node/ToGo": "every drain that is left has stuck pods",
}

// testDashboards: every query gives data, the same whether the labels of the
// metrics or of the scrape win.
func (l *live) testDashboards(t *testing.T) {
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			key := fmt.Sprintf("%s/%s/%s", name, q.Panel, q.Target.RefID)
			plain := l.askBoth(t, key, q)
			_, empty := emptyOnPurpose[key]
			if (len(plain) == 0) != empty {
				t.Errorf("%s gives %d series, empty on purpose: %v\n%s", key, len(plain), empty, l.choices(plainJob).Fill(q.Target.Expr))
			}
			checkLegend(t, key, q, plain)
		}
	}
}

// askBoth asks with either way of scraping until the answers are the same: the
// two scrape at moments of their own.
func (l *live) askBoth(t *testing.T, key string, q dashboards.Query) (plain []stage.Series) {
	t.Helper()
	err := stage.Await(l.patience(), key+" does not depend on honor_labels", func() (bool, error) {
		plain = l.ask(t, q, l.choices(plainJob))
		a, b := named(plain), named(l.ask(t, q, l.choices(honouredJob)))
		return maps.Equal(a, b), fmt.Errorf("without honor_labels %v, with it %v", a, b)
	})
	if err != nil {
		t.Error(err)
	}
	return plain
}

// named are the series by their labels; the job is what differs.
func named(series []stage.Series) map[string]bool {
	all := map[string]bool{}
	for _, s := range series {
		labels := maps.Clone(s.Labels)
		delete(labels, "job")
		all[fmt.Sprint(labels)] = true
	}
	return all
}

// checkLegend: every label that a legend names is there.
func checkLegend(t *testing.T, key string, q dashboards.Query, series []stage.Series) {
	t.Helper()
	for _, match := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.Target.LegendFormat, -1) {
		for _, s := range series {
			if s.Labels[match[1]] == "" {
				t.Errorf("%s: the legend names %s, a series has only %v", key, match[1], s.Labels)
			}
		}
	}
}

// testCrowd: with 200 nodes no graph has more lines than people can read, and
// without any every number still says something.
func (l *live) testCrowd(t *testing.T) {
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			key := fmt.Sprintf("%s/%s/%s", name, q.Panel, q.Target.RefID)
			most := 20
			if q.Kind == "table" || q.Kind == "annotation" {
				most = 200
			}
			n := len(l.ask(t, q, l.choices(crowdJob)))
			if n > most {
				t.Errorf("%s: %d series with 200 nodes, want at most %d", key, n, most)
			}
			if _, empty := emptyOnPurpose[key]; empty && n == 0 {
				t.Errorf("%s gives nothing with 200 nodes either", key)
			}
			idle := l.ask(t, q, l.choices(idleJob))
			if q.Kind == "stat" && len(idle) == 0 && !saysNothing(d, q.Panel) {
				t.Errorf("%s shows nothing without drains, and does not say so", key)
			}
		}
	}
}

func saysNothing(d dashboards.Dashboard, title string) bool {
	return slices.ContainsFunc(d.Panels, func(p dashboards.Panel) bool {
		return p.Title == title && p.FieldConfig != nil && p.FieldConfig.Defaults.NoValue != ""
	})
}

// testAlerts: all rules are evaluated, every series that they read is there,
// and those that should be raised are.
func (l *live) testAlerts(t *testing.T) {
	rules, err := l.prometheus.Rules(t.Context())
	l.must(err)
	for _, r := range rules {
		if r.Health != "ok" || r.LastError != "" {
			t.Errorf("%s: %s, %s", r.Name, r.Health, r.LastError)
		}
	}
	for _, a := range readAlerts(t) {
		for _, s := range selectors(parse(t, a.Expr)) {
			if got, err := l.prometheus.Now(t.Context(), s.String(), time.Now()); err != nil || len(got) == 0 {
				t.Errorf("%s reads %s, which gives %d series (%v)", a.Alert, s, len(got), err)
			}
		}
	}
	l.awaitAlerts(t, "DrainerDrainStuck", "firing", "node", stage.Overdue, stage.Stuck, stage.Timed)
	l.awaitAlerts(t, "DrainerPodNeverEvictable", "pending", "reason", "bare_pod", "budget_never_allows", "multiple_budgets")
	l.awaitAlerts(t, "DrainerTerminatingOverdue", "pending", "pod_name", "queue")
	for _, name := range []string{"DrainerNoLeader", "DrainerAbsent", "DrainerEvictionsThrottled"} {
		if alerts, err := l.prometheus.Alerts(t.Context(), name); err != nil || len(alerts) > 0 {
			t.Errorf("%s is raised without a reason: %v (%v)", name, alerts, err)
		}
	}
	alerts, err := l.prometheus.Alerts(t.Context(), "DrainerDrainTimedOut")
	if err != nil || len(alerts) != 1 {
		t.Errorf("%d alerts of drains that timed out (%v), want 1", len(alerts), err)
	}
	l.checkTexts(t)
}

// awaitAlerts waits until the alerts of the name that concern the scene are in
// the state, and exactly these values of a label are among them.
func (l *live) awaitAlerts(t *testing.T, name, state, label string, want ...string) {
	t.Helper()
	err := stage.Await(l.patience(), fmt.Sprintf("%s is %s for %v", name, state, want), func() (bool, error) {
		alerts, err := l.prometheus.Alerts(t.Context(), name)
		got := map[string]bool{}
		for _, a := range alerts {
			if !strings.HasPrefix(a.Labels["node"], crowdJob) && a.State == state {
				got[a.Labels[label]] = true
			}
		}
		values := slices.Sorted(maps.Keys(got))
		return slices.Equal(values, want), fmt.Errorf("it is so for %v, error %v", values, err)
	})
	if err != nil {
		t.Error(err)
	}
}

// checkTexts: what a person is told names the node, the pod and the reason.
func (l *live) checkTexts(t *testing.T) {
	t.Helper()
	alerts, err := l.prometheus.Alerts(t.Context(), "DrainerDrainStuck")
	l.must(err)
	for _, a := range alerts {
		if a.Labels["node"] != stage.Overdue {
			continue
		}
		want := regexp.MustCompile(`^1 pod\(s\) on node overdue have been stuck .* The oldest is shop/queue: kubelet for [0-9ms. ]+\.$`)
		if text := a.Annotations["description"]; !want.MatchString(text) {
			t.Errorf("the alert says %q, want %s", text, want)
		}
	}
}

// testHandOver: the leader dies, the other replica goes on, and the alert does
// not begin anew.
func (l *live) testHandOver(t *testing.T) {
	before, err := l.prometheus.Alerts(t.Context(), "DrainerDrainStuck")
	l.must(err)
	leader := l.stage.Leader()
	if leader == "" {
		t.Fatal("nobody leads")
	}
	l.stage.Replicas[leader].Kill()
	l.await("the other replica leads", func() (bool, error) {
		now := l.stage.Leader()
		return now != "" && now != leader, nil
	})
	// All of it, and from one replica only.
	l.awaitSeries(`drainer_stuck_pods{job="`+plainJob+`", node="stuck", reason="budget_never_allows"} == 2`, 1)
	after, err := l.prometheus.Alerts(t.Context(), "DrainerDrainStuck")
	l.must(err)
	since := func(alerts []stage.Alert) map[string]time.Time {
		all := map[string]time.Time{}
		for _, a := range alerts {
			if a.State == "firing" {
				all[a.Labels["node"]] = a.ActiveAt
			}
		}
		return all
	}
	if a, b := since(before), since(after); !maps.Equal(a, b) || len(a) == 0 {
		t.Errorf("alerts before the hand-over %v, after it %v", a, b)
	}
}
