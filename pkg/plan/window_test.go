package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
)

// openings are the times at which a window opens, sorted.
type openings []time.Time

// Next implements Schedule.
func (o openings) Next(after time.Time) time.Time {
	for _, t := range o {
		if t.After(after) {
			return t
		}
	}
	return time.Time{}
}

// opening is a window of an hour that opens so long after noon, and again.
func opening(after ...time.Duration) Window {
	var times openings
	for _, d := range after {
		times = append(times, noon.Add(d))
	}
	return Window{Schedule: times, Duration: time.Hour, LatestStart: time.Hour, Nodes: labels.Everything()}
}

func pausing(w Window) Window {
	w.Pauses = true
	return w
}

func latest20(w Window) Window {
	w.LatestStart = 20 * time.Minute
	return w
}

// TestWindowEdges: a window is open from its opening until just before its end,
// also if several of its openings overlap.
func TestWindowEdges(t *testing.T) {
	w := latest20(opening(0, 30*time.Minute))
	for after, want := range map[time.Duration][2]bool{
		-1: {false, false}, 0: {true, true}, 20*time.Minute - 1: {true, true}, 20 * time.Minute: {false, true},
		30*time.Minute - 1: {false, true}, 30 * time.Minute: {true, true}, 50 * time.Minute: {false, true},
		90*time.Minute - 1: {false, true}, 90 * time.Minute: {false, false},
	} {
		_, open := w.opened(noon.Add(after), w.Duration)
		if starts := w.starts(noon.Add(after)); starts != want[0] || open != want[1] {
			t.Errorf("after %v drains may start: %v, it is open: %v; want %v", after, starts, open, want)
		}
	}
}

// TestClosed: when a drain may begin, what the others say, and when the next
// plan comes.
func TestClosed(t *testing.T) {
	const day = 24 * time.Hour
	holidays := Freeze{From: noon.Add(-time.Hour), Until: noon.Add(3 * time.Hour), Reason: "holidays"}
	for name, test := range map[string]struct {
		windows []Window
		freezes []Freeze
		change  func(*Node)
		says    string // Empty for a drain that begins.
		queued  Queueing
		wake    time.Duration // 0 if it does not matter.
	}{
		"no window":             {},
		"an open one":           {windows: []Window{opening(0)}},
		"at its end":            {windows: []Window{opening(-time.Hour, day)}, says: "waits for a window, the next opens at 2030-02-01T12:00:00Z", queued: QueuedForWindow, wake: day},
		"before it":             {windows: []Window{opening(time.Minute)}, says: "the next opens at 2030-01-31T12:01:00Z", queued: QueuedForWindow, wake: time.Minute},
		"too late in it":        {windows: []Window{latest20(opening(-30*time.Minute, day))}, says: "the next opens at 2030-02-01T12:00:00Z", queued: QueuedForWindow, wake: 30 * time.Minute},
		"one of two":            {windows: []Window{opening(day), opening(0)}},
		"the earlier of two":    {windows: []Window{opening(day), opening(time.Hour)}, says: "the next opens at 2030-01-31T13:00:00Z", queued: QueuedForWindow},
		"none opens again":      {windows: []Window{opening(-day)}, says: "none opens again", queued: QueuedForWindow},
		"another node's":        {windows: []Window{opening(day)}, change: func(n *Node) { n.Windows = nil }},
		"for emergencies":       {windows: []Window{opening(day)}, freezes: []Freeze{holidays}, change: func(n *Node) { n.Annotations[api.IgnoreWindowsAnnotation] = "true" }},
		"not for emergencies":   {windows: []Window{opening(day)}, change: func(n *Node) { n.Annotations[api.IgnoreWindowsAnnotation] = "false" }, says: "waits for a window", queued: QueuedForWindow},
		"a freeze":              {freezes: []Freeze{holidays}, says: "frozen until 2030-01-31T15:00:00Z: holidays", queued: QueuedForFreeze, wake: 3 * time.Hour},
		"a freeze over":         {freezes: []Freeze{{From: noon.Add(-time.Hour), Until: noon, Reason: "x"}}},
		"a freeze to come":      {freezes: []Freeze{{From: noon.Add(time.Second), Until: noon.Add(time.Hour), Reason: "x"}}},
		"a freeze in a window":  {windows: []Window{opening(0, 2*time.Hour, day)}, freezes: []Freeze{holidays}, says: "holidays, the next opens at 2030-02-01T12:00:00Z", queued: QueuedForFreeze},
		"a window when it ends": {windows: []Window{opening(2*time.Hour+time.Minute, day)}, freezes: []Freeze{holidays}, says: "the next opens at 2030-01-31T15:00:00Z", queued: QueuedForFreeze},
		"a freeze to come, before the window": {
			windows: []Window{opening(2*time.Hour, day)}, freezes: []Freeze{{From: noon.Add(time.Hour), Until: noon.Add(4 * time.Hour), Reason: "x"}},
			says: "waits for a window, the next opens at 2030-02-01T12:00:00Z", queued: QueuedForWindow, wake: time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.node("spare")
			n := s.node("n", api.DrainAnnotation, "r")
			n.Windows = WindowsOf(test.windows, "", nil)
			if s.Config.Windows, s.Config.Freezes = test.windows, test.freezes; test.change != nil {
				test.change(n)
			}
			p := Make(s.Snapshot)
			got := planOf(t, p, "n")
			if got.Memory.started() != (test.says == "") || got.Facts.Queued != test.queued || !strings.Contains(got.Report().Message, test.says) {
				t.Errorf("begun %v, waits for %q, says %q; want %q", got.Memory.started(), got.Facts.Queued, got.Report().Message, test.says)
			}
			if test.says != "" && (got.Phase != api.Queued || got.Taint) {
				t.Errorf("it is %s, tainted %v: nobody knows for how long", got.Phase, got.Taint)
			}
			if test.wake != 0 && !p.Wake.Equal(noon.Add(test.wake)) {
				t.Errorf("the next plan is made at %v, want %v after noon", p.Wake, test.wake)
			}
		})
	}
}

