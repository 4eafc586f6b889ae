package drain_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/forecast"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
)

// TestForecastStory: the loop of pkg/forecast drains a cluster as the daemon
// does: as many evictions in nearly the same order, in nearly the same time.
func TestForecastStory(t *testing.T) {
	nodes := []string{"a", "b", "c", "d"}
	tell(t, func(s *story) {
		scene := func(c *sim.Cluster) {
			for i := range 5 {
				name := fmt.Sprintf("app-%d", i)
				var on []string
				for j := range 4 * (i + 1) {
					on = append(on, nodes[(i*j+j/2)%len(nodes)])
				}
				c.Run(sim.Workload{
					Kind: sim.Deployment, Namespace: "shop", Name: name, Replicas: len(on),
					Behavior: sim.Behavior{StartsIn: time.Duration(i+1) * time.Second, StopsIn: time.Second},
				}, on...)
				c.AddBudget("shop", name, name, specOf(fmt.Sprintf("maxUnavailable %d", i%3+1)))
			}
		}
		s.nodes(nodes...)
		s.spares(4)
		s.cluster(scene)
		s.wait(time.Second)
		s.flags.maxDraining = "100%"
		s.start()
		s.wait(time.Minute)
		begun := s.since()
		s.drain("r", nodes...)
		s.await("drained", 10*time.Minute, s.drained("r", nodes...))
		took := s.since() - begun
		var sent []string
		for _, r := range s.evictions("") {
			sent = append(sent, r.Name)
		}

		foreseen, asked := foreseen(s, nodes, scene)
		if off := float64(foreseen) / float64(took); off < .95 || off > 1.05 {
			t.Errorf("the drain took %v, forecast %v", took, foreseen)
		}
		// Workers that send at one moment come in any order.
		if same := concordant(sent, asked); same < .95 || len(sent) != len(asked) || len(sent) < 40 {
			t.Errorf("%d evictions, forecast %d; %.0f %% of their pairs come in the order of the forecast:\n%v\n%v",
				len(sent), len(asked), 100*same, sent, asked)
		}
	})
}

// foreseen is how long the loop takes for the same, and what it evicts.
func foreseen(s *story, nodes []string, scene func(*sim.Cluster)) (time.Duration, []string) {
	c := sim.New(sim.Options{Start: time.Now(), BudgetLag: 50 * time.Millisecond, ReplaceLag: 50 * time.Millisecond, ScheduleLag: 50 * time.Millisecond})
	for _, n := range nodes {
		c.AddNode(n, nil)
	}
	for i := range 4 {
		c.AddNode(fmt.Sprintf("spare-%03d", i+1), nil)
	}
	scene(c)
	var asked []string
	p := newProcess("forecast", nil, s.flags)
	l := forecast.New(c, forecast.Options{
		Config: p.config(), QPS: evictionQPS, Burst: evictionBurst, Workers: evictionWorkers, EvictionTimeout: s.flags.evictionTimeout,
		Latency: latency,
		Hooks:   forecast.Hooks{Evicted: func(a plan.Answered) { asked = append(asked, a.Grant.Pod.Name) }},
	})
	l.Start()
	l.Run(l.Now().Add(time.Minute), nil)
	begun := l.Now()
	l.Request("r", nodes...)
	l.Run(begun.Add(time.Hour), func() bool {
		return !slices.ContainsFunc(nodes, func(n string) bool { return c.Node(n).Annotations[api.DrainedAnnotation] != "r" })
	})
	return l.Now().Sub(begun), asked
}

// concordant is the share of the pairs of names in both lists that have the same
// order in both.
func concordant(a, b []string) float64 {
	same, pairs := 0, 0
	for i, first := range a {
		for _, second := range a[i+1:] {
			x, y := slices.Index(b, first), slices.Index(b, second)
			if x < 0 || y < 0 {
				continue
			}
			pairs++
			if x < y {
				same++
			}
		}
	}
	return float64(same) / float64(max(1, pairs))
}
