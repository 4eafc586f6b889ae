package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/pkg/sim"
	"drainer.dev/drainer/test/invariant"
)

// Draw is a source of numbers.
type Draw interface {
	// IntN is a number from 0 to n-1. The name is for people.
	IntN(name string, n int) int
}

// Config is how drainer is configured, in the words of its flags.
type Config struct {
	MaxDraining Share
	Limits
	AllowLastNode bool
	BarePods      string
	EmptyDir      string
	Timeout       time.Duration
	OnTimeout     api.OnTimeout
	AllowDelete   bool
	NeverDelete   []string
	// Pool is the value of the label pool that served nodes have; empty for all.
	Pool  string
	Hours Hours
	// ForPods are the rules for pods, in order.
	ForPods []PodRule
	// ForNodes are the rules for marked nodes.
	ForNodes []plan.MarkRule
	// UnreachableAfter is how long a node is unreachable until pods past their grace
	// period no longer keep it from being drained; 0 for never.
	UnreachableAfter time.Duration
	// Paces lets the pods of a controller that no budget selects leave one at a time.
	Paces bool
}

// Scenario is a cluster and everything that happens to it.
type Scenario struct {
	Config
	Start time.Time
	// Options are how fast the cluster's controllers are.
	Options sim.Options
	Nodes   []string
	// Pods and Budgets count those that the cluster begins with.
	Pods, Budgets int
	// Steps are what people and others do, in order of time. The first ones build
	// the cluster.
	Steps []Step
	// Faults are what goes wrong with drainer's requests. The first that matches
	// a request counts.
	Faults []Fault
	Lags   []Lag
	// Calm is when everything has ended that Steps, Faults and Lags do.
	Calm time.Duration
}

// Hands are what a step is done with.
type Hands interface {
	Annotate(node, key, value string)
	Unannotate(node, key string)
	// Cordon and Uncordon are those of kubectl, by a field manager.
	Cordon(node, manager string)
	Uncordon(node, manager string)
	// Cluster changes the cluster itself.
	Cluster(change func(*sim.Cluster))
	// Crash ends the daemon's process without warning, if one runs; Start starts
	// another. The first one is started by whoever runs the scenario.
	Crash()
	Start()
}

// Step is one thing that happens.
type Step struct {
	After time.Duration
	Text  string
	Do    func(Hands)
}

// Class is a kind of request of drainer.
type Class int

// The classes.
const (
	// Evictions are POSTs to pods/eviction.
	Evictions Class = iota
	// Writes are patches of nodes.
	Writes
	// Reads are gets and lists, but for those that begin a watch.
	Reads
)

// Fault is something that goes wrong with some requests.
type Fault struct {
	From, Until time.Duration
	Class       Class
	// Every is to how many of the requests of the class it happens: 1 for all, 2
	// for every other.
	Every int
	Text  string
	// Delay is how much longer the API server takes before it handles the
	// request, Wait how much longer it takes to answer then.
	Delay, Wait time.Duration
	// Error is answered instead of what would be, if it is not nil; it is an
	// *errors.StatusError of apimachinery. Lost lets nothing be answered at all.
	Error error
	Lost  bool
	// CarriedOut lets the request take effect in spite of Error or Lost.
	CarriedOut bool
}

// Lag is by how much watches lag for a while.
type Lag struct {
	From, Until time.Duration
	Resource    sim.Resource
	By          time.Duration
}

// LagOf is by how much a change lags.
func (s *Scenario) LagOf(after time.Duration, r sim.Resource) time.Duration {
	by := time.Duration(0)
	for _, l := range s.Lags {
		if l.Resource == r && l.From <= after && after < l.Until {
			by = max(by, l.By)
		}
	}
	return by
}

// Faulty finds the faults of requests as they come.
type Faulty struct {
	scenario *Scenario
	// seen counts the requests that each fault was compared with.
	seen []int
}

// Faulty is at the first request.
func (s *Scenario) Faulty() *Faulty { return &Faulty{scenario: s, seen: make([]int, len(s.Faults))} }

// Of is the fault of the next request, which comes after a time; nil for none.
func (f *Faulty) Of(after time.Duration, c Class) *Fault {
	for i := range f.scenario.Faults {
		fault := &f.scenario.Faults[i]
		if fault.Class != c || after < fault.From || after >= fault.Until {
			continue
		}
		if f.seen[i]++; f.seen[i]%fault.Every == 0 {
			return fault
		}
	}
	return nil
}

// Serves is true for a node that drainer serves.
func (c *Config) Serves(n *corev1.Node) bool { return c.Pool == "" || n.Labels["pool"] == c.Pool }

// Rules are the rules for the checker. Latency is that of a request.
func (s *Scenario) Rules(latency time.Duration) invariant.Rules {
	nodes, pods, budgets := time.Duration(0), time.Duration(0), time.Duration(0)
	for _, l := range s.Lags {
		switch l.Resource {
		case sim.Nodes:
			nodes = max(nodes, l.By)
		case sim.Budgets:
			budgets = max(budgets, l.By)
		case sim.Pods, sim.DaemonSets:
			pods = max(pods, l.By)
		}
	}
	r := invariant.Rules{
		Patience: time.Second + nodes + latency, NodeLag: time.Second + nodes + latency, PodLag: pods + latency,
		BlockEmptyDir: s.EmptyDir == "Block", AllowLastNode: s.AllowLastNode, Served: s.Serves, Limits: s.limits(),
		AllowDelete: s.AllowDelete, NeverDelete: s.NeverDelete, BudgetLag: budgets, UnreachableAfter: s.UnreachableAfter, Paces: s.Paces, Marked: s.markRules(),
	}
	if len(s.ForPods) > 0 {
		r.Pods = s.verdict
	}
	if h := &s.Hours; h.Opens != nil || h.Until > 0 {
		r.Begins = func(at time.Time, n *corev1.Node) bool {
			t := at.Sub(s.Start)
			return !h.frozen(t) && (!h.Selects(n) || h.within(t, h.Latest))
		}
		r.Evicts = func(at time.Time, n *corev1.Node) bool {
			t := at.Sub(s.Start)
			return !h.frozen(t) && (!h.Selects(n) || !h.Pauses || h.within(t, h.Duration))
		}
	}
	switch s.BarePods {
	case "Evict":
		r.BarePods = invariant.EvictBarePods
	case "Ignore":
		r.BarePods = invariant.IgnoreBarePods
	}
	return r
}