// TestAtEnd: whether a drain that began at some time continues, at noon.
func TestAtEnd(t *testing.T) {
	const ago = -50 * time.Minute
	for name, test := range map[string]struct {
		windows []Window
		freezes []Freeze
		begun   time.Duration
		change  func(*Node)
		says    string // Empty for one that continues.
	}{
		"no window":                              {begun: ago},
		"open":                                   {windows: []Window{pausing(opening(-time.Minute))}, begun: -30 * time.Second},
		"closed, and finishes":                   {windows: []Window{opening(-time.Hour)}, begun: ago},
		"closed, and pauses":                     {windows: []Window{pausing(opening(-time.Hour, time.Hour))}, begun: ago, says: "outside of its windows, the next opens at 2030-01-31T13:00:00Z; no pod is evicted, the node stays cordoned"},
		"open again":                             {windows: []Window{pausing(opening(-24*time.Hour, -time.Minute))}, begun: -24 * time.Hour},
		"begun in one that finishes":             {windows: []Window{opening(-time.Hour), pausing(opening(-2 * time.Hour))}, begun: ago},
		"begun in one that pauses":               {windows: []Window{opening(-3 * time.Hour), pausing(opening(-time.Hour))}, begun: ago, says: "outside of its windows"},
		"begun in both":                          {windows: []Window{pausing(opening(-time.Hour)), opening(-time.Hour)}, begun: ago},
		"begun too late for the one":             {windows: []Window{pausing(opening(-time.Hour)), latest20(opening(-80 * time.Minute))}, begun: ago, says: "outside of its windows"},
		"begun outside, all finish":              {windows: []Window{opening(-5 * time.Hour)}, begun: ago},
		"begun outside, one pauses":              {windows: []Window{opening(-5 * time.Hour), pausing(opening(-5 * time.Hour))}, begun: ago, says: "outside of its windows"},
		"for emergencies":                        {windows: []Window{pausing(opening(-time.Hour))}, freezes: []Freeze{{From: noon, Until: noon.Add(1), Reason: "x"}}, begun: ago, change: func(n *Node) { n.Annotations[api.IgnoreWindowsAnnotation] = "true" }},
		"frozen":                                 {freezes: []Freeze{{From: noon, Until: noon.Add(time.Hour), Reason: "holidays"}}, begun: ago, says: "frozen until 2030-01-31T13:00:00Z: holidays"},
		"frozen in a window that lets it finish": {windows: []Window{opening(ago)}, freezes: []Freeze{{From: noon, Until: noon.Add(time.Hour), Reason: "holidays"}}, begun: ago, says: "frozen until"},
		"given up": {windows: []Window{pausing(opening(-2 * time.Hour))}, begun: ago, change: func(n *Node) {
			n.Annotations[api.TimeoutAnnotation], n.Annotations[api.OnTimeoutAnnotation] = "1m", "Stop"
		}, says: "timed out and stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.node("spare")
			n := s.draining("n")
			s.pod("n", "web-1")
			m := s.Memory.Nodes[n.UID]
			m.StartedAt = noon.Add(test.begun)
			s.Memory.Nodes[n.UID] = m
			n.Windows = WindowsOf(test.windows, "", nil)
			if s.Config.Windows, s.Config.Freezes = test.windows, test.freezes; test.change != nil {
				test.change(n)
			}
			p := Make(s.Snapshot)
			got := planOf(t, p, "n")
			goesOn := slices.Equal(granted(p), []string{"web-1"})
			if goesOn != (test.says == "") || !strings.Contains(got.Report().Message, test.says) {
				t.Errorf("continues %v, says %q, want %q", goesOn, got.Report().Message, test.says)
			}
			n.Annotations[api.PausedAnnotation] = "true"
			if paused := planOf(t, Make(s.Snapshot), "n"); paused.Facts.Interrupted != "" {
				t.Errorf("paused by somebody, it counts as interrupted by %q", paused.Facts.Interrupted)
			}
			delete(n.Annotations, api.PausedAnnotation)
			n.Unschedulable = false
			if again := planOf(t, Make(s.Snapshot), "n"); again.Cordon && got.Phase == api.Paused {
				t.Error("a node is cordoned outside of its windows")
			}
			interrupted := Queueing("")
			switch {
			case goesOn || name == "given up":
			case strings.HasPrefix(test.says, "frozen"):
				interrupted = QueuedForFreeze
			default:
				interrupted = QueuedForWindow
			}
			if got.Facts.Interrupted != interrupted {
				t.Errorf("interrupted by %q, want %q", got.Facts.Interrupted, interrupted)
			}
			switch {
			case goesOn || name == "given up":
			case got.Phase != api.Paused || got.Report().InProgress != corev1.ConditionTrue:
				t.Errorf("it is %s, in progress %v", got.Phase, got.Report().InProgress)
			}
		})
	}
}

