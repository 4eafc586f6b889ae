package monitoring

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/await"
	"drainer.dev/drainer/test/monitoring/stage"
	"drainer.dev/drainer/test/suite"
)

// The jobs that scrape. The two first scrape the same replicas.
const (
	plainJob    = "drainer"
	honouredJob = "drainer-honoured"
	crowdJob    = "crowd"
	idleJob     = "idle"
	downJob     = "down"
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
	crowd := httptest.NewServer(exporter(func() map[types.UID]plan.NodePlan { return crowdOf(200, time.Now()) }))
	t.Cleanup(crowd.Close)
	idle := httptest.NewServer(exporter(func() map[types.UID]plan.NodePlan { return crowdOf(0, time.Now()) }))
	t.Cleanup(idle.Close)
	down := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(down.Close)
	address := func(s *httptest.Server) map[string]string {
		return map[string]string{"drainer-0": strings.TrimPrefix(s.URL, "http://")}
	}
	l.prometheus, err = stage.StartPrometheus(l.ctx, filepath.Join(folder, "prometheus"), time.Second, shortened(t), []stage.Job{
		{Name: plainJob, Targets: l.stage.Targets()},
		{Name: honouredJob, HonorLabels: true, Targets: l.stage.Targets()},
		{Name: crowdJob, Targets: address(crowd)},
		{Name: idleJob, Targets: address(idle)},
		{Name: downJob, Targets: address(down)},
	})
	l.must(err)
	t.Cleanup(l.prometheus.Kill)
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
