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
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/monitoring/dashboards"
	"drainer.dev/drainer/test/monitoring/stage"
	"drainer.dev/drainer/test/suite"
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
	// ctx ends with the test, and shortly before the suite's time does.
	ctx        context.Context
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
	l := &live{T: t, ctx: suite.Context(t)}
	var err error
	l.stage, err = stage.Start(l.ctx, folder)
	l.must(err)
	t.Cleanup(func() { l.must(l.stage.Stop()) })
	l.must(l.stage.CreateScene(l.ctx))
	for _, name := range []string{"drainer-0", "drainer-1"} {
		l.must(l.stage.Replicate(l.ctx, name, "--stuck-after=2s", "--settle=1s", "--max-draining=100%"))
	}
	crowd := httptest.NewServer(exporter(crowdOf(200)))
	t.Cleanup(crowd.Close)
	idle := httptest.NewServer(exporter(crowdOf(0)))
	t.Cleanup(idle.Close)
	address := func(s *httptest.Server) map[string]string {
		return map[string]string{"drainer-0": strings.TrimPrefix(s.URL, "http://")}
	}
	l.prometheus, err = stage.StartPrometheus(l.ctx, filepath.Join(folder, "prometheus"), time.Second, shortened(t), []stage.Job{
		{Name: plainJob, Targets: l.stage.Targets()},
		{Name: honouredJob, HonorLabels: true, Targets: l.stage.Targets()},
		{Name: crowdJob, Targets: address(crowd)},
		{Name: idleJob, Targets: address(idle)},
	})
	l.must(err)
	t.Cleanup(l.prometheus.Stop)
	l.must(l.stage.AwaitScene(l.ctx))
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

// await waits until ok, which says otherwise why not.
func (l *live) await(t *testing.T, what string, ok func() (bool, error)) {
	t.Helper()
	suite.Await(t, nil, what, func() error {
		yes, why := ok()
		if yes {
			return nil
		}
		return await.NotYet("%v", why)
	})
}

// awaitSeries waits until an expression gives as many series, and returns
// them.
func (l *live) awaitSeries(expr string, n int) []stage.Series {
	l.Helper()
	var got []stage.Series
	l.await(l.T, fmt.Sprintf("there are %d series of %s", n, expr), func() (bool, error) {
		var err error
		got, err = l.prometheus.Now(l.ctx, expr, time.Now())
		return len(got) == n, fmt.Errorf("there are %d, error %v", len(got), err)
	})
	return got
}

