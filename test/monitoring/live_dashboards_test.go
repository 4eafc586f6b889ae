package monitoring

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/monitoring/dashboards"
	"drainer.dev/drainer/test/monitoring/stage"
	"drainer.dev/drainer/test/suite"
)

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

const noRules = "there are no rules for marked nodes"

// emptyOnPurpose are queries that have nothing to show on this stage, by
// dashboard, panel and name, with the reason. With many nodes they must have.
var emptyOnPurpose = map[string]string{
	"drains/Progress by node/ToGo": "every drain that is left has stuck pods",
	"drains/Pods that come back/A": "none does",
	"drains/Attached volumes/A":    "drainer does not wait for volumes here",

	"drains/Rules for marked nodes/Marked":    noRules,
	"drains/Rules for marked nodes/Requested": noRules,
	"drains/Rules for marked nodes/Silent":    noRules,
	"drains/Rules for marked nodes/Latched":   noRules,
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
			// There is one cluster, without a name.
			if match[1] != "cluster" && s.Labels[match[1]] == "" {
				t.Errorf("%s: the legend names %s, a series has only %v", key, match[1], s.Labels)
			}
		}
	}
}

// testCrowd: with 200 nodes, of which others have the most pods at each moment,
// no graph has more lines than people can read. Without any node every number
// still says something, and without drainer nothing does.
func (l *live) testCrowd(t *testing.T) {
	for _, job := range []string{crowdJob, idleJob} {
		l.awaitSeries(`up{job="`+job+`"} == 1`, 1)
	}
	for name, d := range dashboards.All() {
		for _, q := range d.Queries() {
			key := fmt.Sprintf("%s/%s/%s", name, q.Panel, q.Target.RefID)
			most := 15
			if !strings.Contains(q.Target.Expr, "topk") && !strings.Contains(q.Target.Expr, "bottomk") {
				most = 20
			}
			if q.Kind == "table" || q.Kind == "annotation" {
				most = 200
			}
			_, needed := emptyOnPurpose[key]
			l.awaitCount(t, key+" shows 200 nodes", q, crowdJob, needed, most)
			l.awaitCount(t, key+" says something without drains", q, idleJob, q.Kind == "stat", most)
			l.awaitCount(t, key+" says nothing without drainer", q, downJob, false, 0)
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
