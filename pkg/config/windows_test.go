package config_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"drainer.dev/drainer/pkg/config"
)

// TestValidateWindows: what is wrong with a window or a freeze is named by its
// path.
func TestValidateWindows(t *testing.T) {
	for name, test := range map[string]struct {
		fields string
		want   []string // Each is in a problem of its own; none for a valid file.
	}{
		"a window":             {`windows: [{schedule: "0 1 * * 2-4", duration: 5h, timeZone: Europe/Berlin, latestStart: 5h, atEnd: Pause, nodeSelector: {matchLabels: {pool: a}}}]`, nil},
		"as little as it may":  {`windows: [{schedule: "0 1 * * MON-FRI", duration: 1h}]`, nil},
		"no schedule":          {`windows: [{duration: 1h}]`, []string{`windows[0].schedule: Invalid value: "": expected a cron schedule with five fields such as 0 1 * * 2-4`}},
		"six fields":           {`windows: [{schedule: "0 0 1 * * 2", duration: 1h}]`, []string{"windows[0].schedule"}},
		"no such hour":         {`windows: [{schedule: "0 24 * * *", duration: 1h}]`, []string{"windows[0].schedule"}},
		"no such date":         {`windows: [{schedule: "0 0 30 2 *", duration: 1h}]`, []string{"the date never occurs"}},
		"a leap day":           {`windows: [{schedule: "0 0 29 2 *", duration: 1h}]`, nil},
		"not by the clock":     {`windows: [{schedule: "@every 1h", duration: 1h}]`, []string{"windows[0].schedule"}},
		"a word":               {`windows: [{schedule: "@daily", duration: 1h}]`, []string{"windows[0].schedule"}},
		"a zone in it":         {`windows: [{schedule: "TZ=UTC 0 1 * * *", duration: 1h}]`, []string{"the time zone is a field of its own, timeZone"}},
		"a zone in it, longer": {`windows: [{schedule: "CRON_TZ=UTC 0 1 * * *", duration: 1h}]`, []string{"the time zone is a field of its own, timeZone"}},
		"no such zone":         {`windows: [{schedule: "0 1 * * *", duration: 1h, timeZone: Berlin}]`, []string{`windows[0].timeZone: Invalid value: "Berlin": expected the name of a time zone such as Europe/Berlin`}},
		"the machine's zone":   {`windows: [{schedule: "0 1 * * *", duration: 1h, timeZone: Local}]`, []string{"the local time zone differs between machines"}},
		"no duration":          {`windows: [{schedule: "0 1 * * *"}]`, []string{"windows[0].duration: Invalid value: 0: expected a duration above 0"}},
		"starts after its end": {`windows: [{schedule: "0 1 * * *", duration: 1h, latestStart: 61m}]`, []string{"windows[0].latestStart: Invalid value: 3660000000000: expected a duration above 0 and of at most the window's (1h0m0s)"}},
		"never starts":         {`windows: [{schedule: "0 1 * * *", duration: 1h, latestStart: 0s}]`, []string{"windows[0].latestStart"}},
		"another end":          {`windows: [{schedule: "0 1 * * *", duration: 1h, atEnd: Stop}]`, []string{`windows[0].atEnd: Invalid value: "Stop": expected Finish or Pause`}},
		"a bad selector":       {`windows: [{schedule: "0 1 * * *", duration: 1h, nodeSelector: {matchLabels: {a: "?"}}}]`, []string{"windows[0].nodeSelector"}},
		"a pool's":             {`pools: [{name: a, nodeSelector: {}, windows: [{schedule: "0 1 * * *", duration: 1h}]}]`, nil},
		"a pool's bad one":     {`pools: [{name: a, nodeSelector: {}, windows: [{schedule: "0 1 * * *", duration: 1h}, {schedule: x, duration: 1h}]}]`, []string{"pools[0].windows[1].schedule"}},
		"the second":           {`windows: [{schedule: "0 1 * * *", duration: 1h}, {schedule: x, duration: 1h}]`, []string{"windows[1].schedule"}},
		"a freeze":             {`freezes: [{from: 2026-12-20T00:00:00Z, until: "2027-01-04T00:00:00+01:00", reason: holidays}]`, nil},
		"no beginning":         {`freezes: [{until: 2027-01-04T00:00:00Z, reason: holidays}]`, []string{"freezes[0].from: Invalid value: \"\": expected an RFC 3339 time such as 2026-12-20T00:00:00Z"}},
		"no end":               {`freezes: [{from: 2027-01-04T00:00:00Z, reason: holidays}]`, []string{"freezes[0].until"}},
		"backwards":            {`freezes: [{from: 2027-01-04T00:00:00Z, until: 2026-12-20T00:00:00Z, reason: holidays}]`, []string{"freezes[0].until: Invalid value: \"2026-12-20T00:00:00Z\": expected a time after that of from"}},
		"no reason":            {`freezes: [{from: 2026-12-20T00:00:00Z, until: 2027-01-04T00:00:00Z}]`, []string{"freezes[0].reason"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := decoded(t, test.fields+"\n")
			if len(problems) != len(test.want) {
				t.Fatalf("problems %q, want %q", problems, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(problems[i], want) {
					t.Errorf("problem %q, want %q", problems[i], want)
				}
			}
		})
	}
	_, err := config.Decode("f.yaml", []byte(header+"freezes: [{from: Christmas}]\n"), config.Default("ns"))
	if err == nil || !strings.Contains(err.Error(), `freezes[0].from: "Christmas": expected an RFC 3339 time such as`) {
		t.Errorf("the error is %v", err)
	}
}

// TestPlanWindows: what a window does not say has its default.
func TestPlanWindows(t *testing.T) {
	c, _ := decoded(t, `windows: [{schedule: "0 1 * * *", duration: 5h}, {schedule: "0 1 * * *", duration: 5h, latestStart: 1h, atEnd: Pause, timeZone: Europe/Berlin, nodeSelector: {matchLabels: {pool: a}}}]
freezes: [{from: 2026-12-20T00:00:00Z, until: 2027-01-04T00:00:00Z, reason: " holidays "}]
pools: [{name: gpu, nodeSelector: {matchLabels: {pool: gpu}}, windows: [{schedule: "0 3 * * *", duration: 2h}]}]
`)
	p := c.Plan()
	plain, full := p.Windows[0], p.Windows[1]
	winter := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	if plain.LatestStart != 5*time.Hour || plain.Pauses || !plain.Nodes.Empty() || plain.Schedule.Next(winter).UTC().Hour() != 1 {
		t.Errorf("got %+v", plain)
	}
	if full.LatestStart != time.Hour || !full.Pauses || full.Nodes.String() != "pool=a" || full.Schedule.Next(winter).UTC().Hour() != 0 {
		t.Errorf("got %+v", full)
	}
	if w := p.Windows[2]; w.Pool != "gpu" || plain.Pool != "" || w.Duration != 2*time.Hour || w.Schedule.Next(winter).UTC().Hour() != 3 {
		t.Errorf("got %+v, and the pool of the first is %q", w, plain.Pool)
	}
	selectors := c.Selectors()
	for pool, want := range map[string]int{"gpu": 2, "cpu": 0} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"pool": pool}}}
		if got := selectors.NodeOf(node).Windows; len(got) != 1 || got[0] != want {
			t.Errorf("a node labelled %s has the windows %v, want %d", pool, got, want)
		}
	}
	if f := p.Freezes[0]; f.Reason != "holidays" || f.Until.Sub(f.From) != 15*24*time.Hour {
		t.Errorf("got %+v", f)
	}
}