// drainAll asks for all drains and waits until they are where they end up.
func (l *live) drainAll() {
	l.Helper()
	for _, job := range []string{plainJob, honouredJob} {
		l.awaitSeries(`drainer_build_info{job="`+job+`"}`, 2)
	}
	l.begun = time.Now()
	for node, annotations := range stage.Requests(time.Now()) {
		l.must(l.stage.Annotate(l.ctx, node, annotations))
	}
	for node, phase := range map[string]api.Phase{
		stage.Quick: api.Drained, stage.Stuck: api.Blocked, stage.Overdue: api.Draining, stage.Exhausted: api.Blocked,
		stage.Timed: api.TimedOut, stage.Waiting: api.Queued, stage.Paused: api.Paused, stage.Mistaken: api.InvalidRequest,
	} {
		l.await(l.T, fmt.Sprintf("node %s is %s", node, phase), func() (bool, error) {
			got, err := l.stage.Phase(l.ctx, node)
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
func (l *live) ask(q dashboards.Query, c dashboards.Choices) ([]stage.Series, error) {
	if q.Target.Instant {
		return l.askNow(q, c)
	}
	return l.prometheus.Over(l.ctx, c.Fill(q.Target.Expr), l.begun, time.Now(), time.Second)
}

// askNow evaluates a query for this moment.
func (l *live) askNow(q dashboards.Query, c dashboards.Choices) ([]stage.Series, error) {
	return l.prometheus.Now(l.ctx, c.Fill(q.Target.Expr), time.Now())
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
			plain := l.awaitData(t, key, q)
			checkLegend(t, key, q, plain)
			l.compareJobs(t, key, q)
		}
	}
}

// awaitData waits until a query gives data, or checks that it gives none if
// that is on purpose.
func (l *live) awaitData(t *testing.T, key string, q dashboards.Query) (plain []stage.Series) {
	t.Helper()
	_, empty := emptyOnPurpose[key]
	suite.Await(t, nil, key+" gives data", func() (err error) {
		plain, err = l.ask(q, l.choices(plainJob))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", l.choices(plainJob).Fill(q.Target.Expr), err)
		case empty && len(plain) > 0:
			return fmt.Errorf("it gives %d series, and is to be empty on purpose", len(plain))
		case !empty && len(plain) == 0:
			return await.NotYet("there is none for %s", l.choices(plainJob).Fill(q.Target.Expr))
		}
		return nil
	})
	return plain
}

// compareJobs waits until both ways of scraping give the same series now: they
// scrape at moments of their own. For the same reason one may have missed what
// was only for a moment, so of what is past some series have to be the same.
func (l *live) compareJobs(t *testing.T, key string, q dashboards.Query) {
	t.Helper()
	suite.Await(t, nil, key+" does not depend on honor_labels", func() error {
		var now, over [2]map[string]bool
		for i, job := range []string{plainJob, honouredJob} {
			series, err := l.askNow(q, l.choices(job))
			if err != nil {
				return err
			}
			now[i] = named(series)
			if series, err = l.ask(q, l.choices(job)); err != nil {
				return err
			}
			over[i] = named(series)
		}
		if !maps.Equal(now[0], now[1]) {
			return await.NotYet("without honor_labels %v, with it %v", now[0], now[1])
		}
		maps.DeleteFunc(over[1], func(name string, _ bool) bool { return !over[0][name] })
		if len(over[0]) > 0 && len(over[1]) == 0 {
			return await.NotYet("with honor_labels it gives nothing of %v", over[0])
		}
		return nil
	})
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
	for _, job := range []string{crowdJob, idleJob} {
		l.awaitSeries(`up{job="`+job+`"} == 1`, 1)
	}
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			key := fmt.Sprintf("%s/%s/%s", name, q.Panel, q.Target.RefID)
			most := 20
			if q.Kind == "table" || q.Kind == "annotation" {
				most = 200
			}
			_, needed := emptyOnPurpose[key]
			l.awaitCount(t, key+" shows 200 nodes", q, crowdJob, needed, most)
			needed = q.Kind == "stat" && !saysNothing(d, q.Panel)
			l.awaitCount(t, key+" says something without drains", q, idleJob, needed, most)
		}
	}
}

// awaitCount waits until a query gives something, if that is needed, and not
// too much.
func (l *live) awaitCount(t *testing.T, what string, q dashboards.Query, job string, needed bool, most int) {
	t.Helper()
	suite.Await(t, nil, what, func() error {
		series, err := l.ask(q, l.choices(job))
		switch n := len(series); {
		case err != nil:
			return err
		case n > most:
			return fmt.Errorf("there are %d series, want at most %d", n, most)
		case n == 0 && needed:
			return await.NotYet("there are no series")
		}
		return nil
	})
}

func saysNothing(d dashboards.Dashboard, title string) bool {
	return slices.ContainsFunc(d.Panels, func(p dashboards.Panel) bool {
		return p.Title == title && p.FieldConfig != nil && p.FieldConfig.Defaults.NoValue != ""
	})
}

