package scenario

import (
	"fmt"
	"time"

	"drainer.dev/drainer/pkg/api"
)

// requests lets people ask for drains, and change their minds.
func (g *generator) requests() {
	rounds := 1 + g.IntN("rounds", 3)
	for round := range rounds {
		at := pick[time.Duration](g, "asked at", 0, 0, 10, 30, 60) * time.Second
		id := fmt.Sprintf("r%d", round)
		for range 1 + g.IntN("nodes of a round", 1+len(g.Nodes)/2) {
			node := g.node()
			g.options(node, at)
			g.annotate(at, node, api.DrainAnnotation, id)
			g.mind(node, at)
			if g.chance("apart", 30) {
				at += g.between("apart", 10*time.Millisecond, 5*time.Second)
			}
		}
	}
	if g.chance("somebody else cordons", 30) {
		node, at := g.node(), pick[time.Duration](g, "cordoned at", 0, 0, 20)*time.Second
		g.step(at, func(h Hands) { h.Cordon(node, "kubectl") }, "kubectl cordons %s", node)
	}
	if g.chance("somebody else uncordons", 25) {
		node, at := g.node(), g.between("uncordoned at", time.Second, 90*time.Second)
		g.step(at, func(h Hands) { h.Uncordon(node, "kubectl") }, "kubectl uncordons %s", node)
	}
}

func (g *generator) annotate(at time.Duration, node, key, value string) {
	g.step(at, func(h Hands) { h.Annotate(node, key, value) }, "%s: %s=%s", node, key, value)
}

func (g *generator) unannotate(at time.Duration, node, key string) {
	g.step(at, func(h Hands) { h.Unannotate(node, key) }, "%s: %s-", node, key)
}

// options are annotations that come with a request.
func (g *generator) options(node string, at time.Duration) {
	if g.chance("priority", 10) {
		g.annotate(at, node, api.PriorityAnnotation, fmt.Sprint(g.IntN("priority", 3)-1))
	}
	if g.chance("not before", 8) {
		g.annotate(at, node, api.NotBeforeAnnotation, g.Start.Add(at+g.between("not before", 0, time.Minute)).UTC().Format(time.RFC3339))
	}
	if g.chance("deadline", 8) {
		g.deadline(node, at)
	}
	if g.chance("timeout", 10) {
		g.annotate(at, node, api.TimeoutAnnotation, g.between("timeout", 5*time.Second, 2*time.Minute).String())
	}
	if g.chance("on timeout", 8) {
		g.annotate(at, node, api.OnTimeoutAnnotation, string(pick(g, "on timeout", api.Wait, api.Stop, api.Release, api.Delete)))
	}
	if g.chance("grace period", 8) {
		g.annotate(at, node, api.GracePeriodAnnotation, fmt.Sprint(1+g.IntN("grace period", 40)))
	}
	if g.chance("mistaken", 5) {
		g.annotate(at, node, api.TimeoutAnnotation, "soon")
		g.unannotate(at+g.between("corrected", time.Second, time.Minute), node, api.TimeoutAnnotation)
	}
	if g.chance("paused from the start", 4) {
		g.pause(node, at)
	}
}

// deadline lets somebody say, at a time, when the node disappears; some of them are
// late, and some of them withdraw it.
func (g *generator) deadline(node string, at time.Duration) {
	disappears := g.Start.Add(at + g.between("deadline", -5*time.Second, 90*time.Second))
	g.annotate(at, node, api.DeadlineAnnotation, disappears.UTC().Format(time.RFC3339))
	if g.chance("withdrawn", 20) {
		g.unannotate(at+g.between("withdrawn", 100*time.Millisecond, time.Minute), node, api.DeadlineAnnotation)
	}
}

// pause pauses a request, and mostly lets it continue.
func (g *generator) pause(node string, at time.Duration) {
	g.annotate(at, node, api.PausedAnnotation, "true")
	if g.chance("stays paused", 10) {
		return
	}
	g.unannotate(at+g.between("resumed", 100*time.Millisecond, time.Minute), node, api.PausedAnnotation)
}

// mind lets somebody change their mind about a request that was made at a time.
func (g *generator) mind(node string, at time.Duration) {
	later := func(name string) time.Duration { return at + g.between(name, 100*time.Millisecond, 90*time.Second) }
	if g.chance("pause", 15) {
		g.pause(node, later("pause"))
	}
	if g.chance("cancel", 15) {
		cancelled := later("cancel")
		g.unannotate(cancelled, node, api.DrainAnnotation)
		if g.chance("asked again", 40) {
			g.annotate(cancelled+g.between("asked again", 10*time.Millisecond, 20*time.Second), node, api.DrainAnnotation, "again")
		}
	}
	if g.chance("notice", 8) {
		g.deadline(node, later("notice"))
	}
	if g.chance("hold", 6) {
		held := later("hold")
		g.annotate(held, node, api.HoldPrefix+"backup", "until the backup is done")
		if !g.chance("stays held", 10) {
			g.unannotate(held+g.between("let go", time.Second, 2*time.Minute), node, api.HoldPrefix+"backup")
		}
	}
	if g.chance("new ID", 10) {
		g.annotate(later("new ID"), node, api.DrainAnnotation, "other")
	}
	if g.chance("timeout changes", 5) {
		g.annotate(later("timeout changes"), node, api.TimeoutAnnotation, pick(g, "timeout", "10s", "1m", "10m"))
	}
	if g.chance("mistake", 4) {
		mistaken := later("mistake")
		g.annotate(mistaken, node, api.Prefix+"pause", "true")
		g.unannotate(mistaken+g.between("corrected", 100*time.Millisecond, time.Minute), node, api.Prefix+"pause")
	}
}
