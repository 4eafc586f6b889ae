package scenario

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"drainer.dev/drainer/pkg/api"
	"drainer.dev/drainer/pkg/plan"
	"drainer.dev/drainer/test/invariant"
)

// Share is a number of nodes or a part of them; the zero Share is no limit.
type Share struct {
	Nodes   int
	Percent bool
}

// String is the share as the flag has it.
func (s Share) String() string {
	if s.Percent {
		return fmt.Sprintf("%d%%", s.Nodes)
	}
	return fmt.Sprint(s.Nodes)
}

// of is how many of so many nodes that is; nil if there is no limit.
func (s Share) of() func(int) int {
	switch {
	case s.Nodes == 0:
		return nil
	case s.Percent:
		return func(nodes int) int { return max(1, nodes*s.Nodes/100) }
	default:
		return func(int) int { return s.Nodes }
	}
}

func (s Share) plan() plan.Share {
	if s.Nodes == 0 {
		return plan.Share{}
	}
	share, err := plan.ParseShare(s.String())
	if err != nil {
		panic(err) // The scenario's own mistake.
	}
	return share
}

// Limits are the limits over nodes besides MaxDraining.
type Limits struct {
	MaxUnavailable Share
	// Ignored is the value of the label zone that ignored nodes have.
	Ignored    string
	YieldAfter time.Duration
	// B are the settings of the nodes with pool=b; zero if they are no pool.
	B Pool
	// Zones limits the nodes with the same label zone.
	Zones, Groups Share
}

// Pool is the settings of a pool. What is zero is as for all nodes.
type Pool struct {
	MaxDraining, MaxUnavailable Share
	Timeout                     time.Duration
	OnTimeout                   api.OnTimeout
}

// share is any number of nodes, or a share of them, all of them in the simplest
// case.
func (g *generator) share(name string) Share {
	s := Share{pick(g, name, 100, 10, 25, 50), true}
	if g.chance(name+" as a number", 40) {
		s = Share{1 + g.IntN(name, 4), false}
	}
	return s
}

// limited draws the limits over nodes: none in the simplest case.
func (g *generator) limited() {
	if g.chance("max unavailable", 40) {
		g.MaxUnavailable = g.share("max unavailable")
	}
	if g.chance("ignored nodes", 10) {
		g.Ignored = "z"
	}
	if g.chance("yield", 25) {
		g.YieldAfter = g.between("yield", 15*time.Second, 3*time.Minute)
	}
	if g.chance("a pool of its own", 25) {
		g.B = g.pool()
	}
	if g.chance("limit for zones", 15) {
		g.Zones = g.share("limit for zones")
	}
	if g.chance("limit of zones", 15) {
		g.Groups = Share{Nodes: 1 + g.IntN("limit of zones", 2)}
	}
}

func (g *generator) pool() Pool {
	var p Pool
	if g.chance("slots of its own", 60) {
		p.MaxDraining = g.share("slots of the pool")
	}
	if g.chance("max unavailable of the pool", 60) {
		p.MaxUnavailable = g.share("max unavailable of the pool")
	}
	if g.chance("timeout of the pool", 30) {
		p.Timeout = g.between("timeout of the pool", 10*time.Second, 4*time.Minute)
	}
	if g.chance("the pool's on timeout", 30) {
		p.OnTimeout = pick(g, "the pool's on timeout", api.Wait, api.Stop, api.Release)
	}
	return p
}

// Limit sets the limits over nodes of drainer.
func (c *Config) Limit(config *plan.Config) {
	config.MaxDraining, config.MaxUnavailable, config.YieldAfter = c.MaxDraining.plan(), c.MaxUnavailable.plan(), c.YieldAfter
	b := plan.Pool{Name: "b", MaxDraining: c.B.MaxDraining.plan(), MaxUnavailable: c.B.MaxUnavailable.plan(), OnTimeout: c.B.OnTimeout}
	if c.B.Timeout > 0 {
		b.Timeout = &c.B.Timeout
	}
	config.Pools = []plan.Pool{b}
	config.Groups = []plan.Group{{Label: "zone", MaxDraining: c.Zones.plan(), MaxGroups: c.Groups.Nodes}}
}

// Selectors are those of drainer.
func (c *Config) Selectors() plan.Selectors {
	s := plan.Selectors{Groups: []string{"zone"}}
	if c.Pool != "" {
		s.Served = labels.SelectorFromSet(labels.Set{"pool": c.Pool})
	}
	if c.Ignored != "" {
		s.Ignored = labels.SelectorFromSet(labels.Set{"zone": c.Ignored})
	}
	if c.B != (Pool{}) {
		s.Pools = []plan.PoolSelector{{Name: "b", Nodes: labels.SelectorFromSet(labels.Set{"pool": "b"})}}
	}
	return s
}

// limits are the limits over nodes for the checker.
func (c *Config) limits() invariant.Limits {
	l := invariant.Limits{
		MaxDraining: c.MaxDraining.of(), MaxUnavailable: c.MaxUnavailable.of(), YieldAfter: c.YieldAfter,
		Timeout: c.Timeout, OnTimeout: c.OnTimeout, PoolLabel: "pool",
		Groups: []invariant.Group{{Label: "zone", MaxDraining: c.Zones.of(), MaxGroups: c.Groups.Nodes}},
	}
	if c.Ignored != "" {
		l.Ignored = func(n *corev1.Node) bool { return n.Labels["zone"] == c.Ignored }
	}
	if c.B != (Pool{}) {
		pool := invariant.Pool{MaxDraining: c.B.MaxDraining.of(), MaxUnavailable: c.B.MaxUnavailable.of()}
		if c.B.Timeout > 0 {
			pool.Timeout = &c.B.Timeout
		}
		pool.OnTimeout = c.B.OnTimeout
		l.Pools = map[string]invariant.Pool{"b": pool}
	}
	return l
}