// String is everything that happens, for people.
func (s *Scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n%+v\nnodes: %d, pods: %d, budgets: %d, calm after %v\n", s.Config, s.Options, len(s.Nodes), s.Pods, s.Budgets, s.Calm)
	for _, step := range s.Steps {
		fmt.Fprintf(&b, "%8v %s\n", step.After, step.Text)
	}
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "%8v to %v: of %s every %d. %s\n", f.From, f.Until, []string{"evictions", "writes", "reads"}[f.Class], f.Every, f.Text)
	}
	for _, l := range s.Lags {
		fmt.Fprintf(&b, "%8v to %v: watches of %s lag by %v\n", l.From, l.Until, l.Resource, l.By)
	}
	return b.String()
}

// generator makes one scenario.
type generator struct {
	Draw
	*Scenario
	// rest is how long rules for marked nodes may act after the last step.
	rest time.Duration
}

// Generate makes the scenario that the numbers drawn choose, which begins at
// the time.
func Generate(d Draw, start time.Time) *Scenario {
	g := &generator{Draw: d, Scenario: &Scenario{Start: start}}
	g.config()
	g.nodes()
	g.workloads()
	g.requests()
	g.trouble()
	g.faults()
	g.hours()
	g.podRules()
	g.marks()
	g.unreachable()
	g.Paces = g.chance("pace without budget", 20)
	g.Calm = max(g.Hours.Always, g.Hours.Until)
	slices.SortStableFunc(g.Steps, func(a, b Step) int { return int(a.After - b.After) })
	for _, step := range g.Steps {
		g.Calm = max(g.Calm, step.After)
	}
	g.Calm += g.rest
	for _, f := range g.Faults {
		g.Calm = max(g.Calm, f.Until+f.Delay+f.Wait)
	}
	for _, l := range g.Lags {
		g.Calm = max(g.Calm, l.Until+l.By)
	}
	return g.Scenario
}

// chance is true in so many of 100 cases, and false in the simplest.
func (g *generator) chance(name string, percent int) bool { return g.IntN(name, 100) >= 100-percent }

// between is a time from one to another, in 64 steps.
func (g *generator) between(name string, least, most time.Duration) time.Duration {
	return (least + (most-least)*time.Duration(g.IntN(name, 64))/64).Round(10 * time.Millisecond)
}

// pick is one of several, the first in the simplest case.
func pick[T any](g *generator, name string, from ...T) T { return from[g.IntN(name, len(from))] }

// step adds a step.
func (g *generator) step(after time.Duration, do func(Hands), format string, args ...any) {
	g.Steps = append(g.Steps, Step{After: after, Text: fmt.Sprintf(format, args...), Do: do})
}

// build adds a step by which the cluster is built.
func (g *generator) build(change func(*sim.Cluster), format string, args ...any) {
	g.step(0, func(h Hands) { h.Cluster(change) }, format, args...)
}

func (g *generator) config() {
	g.Options = sim.Options{
		Start:     g.Start,
		BudgetLag: pick[time.Duration](g, "budget lag", 50, 10, 300, 2000) * time.Millisecond, ReplaceLag: pick[time.Duration](g, "replace lag", 50, 10, 1000) * time.Millisecond,
		ScheduleLag: pick[time.Duration](g, "schedule lag", 50, 10, 1000) * time.Millisecond,
	}
	g.MaxDraining = g.share("max draining")
	g.AllowLastNode = g.chance("allow last node", 15)
	g.BarePods = pick(g, "bare pods", "Block", "Evict", "Ignore", "Evict")
	g.EmptyDir = pick(g, "empty dir", "Evict", "Block")
	g.OnTimeout = pick(g, "on timeout", api.Wait, api.Stop, api.Release)
	if g.AllowDelete = g.chance("allow delete", 50); g.AllowDelete && g.chance("delete", 50) {
		g.OnTimeout = api.Delete
	}
	if g.chance("never delete", 20) {
		g.NeverDelete = namespaces[:1]
	}
	if g.chance("default timeout", 20) {
		g.Timeout = g.between("default timeout", 10*time.Second, 4*time.Minute)
	}
	if g.chance("pool", 15) {
		g.Pool = "a"
	}
	g.limited()
}

func (g *generator) nodes() {
	for i := range 3 + g.IntN("nodes", 12) {
		name := fmt.Sprintf("n%02d", i)
		g.Nodes = append(g.Nodes, name)
		labels := map[string]string{"pool": pick(g, "pool", "a", "a", "b")}
		if zone := pick(g, "zone", "x", "y", "z", ""); zone != "" {
			labels["zone"] = zone
		}
		created := g.Start
		if g.chance("old", 70) {
			created = g.Start.Add(-time.Hour)
		}
		g.build(func(c *sim.Cluster) { addNode(c, name, labels, created) }, "node %s with %v, created at %v", name, labels, created.Format(time.TimeOnly))
	}
}

// node is any node.
func (g *generator) node() string { return pick(g, "node", g.Nodes...) }

func ownedBy(kind, version, name, uid string) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: name, UID: types.UID(uid), Controller: new(true)}}
}
