package monitoring

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"drainer.dev/drainer/test/monitoring/stage"
)

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
	l.awaitAlerts(t, "DrainerPodNeverEvictable", "pending", "node", stage.Stuck, stage.Timed)
	l.awaitAlerts(t, "DrainerTerminatingOverdue", "pending", "node", stage.Overdue)
	l.awaitAlerts(t, "DrainerDrainTimedOut", "pending", "node", stage.Timed)
	l.awaitAlerts(t, "DrainerRequestInvalid", "pending", "node", stage.Mistaken)
	for name, want := range map[string]int{
		"DrainerNoLeader": 0, "DrainerTwoLeaders": 0, "DrainerAbsent": 0, "DrainerEvictionsThrottled": 0, "DrainerNodeBlocked": 0,
		"DrainerPodReturning": 0, "DrainerCrashLooping": 0, "DrainerLastNode": 0, "DrainerDrainInterrupted": 0, "DrainerNodesUnavailable": 0, "DrainerPaused": 0, "DrainerForcedDeletions": 0,
		"DrainerMarkRuleLatched": 0, "DrainerWatchFailing": 0,
	} {
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
	want := regexp.MustCompile(`^1 pod\(s\) on node overdue are stuck, .* The oldest is shop/queue: kubelet for [0-9dhms. ]+\.$`)
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

// testHandOver: the leader dies, the other replica continues, and the alert does
// not start again.
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