// testAlerts: all rules are evaluated, every series that they read is there,
// and those that should be raised are. A scrape that a busy machine misses may
// raise others for a moment.
func (l *live) testAlerts(t *testing.T) {
	l.await(t, "all rules have been evaluated", func() (bool, error) {
		rules, err := l.prometheus.Rules(l.ctx)
		i := slices.IndexFunc(rules, func(r stage.Rule) bool { return r.Health != "ok" || r.LastError != "" })
		if err != nil || i < 0 {
			return err == nil && len(rules) > 0, err
		}
		return false, fmt.Errorf("%s: %s, %s", rules[i].Name, rules[i].Health, rules[i].LastError)
	})
	for _, a := range readAlerts(t) {
		for _, s := range selectors(parse(t, a.Expr)) {
			l.await(t, fmt.Sprintf("there is a series of %s, which %s reads", s, a.Alert), func() (bool, error) {
				got, err := l.prometheus.Now(l.ctx, s.String(), time.Now())
				return err == nil && len(got) > 0, err
			})
		}
	}
	l.awaitAlerts(t, "DrainerDrainStuck", "firing", "node", stage.Overdue, stage.Stuck, stage.Timed)
	l.awaitAlerts(t, "DrainerPodNeverEvictable", "pending", "reason", "bare_pod", "budget_never_allows", "multiple_budgets")
	l.awaitAlerts(t, "DrainerTerminatingOverdue", "pending", "pod_name", "queue")
	for name, want := range map[string]int{"DrainerNoLeader": 0, "DrainerAbsent": 0, "DrainerEvictionsThrottled": 0, "DrainerDrainTimedOut": 1} {
		l.await(t, fmt.Sprintf("there are %d alerts %s", want, name), func() (bool, error) {
			alerts, err := l.prometheus.Alerts(l.ctx, name)
			return err == nil && len(alerts) == want, fmt.Errorf("there are %v, error %v", alerts, err)
		})
	}
	l.awaitText(t)
}

// awaitAlerts waits until the alerts of the name that concern the scene are in
// the state, or fire already, and exactly these values of a label are among
// them.
func (l *live) awaitAlerts(t *testing.T, name, state, label string, want ...string) {
	t.Helper()
	l.await(t, fmt.Sprintf("%s is %s for %v", name, state, want), func() (bool, error) {
		alerts, err := l.prometheus.Alerts(l.ctx, name)
		got := map[string]bool{}
		for _, a := range alerts {
			if !strings.HasPrefix(a.Labels["node"], crowdJob) && (a.State == state || a.State == "firing") {
				got[a.Labels[label]] = true
			}
		}
		values := slices.Sorted(maps.Keys(got))
		return slices.Equal(values, want), fmt.Errorf("it is so for %v, error %v", values, err)
	})
}

// awaitText: what a person is told names the node, the pod and the reason.
func (l *live) awaitText(t *testing.T) {
	t.Helper()
	want := regexp.MustCompile(`^1 pod\(s\) on node overdue have been stuck .* The oldest is shop/queue: kubelet for [0-9dhms. ]+\.$`)
	l.await(t, fmt.Sprintf("the alert of node %s says %s", stage.Overdue, want), func() (bool, error) {
		alerts, err := l.prometheus.Alerts(l.ctx, "DrainerDrainStuck")
		i := slices.IndexFunc(alerts, func(a stage.Alert) bool { return a.Labels["node"] == stage.Overdue })
		if err != nil || i < 0 {
			return false, fmt.Errorf("there is none, error %v", err)
		}
		text := alerts[i].Annotations["description"]
		return want.MatchString(text), fmt.Errorf("it says %q", text)
	})
}

// testHandOver: the leader dies, the other replica goes on, and the alert does
// not begin anew.
func (l *live) testHandOver(t *testing.T) {
	before, err := l.prometheus.Alerts(l.ctx, "DrainerDrainStuck")
	l.must(err)
	leader := l.stage.Leader(l.ctx)
	if leader == "" {
		t.Fatal("nobody leads")
	}
	l.stage.Replicas[leader].Kill()
	l.must(l.stage.ExpireLease(l.ctx, stage.Namespace))
	l.await(t, "the other replica leads", func() (bool, error) {
		now := l.stage.Leader(l.ctx)
		return now != "" && now != leader, fmt.Errorf("%q does", now)
	})
	// All of it, and from one replica only.
	l.awaitSeries(`drainer_stuck_pods{job="`+plainJob+`", node="stuck", reason="budget_never_allows"} == 2`, 1)
	after, err := l.prometheus.Alerts(l.ctx, "DrainerDrainStuck")
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
