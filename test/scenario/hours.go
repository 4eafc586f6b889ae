package scenario

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// Hours are the window in which drainer may drain, and a time in which it may
// not. From Always on the window never closes, so that everything finishes.
type Hours struct {
	// Opens are the times after Start at which the window opens, sorted; it has
	// none if they are nil.
	Opens []time.Duration
	// Duration is how long it is open, Latest for how long drains may begin.
	Duration, Latest time.Duration
	Always           time.Duration
	// Pauses lets drains pause when it closes.
	Pauses bool
	// Of is the pool of the nodes that the window is for; empty for all.
	Of string
	// From and Until are the freeze; there is none if Until is 0.
	From, Until time.Duration
}

// Selects is true for a node that the window is for.
func (h *Hours) Selects(n *corev1.Node) bool {
	return h.Opens != nil && (h.Of == "" || n.Labels["pool"] == h.Of)
}

// After is when the window opens next after a time, both counted from Start.
func (h *Hours) After(t time.Duration) time.Duration {
	for _, open := range h.Opens {
		if open > t {
			return open
		}
	}
	if t < h.Always {
		return h.Always
	}
	// It opens again before it closes.
	again := h.Latest / 2
	return h.Always + ((t-h.Always)/again+1)*again
}

// within is true if the window opened less than so long before.
func (h *Hours) within(t, of time.Duration) bool {
	return t >= h.Always || slices.ContainsFunc(h.Opens, func(open time.Duration) bool { return open <= t && t < open+of })
}

func (h *Hours) frozen(t time.Duration) bool { return h.From <= t && t < h.Until }

// hours chooses when drainer may drain, and lets everything be paused.
func (g *generator) hours() {
	if g.chance("window", 15) {
		h := &g.Hours
		h.Duration = pick[time.Duration](g, "window for", 20, 10, 40) * time.Second
		h.Latest = h.Duration / pick[time.Duration](g, "latest start", 1, 2)
		h.Pauses, h.Of = g.chance("pauses", 60), pick(g, "window of", "", "", "a")
		h.Always = 2 * time.Minute
		for range 1 + g.IntN("openings", 3) {
			h.Opens = append(h.Opens, g.between("opens", 0, time.Minute).Truncate(time.Second))
		}
		slices.Sort(h.Opens)
	}
	if g.chance("freeze", 8) {
		g.Hours.From = g.between("frozen from", 0, time.Minute).Truncate(time.Second)
		g.Hours.Until = g.Hours.From + g.between("frozen for", 5*time.Second, time.Minute).Truncate(time.Second)
	}
	if g.Hours.Always+g.Hours.Until > 0 && g.chance("emergency", 20) {
		node, at := g.node(), g.between("emergency", 0, time.Minute)
		g.annotate(at, node, api.IgnoreWindowsAnnotation, "true")
		if g.chance("over", 50) {
			g.unannotate(at+g.between("over", time.Second, 30*time.Second), node, api.IgnoreWindowsAnnotation)
		}
	}
	if g.chance("everything is paused", 10) {
		g.pauseAll()
	}
}

// pauseAll pauses everything for a while, maybe by a mistake.
func (g *generator) pauseAll() {
	at := g.between("paused", 0, 90*time.Second)
	key := pick(g, "key", api.ControlPaused, api.ControlPaused, "pause")
	g.step(at, func(h Hands) {
		h.Cluster(func(c *sim.Cluster) {
			c.Put(sim.ConfigMaps, &corev1.ConfigMap{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
				ObjectMeta: metav1.ObjectMeta{Namespace: controlKey.Namespace, Name: controlKey.Name},
				Data:       map[string]string{key: "INC-42"},
			})
		})
	}, "everything is paused, by the key %s", key)
	g.step(at+g.between("continues", time.Second, time.Minute), func(h Hands) {
		h.Cluster(func(c *sim.Cluster) { c.Delete(sim.ConfigMaps, controlKey) })
	}, "nothing is paused now")
}

var controlKey = sim.Key{Namespace: "drainer", Name: api.ControlName}

// schedule is that of a scenario's window.
type schedule struct{ *Scenario }

// Next implements plan.Schedule.
func (s schedule) Next(after time.Time) time.Time {
	return s.Start.Add(s.Hours.After(after.Sub(s.Start)))
}

// Times are the windows and freezes as drainer has them.
func (s *Scenario) Times() (windows []plan.Window, freezes []plan.Freeze) {
	h := &s.Hours
	if h.Opens != nil {
		nodes := labels.Everything()
		if h.Of != "" {
			nodes = labels.SelectorFromSet(labels.Set{"pool": h.Of})
		}
		windows = append(windows, plan.Window{Schedule: schedule{s}, Duration: h.Duration, LatestStart: h.Latest, Pauses: h.Pauses, Nodes: nodes})
	}
	if h.Until > 0 {
		freezes = append(freezes, plan.Freeze{From: s.Start.Add(h.From), Until: s.Start.Add(h.Until), Reason: "frozen"})
	}
	return windows, freezes
}
