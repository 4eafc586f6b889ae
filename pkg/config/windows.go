package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/plan"
)

// AtEnd is what happens to a drain when its window closes.
type AtEnd string

// What may happen.
const (
	// Finish lets a drain that has begun in the window continue to its end.
	Finish AtEnd = "Finish"
	// Pause sends nothing until a window opens.
	Pause AtEnd = "Pause"
)

// windows validates windows and freezes.
func (v *validator) windows(c *DrainerConfiguration) {
	for i := range c.Windows {
		v.window(fmt.Sprintf("windows[%d]", i), &c.Windows[i])
	}
	for i := range c.Pools {
		for j := range c.Pools[i].Windows {
			v.window(fmt.Sprintf("pools[%d].windows[%d]", i, j), &c.Pools[i].Windows[j])
		}
	}
	for i := range c.Freezes {
		v.freeze(fmt.Sprintf("freezes[%d]", i), &c.Freezes[i])
	}
}

func (v *validator) window(path string, w *Window) {
	zone, err := zoneOf(w.TimeZone)
	if err != nil {
		v.bad(path+".timeZone", w.TimeZone, "expected the name of a time zone such as Europe/Berlin: "+err.Error())
		zone = time.UTC
	}
	if _, err := scheduleOf(w.Schedule, zone); err != nil {
		v.bad(path+".schedule", w.Schedule, "expected a cron schedule with five fields such as 0 1 * * 2-4: "+err.Error())
	}
	v.positive(path+".duration", w.Duration)
	if w.LatestStart != nil && (w.LatestStart.Duration <= 0 || w.LatestStart.Duration > w.Duration.Duration) {
		v.bad(path+".latestStart", w.LatestStart.Duration, fmt.Sprintf("expected a duration above 0 and of at most the window's (%v)", w.Duration.Duration))
	}
	if w.AtEnd != "" {
		v.oneOf(path+".atEnd", string(w.AtEnd), string(Finish), string(Pause))
	}
	v.selector(path+".nodeSelector", w.NodeSelector)
}

func (v *validator) freeze(path string, f *Freeze) {
	const wanted = "expected an RFC 3339 time such as 2026-12-20T00:00:00Z"
	switch {
	case f.From.IsZero():
		v.bad(path+".from", "", wanted)
	case f.Until.IsZero():
		v.bad(path+".until", "", wanted)
	case !f.Until.After(f.From.Time):
		v.bad(path+".until", f.Until.UTC().Format(time.RFC3339), "expected a time after that of from")
	}
	if strings.TrimSpace(f.Reason) == "" {
		v.bad(path+".reason", f.Reason, "expected a text, which is shown on nodes")
	}
}

// zoneOf is the time zone of a name; UTC without one. What the machine calls its
// local zone is not the same everywhere.
func zoneOf(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New("the local time zone differs between machines")
	}
	return time.LoadLocation(name)
}

// scheduleOf reads a schedule such as crontab has it. Kubernetes' CronJobs use
// the same parser.
func scheduleOf(text string, zone *time.Location) (plan.Schedule, error) {
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		return nil, errors.New("the time zone is a field of its own, timeZone")
	}
	// Without descriptors such as @every, which count from when they are asked.
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	if err != nil {
		return nil, err
	}
	schedule, is := parsed.(*cron.SpecSchedule)
	if !is {
		return nil, errors.New("expected five fields, not a descriptor such as @hourly")
	}
	schedule.Location = zone
	if schedule.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("the date never occurs")
	}
	return schedule, nil
}

// planWindows are the windows of a valid configuration.
func (c *DrainerConfiguration) planWindows() []plan.Window {
	var windows []plan.Window
	for i := range c.Windows {
		windows = append(windows, c.Windows[i].planned(""))
	}
	for i := range c.Pools {
		for j := range c.Pools[i].Windows {
			windows = append(windows, c.Pools[i].Windows[j].planned(c.Pools[i].Name))
		}
	}
	return windows
}

// planned is a valid window of the pool; the pool is empty for one of all nodes.
func (w *Window) planned(pool string) plan.Window {
	zone, _ := zoneOf(w.TimeZone)
	schedule, _ := scheduleOf(w.Schedule, zone)
	window := plan.Window{
		Schedule: schedule, Duration: w.Duration.Duration, LatestStart: w.Duration.Duration,
		Pauses: w.AtEnd == Pause, Nodes: selectorOf(w.NodeSelector), Pool: pool,
	}
	if w.LatestStart != nil {
		window.LatestStart = w.LatestStart.Duration
	}
	if window.Nodes == nil {
		window.Nodes = labels.Everything()
	}
	return window
}

func (c *DrainerConfiguration) planFreezes() []plan.Freeze {
	var freezes []plan.Freeze
	for _, f := range c.Freezes {
		freezes = append(freezes, plan.Freeze{From: f.From.Time, Until: f.Until.Time, Reason: strings.TrimSpace(f.Reason)})
	}
	return freezes
}