// TestDaylightSaving: a window at 02:30 in Berlin follows the clock there. What
// the clock skips in spring does not open it, what it shows twice in autumn opens
// it twice.
func TestDaylightSaving(t *testing.T) {
	const berlin = `windows: [{schedule: "30 2 * * *", duration: 20m, timeZone: Europe/Berlin}]`
	for name, test := range map[string]struct {
		fields string
		from   string
		want   []string
	}{
		"spring, at a time that is skipped":  {berlin, "2030-03-29T12:00:00Z", []string{"2030-03-30T01:30:00Z", "2030-04-01T00:30:00Z", "2030-04-02T00:30:00Z"}},
		"autumn, at a time that comes twice": {berlin, "2030-10-26T00:45:00Z", []string{"2030-10-27T00:30:00Z", "2030-10-27T01:30:00Z", "2030-10-28T01:30:00Z"}},
		"spring, before and after":           {strings.Replace(berlin, "30 2", "30 1,3", 1), "2030-03-30T12:00:00Z", []string{"2030-03-31T00:30:00Z", "2030-03-31T01:30:00Z", "2030-03-31T23:30:00Z"}},
		"autumn, before and after":           {strings.Replace(berlin, "30 2", "30 1,3", 1), "2030-10-26T12:00:00Z", []string{"2030-10-26T23:30:00Z", "2030-10-27T02:30:00Z", "2030-10-28T00:30:00Z"}},
		"without a zone there is no change":  {strings.Replace(berlin, ", timeZone: Europe/Berlin", "", 1), "2030-03-30T12:00:00Z", []string{"2030-03-31T02:30:00Z", "2030-04-01T02:30:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, problems := decoded(t, test.fields+"\n")
			if problems != nil {
				t.Fatal(problems)
			}
			at, err := time.Parse(time.RFC3339, test.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if at = c.Plan().Windows[0].Schedule.Next(at); at.UTC().Format(time.RFC3339) != want {
					t.Errorf("it opens at %s, want %s", at.UTC().Format(time.RFC3339), want)
				}
			}
		})
	}
}
