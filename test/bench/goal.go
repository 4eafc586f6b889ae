package main

import "fmt"

// goal is a figure that is to be reached.
type goal struct {
	what string
	// bound is the least or, if most is true, the greatest value wanted.
	bound float64
	most  bool
	// value is what was measured; measured is false if it was not.
	value    float64
	measured bool
	unit     string
}

func (g goal) reached() bool {
	if g.most {
		return g.value <= g.bound
	}
	return g.value >= g.bound
}

func (g goal) cells() []string {
	sign, verdict := "≥", "not reached"
	if g.most {
		sign = "≤"
	}
	if g.reached() {
		verdict = "reached"
	}
	format := func(v float64) string { return fmt.Sprintf("%.3g%s", v, g.unit) }
	if !g.measured {
		return []string{g.what, sign + " " + format(g.bound), "", "not measured in this run"}
	}
	return []string{g.what, sign + " " + format(g.bound), format(g.value), verdict}
}

// goals are those of the project, with what this report has of them.
func (r *Report) goals() []goal {
	a, hasA := r.row("contended", ours)
	kubectlA, hasKubectlA := r.row("contended", kubectlParallel)
	b, hasB := r.row("serial-1s", ours)
	kubectlB, hasKubectlB := r.row("serial-1s", kubectlParallel)
	list := []goal{
		{"contended: makespan ÷ lower bound", 1.08, true, a.overBound, hasA, ""},
		{"contended: makespan of parallel kubectl drain ÷ drainer's", 2, false, kubectlA.makespan / a.makespan, hasA && hasKubectlA, ""},
		{"contended: mean time until a node is empty, parallel kubectl drain ÷ drainer", 3, false, kubectlA.mean / a.mean, hasA && hasKubectlA, ""},
		{"contended: mean time until a node is empty ÷ makespan", 0.62, true, a.mean / a.makespan, hasA, ""},
		{"serial, ready after 1 s: makespan of parallel kubectl drain ÷ drainer's", 3, false, kubectlB.makespan / b.makespan, hasB && hasKubectlB, ""},
	}
	list = append(list, r.goalsOfFree()...)
	for _, scenario := range []string{"contended", "serial-1s", "fleet"} {
		x, has := r.row(scenario, ours)
		list = append(list,
			goal{scenario + ": answers 429 for each evicted pod", 0.01, true, x.refused / x.admitted, has, ""},
			goal{scenario + ": POSTs for each evicted pod", 1.02, true, x.evictions / x.admitted, has, ""},
			goal{scenario + ": GET and LIST of pods for each drained node", 2, true, (x.gets + x.lists) / x.drained, has, ""},
		)
	}
	if p := r.Probes.Rate; p != nil {
		list = append(list, goal{"rate: evictions per second ÷ a bare loop of concurrent POSTs", 0.9, false, p.Ratio(), true, ""})
	}
	if p := r.Probes.Reaction; p != nil {
		list = append(list, goal{"reaction: annotation to cordon, 1,000 nodes, p99", 50, true, 1000 * p.Drainer.quantile(.99), true, " ms"})
	}
	if p := r.Probes.Watched; p != nil {
		list = append(list, goal{"watched: resident memory, 500 nodes of 60 pods of 15 KB", 160, true, p.RSS / (1 << 20), true, " MiB"})
	}
	if p := r.Probes.Idle; p != nil {
		list = append(list,
			goal{"idle: resident memory, 5,000 nodes and 50,000 pods", 80, true, p.RSS / (1 << 20), true, " MiB"},
			goal{"idle: the same ÷ that with 5,000 pods", 1.1, true, p.RSS / p.RSSFewPods, true, ""},
			goal{"idle: share of a core", 1, true, 100 * p.CPU, true, " %"},
		)
	}
	return list
}

// row is the medians of a contender in a scenario; false if it did not run.
func (r *Report) row(scenario, contender string) (row, bool) {
	all := r.of(scenario, contender)
	return rowOf(contender, all), len(all) > 0
}

// goalsOfFree are those of the drain that nothing holds up.
func (r *Report) goalsOfFree() []goal {
	x, has := r.row("free", ours)
	kubectl, hasKubectl := r.row("free", kubectlParallel)
	both := has && hasKubectl
	return []goal{
		{"free: makespan ÷ that of parallel kubectl drain", 0.95, true, x.makespan / kubectl.makespan, both, ""},
		{"free: mean time until a node is empty ÷ that of parallel kubectl drain", 0.65, true, x.mean / kubectl.mean, both, ""},
		{"free: processor time for each evicted pod", 1.5, true, 1000 * x.cpu / x.admitted, has, " ms"},
	}
}