// TestTimeOutsideOfWindows: the time between two windows does not count towards
// the timeout.
func TestTimeOutsideOfWindows(t *testing.T) {
	s := newScene()
	s.node("spare")
	n := s.draining("n", api.TimeoutAnnotation, "90m")
	s.pod("n", "web-1")
	s.budget("web", "web", 0, 1, 1, 1)
	s.Config.Windows = []Window{pausing(opening(0, 24*time.Hour))}
	n.Windows = []int{0}
	l := newLoop(s)
	l.step(0)
	l.step(time.Minute)
	for l.Now.Before(noon.Add(time.Hour)) {
		l.step(time.Minute)
	}
	p := l.step(0)
	if got := planOf(t, p, "n"); got.Phase != api.Paused {
		t.Fatalf("after an hour it is %s: %s", got.Phase, got.Report().Message)
	}
	l.step(12 * time.Hour)
	if got := planOf(t, l.step(11*time.Hour), "n"); got.Phase == api.Paused || got.Phase == api.TimedOut {
		t.Errorf("when the window opens again it is %s", got.Phase)
	}
	if got := planOf(t, l.step(29*time.Minute), "n"); got.Phase == api.TimedOut {
		t.Error("it times out too early")
	}
	if got := planOf(t, l.step(2*time.Minute), "n"); got.Phase != api.TimedOut {
		t.Errorf("after 91 minutes in windows it is %s", got.Phase)
	}
}

// TestWindowsOf: a window is for the nodes that it selects.
func TestWindowsOf(t *testing.T) {
	gpu, _ := labels.Parse("pool=gpu")
	everything := labels.Everything()
	windows := []Window{{Nodes: gpu}, {Nodes: everything}, {Nodes: everything, Pool: "a"}, {Nodes: gpu, Pool: "a"}}
	for _, test := range []struct {
		pool   string
		labels map[string]string
		want   []int
	}{
		{"", map[string]string{"pool": "gpu"}, []int{0, 1}},
		{"", nil, []int{1}},
		{"without windows", nil, []int{1}},
		{"a", nil, []int{2}},
		{"a", map[string]string{"pool": "gpu"}, []int{2, 3}},
	} {
		if got := WindowsOf(windows, test.pool, test.labels); !slices.Equal(got, test.want) {
			t.Errorf("a node of pool %q with labels %v has the windows %v, want %v", test.pool, test.labels, got, test.want)
		}
	}
}
